//! Seeing one's sessions, and whose a session or an account is.

use countersign_contracts::auth::v1::ListSessionsResponse;
use countersign_guard::{Attributes, Caller, Permit, Resolver, Value};
use countersign_types::{Fault, Tenant, UserId};
use futures::future::BoxFuture;
use sea_orm::DatabaseConnection;

use super::Auth;
use crate::{
    Error, convert,
    store::{
        account,
        session::{self, Page},
    },
};

/// Sessions on a page where the caller names no number.
const PAGE_SIZE: u64 = 50;
/// The most on a page, as in the contract.
const PAGE_SIZE_MAX: u64 = 100;

/// Tells the policies whose session a session is.
pub(crate) struct SessionOwner(pub(crate) DatabaseConnection);

/// Tells the policies which tenant an account belongs to; it is its own owner.
pub(crate) struct AccountOwner(pub(crate) DatabaseConnection);

impl Auth {
    pub(crate) async fn page_of_sessions(
        &self,
        permit: &Permit,
        caller: &Caller,
        page_size: i32,
        page_token: &str,
    ) -> Result<ListSessionsResponse, Error> {
        let user: UserId = permit.resource_as()?;
        let size = match u64::try_from(page_size) {
            Ok(asked @ 1..) => asked.min(PAGE_SIZE_MAX),
            _ => PAGE_SIZE,
        };
        let after = convert::read_page_token(user, page_token)?;
        // One more than shown: it tells whether there is a next page.
        let page = Page { after, size: size + 1 };
        let mut rows = session::list(self.db(), &self.people, permit, page, self.now()).await?;
        let shown = usize::try_from(size).unwrap_or(usize::MAX);
        let has_more = rows.len() > shown;
        rows.truncate(shown);
        let next = rows.last().filter(|_| has_more);
        Ok(ListSessionsResponse {
            next_page_token: next
                .map(|last| convert::page_token(user, last.id.into()))
                .unwrap_or_default(),
            sessions: rows.iter().map(|row| convert::session(row, caller.session_id())).collect(),
        })
    }
}

impl Resolver for SessionOwner {
    fn resolve<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Attributes>, Fault>> {
        Box::pin(async move {
            let Ok(id) = id.parse() else { return Ok(None) };
            let owner = session::owner(&self.0, id).await?;
            Ok(owner.map(|(user, tenant)| attributes(user, &tenant)))
        })
    }
}

impl Resolver for AccountOwner {
    fn resolve<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Attributes>, Fault>> {
        Box::pin(async move {
            let Ok(id) = id.parse() else { return Ok(None) };
            let tenant = account::tenant(&self.0, id).await?;
            Ok(tenant.map(|tenant| attributes(id, &tenant)))
        })
    }
}

fn attributes(owner: UserId, tenant: &Tenant) -> Attributes {
    Attributes::owner(owner).set("tenant", Value::String(tenant.to_string()))
}
