//! One entry of the trail, and how it gets there.

use std::net::IpAddr;

use countersign_events::{Unit, current_trace};
use countersign_guard::{Caller, Peer, Permit};
use countersign_types::{SessionId, Tenant, Timestamp, TraceParent, UserId};
use sea_orm::{EntityTrait, Set};
use serde_json::{Map, json};
use uuid::Uuid;

use crate::{
    Action, Error, Outcome,
    entity::log,
    scope::{SCOPE, Scope},
};

/// Who did what to whom, from where, and how it came out. Unless something else
/// is said, the time is that of the transaction's clock, and the trace the one
/// that is going on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who did it; `None` before anybody is known, or the program itself.
    pub actor: Option<UserId>,
    /// What was done or tried.
    pub action: Action,
    /// The account, session or other thing that it was done to.
    pub subject: Option<Uuid>,
    /// How it came out.
    pub outcome: Outcome,
    /// Where the request came from.
    pub address: Option<IpAddr>,
    /// The account whose security it concerns: its owner sees the entry.
    pub account: Option<UserId>,
    /// The session with which, or to which, it was done.
    pub session: Option<SessionId>,
    /// The tenant whose administrators see the entry.
    pub tenant: Tenant,
    /// When it happened.
    pub time: Option<Timestamp>,
    /// Within which trace.
    pub trace: Option<TraceParent>,
    /// Further facts.
    pub detail: Vec<(&'static str, Value)>,
}

/// A fact that may stand in the trail. There is no variant for a text that
/// somebody typed: the trail holds no personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A word of this program, such as a reason.
    Word(&'static str),
    /// Words of this program, such as the names of changed fields.
    Words(Vec<&'static str>),
    /// The id of a thing.
    Id(Uuid),
    /// The public name of a key.
    Key(String),
    /// Names that operators gave, such as the ids of policies.
    Names(Vec<String>),
    /// A count or a generation.
    Number(i64),
    /// Whether something was the case.
    Flag(bool),
}

impl Entry {
    /// An entry of the default tenant that says nothing further.
    #[must_use]
    pub fn new(action: Action, outcome: Outcome) -> Self {
        Self {
            actor: None,
            action,
            subject: None,
            outcome,
            address: None,
            account: None,
            session: None,
            tenant: Tenant::default(),
            time: None,
            trace: None,
            detail: Vec::new(),
        }
    }

    /// The same entry with who did it.
    #[must_use]
    pub const fn actor(mut self, actor: UserId) -> Self {
        self.actor = Some(actor);
        self
    }

    /// The same entry with what it was done to.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<Uuid>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// The same entry with whose security it concerns.
    #[must_use]
    pub const fn account(mut self, account: UserId) -> Self {
        self.account = Some(account);
        self
    }

    /// The same entry with the session with which, or to which, it was done.
    #[must_use]
    pub const fn session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// The same entry with whose administrators see it.
    #[must_use]
    pub fn tenant(mut self, tenant: Tenant) -> Self {
        self.tenant = tenant;
        self
    }

    /// The same entry with where the request came from, where that is known.
    #[must_use]
    pub const fn address(mut self, address: Option<IpAddr>) -> Self {
        self.address = address;
        self
    }

    /// The same entry as the act of who calls: actor, session, tenant and address.
    #[must_use]
    pub fn by(self, caller: &Caller, peer: &Peer) -> Self {
        self.actor(caller.user_id())
            .session(caller.session_id())
            .tenant(caller.tenant().clone())
            .address(peer.address)
    }

    /// The same of a call that was permitted, with the RPC and the policies.
    #[must_use]
    pub fn permitted(self, permit: &Permit, peer: &Peer) -> Self {
        self.by(permit.caller(), peer)
            .with("rpc", Value::Word(permit.rpc()))
            .with("policies", Value::Names(permit.policies().to_vec()))
    }

    /// The same entry with one more fact.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: Value) -> Self {
        self.detail.push((key, value));
        self
    }

    fn row(&self, now: Timestamp) -> log::ActiveModel {
        let scope = Scope::new(self.account, self.session, &self.tenant);
        log::ActiveModel {
            id: Set(Uuid::now_v7()),
            record_time: Set(self.time.unwrap_or(now).as_micros()),
            actor: Set(self.actor.map(Uuid::from)),
            action: Set(self.action.as_str().to_owned()),
            subject: Set(self.subject),
            outcome: Set(self.outcome.as_str().to_owned()),
            address: Set(self.address.map(|address| address.to_canonical().to_string())),
            detail: Set(self.detail(&scope)),
            seq: Set(None),
            hash: Set(None),
            account: Set(scope.account),
            session: Set(scope.session),
            tenant: Set(scope.tenant),
        }
    }

    fn detail(&self, scope: &Scope) -> String {
        let facts = self.detail.iter().map(|(key, value)| ((*key).to_owned(), value.json()));
        let mut facts = Map::from_iter(facts);
        if let Some(trace) = self.trace.or_else(current_trace) {
            facts.insert("trace".to_owned(), json!(format!("{:032x}", trace.trace)));
        }
        facts.insert(SCOPE.to_owned(), scope.json());
        serde_json::Value::Object(facts).to_string()
    }
}

impl Value {
    fn json(&self) -> serde_json::Value {
        match self {
            Self::Word(word) => json!(word),
            Self::Words(words) => json!(words),
            Self::Id(id) => json!(id.to_string()),
            Self::Key(name) => json!(name),
            Self::Names(names) => json!(names),
            Self::Number(number) => json!(number),
            Self::Flag(flag) => json!(flag),
        }
    }
}

/// Writes an entry in the transaction of what it tells of. It waits for no
/// other writer; the chain takes it up later.
///
/// # Errors
/// [`Error::Database`]; the transaction cannot be committed then.
pub async fn record(unit: &Unit, entry: &Entry) -> Result<(), Error> {
    log::Entity::insert(entry.row(unit.now())).exec_without_returning(&**unit).await?;
    Ok(())
}

/// The same for several, by one statement.
///
/// # Errors
/// As [`record`].
pub async fn record_all(
    unit: &Unit,
    entries: impl IntoIterator<Item = Entry>,
) -> Result<(), Error> {
    let rows: Vec<_> = entries.into_iter().map(|entry| entry.row(unit.now())).collect();
    if !rows.is_empty() {
        log::Entity::insert_many(rows).exec_without_returning(&**unit).await?;
    }
    Ok(())
}
