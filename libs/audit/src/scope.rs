//! Whom an entry concerns: an account, a session, a tenant.
//!
//! It is a part of the entry's text, which the chain's hash covers, and stands
//! in columns as well, for queries: an entry whose columns say something else
//! than its text was changed.

use countersign_types::{SessionId, Tenant, UserId};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::entity::log;

/// Where in the text it stands.
pub(crate) const SCOPE: &str = "scope";

/// What is not said is the nil id, and the default tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) account: Uuid,
    pub(crate) session: Uuid,
    pub(crate) tenant: String,
}

impl Scope {
    pub(crate) fn new(
        account: Option<UserId>,
        session: Option<SessionId>,
        tenant: &Tenant,
    ) -> Self {
        Self {
            account: account.map_or(Uuid::nil(), Into::into),
            session: session.map_or(Uuid::nil(), Into::into),
            tenant: tenant.to_string(),
        }
    }

    /// As a row's columns have it.
    pub(crate) fn of_row(row: &log::Model) -> Self {
        Self { account: row.account, session: row.session, tenant: row.tenant.clone() }
    }

    /// As the text of a row has it; `None` where the text cannot be read.
    pub(crate) fn of_detail(detail: &str) -> Option<Self> {
        let facts: Map<String, Value> = serde_json::from_str(detail).ok()?;
        let Some(scope) = facts.get(SCOPE) else {
            return Some(Self::new(None, None, &Tenant::default()));
        };
        let id = |name: &str| match scope.get(name) {
            None => Some(Uuid::nil()),
            Some(id) => id.as_str()?.parse().ok(),
        };
        let tenant = scope.get("tenant")?.as_str()?.to_owned();
        Some(Self { account: id("account")?, session: id("session")?, tenant })
    }

    pub(crate) fn json(&self) -> Value {
        let mut scope = Map::new();
        for (name, id) in [("account", self.account), ("session", self.session)] {
            if !id.is_nil() {
                scope.insert(name.to_owned(), json!(id.to_string()));
            }
        }
        scope.insert("tenant".to_owned(), json!(self.tenant));
        Value::Object(scope)
    }
}
