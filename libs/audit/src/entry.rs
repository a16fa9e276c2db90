//! One entry of the trail, and how it gets there.

use std::net::IpAddr;

use countersign_events::Unit;
use countersign_types::UserId;
use sea_orm::{EntityTrait, Set};
use serde_json::{Map, json};
use uuid::Uuid;

use crate::{Action, Error, Outcome, entity::log};

/// Who did what to whom, from where, and how it came out. The time is that of
/// the transaction's clock.
#[derive(Clone, Debug)]
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
    /// An entry without actor, subject, address and facts.
    #[must_use]
    pub const fn new(action: Action, outcome: Outcome) -> Self {
        Self { actor: None, action, subject: None, outcome, address: None, detail: Vec::new() }
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

    /// The same entry with where the request came from, where that is known.
    #[must_use]
    pub const fn address(mut self, address: Option<IpAddr>) -> Self {
        self.address = address;
        self
    }

    /// The same entry with one more fact.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: Value) -> Self {
        self.detail.push((key, value));
        self
    }
}

/// Writes an entry in the transaction of what it tells of. It waits for no
/// other writer; the chain takes it up later.
///
/// # Errors
/// [`Error::Database`]; the transaction cannot be committed then.
pub async fn record(unit: &Unit, entry: &Entry) -> Result<(), Error> {
    let row = log::ActiveModel {
        id: Set(Uuid::now_v7()),
        record_time: Set(unit.now().as_micros()),
        actor: Set(entry.actor.map(Uuid::from)),
        action: Set(entry.action.as_str().to_owned()),
        subject: Set(entry.subject),
        outcome: Set(entry.outcome.as_str().to_owned()),
        address: Set(entry.address.map(|address| address.to_canonical().to_string())),
        detail: Set(detail(&entry.detail)),
        seq: Set(None),
        hash: Set(None),
    };
    log::Entity::insert(row).exec_without_returning(&**unit).await?;
    Ok(())
}

fn detail(facts: &[(&'static str, Value)]) -> String {
    let facts = facts.iter().map(|(key, value)| {
        let value = match value {
            Value::Word(word) => json!(word),
            Value::Words(words) => json!(words),
            Value::Id(id) => json!(id.to_string()),
            Value::Key(name) => json!(name),
            Value::Names(names) => json!(names),
            Value::Number(number) => json!(number),
            Value::Flag(flag) => json!(flag),
        };
        ((*key).to_owned(), value)
    });
    serde_json::Value::Object(Map::from_iter(facts)).to_string()
}
