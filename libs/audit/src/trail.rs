//! The trail of one service, as its calls use it outside of transactions.

use countersign_contracts::audit::v1::AuditEvent;
use countersign_events::Outbox;
use countersign_guard::{Caller, ListCall, Peer, Permit, Visible};
use countersign_mesh::database::{self, List};
use countersign_types::{Denial, UserId};
use opentelemetry::{global, metrics::Counter};
use sea_orm::prelude::Uuid;
use tokio::sync::mpsc;

use crate::{
    Action, Asides, Config, Entry, Error, Outcome, Reads, Value, asides::Inlets, convert, filter,
    list::list, record,
};

/// Takes what belongs to no transaction, and answers who asks. Clones are the
/// same trail.
#[derive(Clone, Debug)]
pub struct Trail {
    outbox: Outbox,
    reads: Reads,
    entries: mpsc::Sender<Entry>,
    dropped: Counter<u64>,
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listed {
    /// The entries, the latest first.
    pub events: Vec<AuditEvent>,
    /// Gives the next page; empty on the last one.
    pub next_page_token: String,
}

/// What a list of entries is asked for, as in the contracts.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Which entries.
    pub filter: &'a str,
    /// How many on a page.
    pub page_size: i32,
    /// The token of the page before.
    pub page_token: &'a str,
}

impl Trail {
    /// The trail in the database of `outbox`; where the guard of the service sends
    /// what it denies; and what writes all of it.
    #[must_use]
    pub fn new(outbox: Outbox, config: &Config) -> (Self, mpsc::Sender<Denial>, Asides) {
        let (Inlets { denials, entries }, asides) = Asides::new(outbox.clone());
        let dropped = global::meter("countersign.audit")
            .u64_counter("countersign.audit.dropped")
            .with_description("entries that found no room")
            .build();
        (Self { outbox, reads: config.reads, entries, dropped }, denials, asides)
    }

    /// Takes an entry that nobody waits for; without room it is dropped and
    /// counted (`countersign.audit.dropped`).
    pub fn note(&self, entry: Entry) {
        if self.entries.try_send(self.dated(entry)).is_err() {
            self.dropped.add(1, &[]);
        }
    }

    /// Puts on record that somebody reads what belongs to `owner`: nothing,
    /// where that is the caller. The answer is given afterwards, or not at all
    /// ([`Config::reads`]).
    ///
    /// # Errors
    /// [`Error::Full`], and those of the database.
    pub async fn read(&self, owner: UserId, permit: &Permit, peer: &Peer) -> Result<(), Error> {
        if owner == permit.user_id() {
            return Ok(());
        }
        let entry = Entry::new(Action::SensitiveRead, Outcome::Success)
            .permitted(permit, peer)
            .account(owner)
            .subject(owner);
        self.put(entry).await
    }

    /// The same of a list, of which `others` entries belong to others.
    ///
    /// # Errors
    /// As [`Trail::read`].
    pub async fn listed(
        &self,
        others: usize,
        visible: &Visible,
        caller: &Caller,
        peer: &Peer,
    ) -> Result<(), Error> {
        if others == 0 {
            return Ok(());
        }
        let others = i64::try_from(others).unwrap_or(i64::MAX);
        let entry = Entry::new(Action::SensitiveRead, Outcome::Success)
            .by(caller, peer)
            .with("rpc", Value::Word(visible.rpc()))
            .with("resource", Value::Word(visible.resource_type()))
            .with("listed", Value::Number(others));
        self.put(entry).await
    }

    /// A page of the entries that the caller may see.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a filter or a page token that is none; those of
    /// [`Trail::read`].
    pub async fn page<M>(&self, call: &ListCall<M>, asked: Asked<'_>) -> Result<Listed, Error> {
        let ListCall { visible, caller, peer, .. } = call;
        let me = caller.user_id();
        let terms = filter::parse(asked.filter, me)?;
        let list_of = List { rpc: visible.rpc(), caller: me.into(), filter: asked.filter };
        let page = list_of.page(asked.page_size, asked.page_token);
        let page = page.map_err(|rule| Error::Invalid(vec![rule]))?;
        let mut rows = list(self.outbox.db(), visible, &terms, page).await?;
        let next_page_token = list_of.cut(page, &mut rows, |row| row.id);
        let others = rows.iter().filter(|row| row.account != Uuid::from(me)).count();
        self.listed(others, visible, caller, peer).await?;
        Ok(Listed { events: rows.iter().map(convert::message).collect(), next_page_token })
    }

    async fn put(&self, entry: Entry) -> Result<(), Error> {
        match self.reads {
            Reads::Refuse => database::retry(Error::is_conflict, || self.write(&entry)).await,
            Reads::Queue => self.entries.try_send(self.dated(entry)).map_err(|_| Error::Full),
        }
    }

    async fn write(&self, entry: &Entry) -> Result<(), Error> {
        let unit = self.outbox.begin().await?;
        record(&unit, entry).await?;
        Ok(unit.commit().await?)
    }

    /// It happens now, whenever it is written.
    fn dated(&self, entry: Entry) -> Entry {
        let trace = entry.trace.or_else(countersign_events::current_trace);
        Entry { time: Some(self.outbox.clock().now()), trace, ..entry }
    }
}
