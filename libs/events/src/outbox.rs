//! The only way to publish: an event is appended in the transaction of the
//! change that it tells of.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

use countersign_types::{Clock, EventId, Timestamp};
use opentelemetry::context::FutureExt;
use prost::{Message, Name};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait, ExprTrait, Set,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
    sea_query::{Expr, OnConflict, Query},
};
use tokio::sync::Notify;
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    DATA_MAX, Error, Event,
    entity::{outbox, sequence, trace as traced},
    lane,
    listen::Notifier,
    trace,
};

/// One service's database, and the events that happen in it. Clones are the
/// same outbox.
#[derive(Clone)]
pub struct Outbox(Arc<Inner>);

struct Inner {
    db: DatabaseConnection,
    clock: Clock,
    source: &'static str,
    wake: Notify,
    notifier: Notifier,
}

/// A transaction that can append events. Dropped without a commit, it is
/// rolled back, and its events never were.
pub struct Unit {
    txn: DatabaseTransaction,
    outbox: Outbox,
    appended: Mutex<Vec<Event>>,
}

impl Outbox {
    /// The outbox in `db`; `source` is the service's name, such as `auth`.
    #[must_use]
    pub fn new(db: DatabaseConnection, clock: Clock, source: &'static str) -> Self {
        let (wake, notifier) = (Notify::new(), Notifier::default());
        Self(Arc::new(Inner { db, clock, source, wake, notifier }))
    }

    /// Begins a transaction that writes. On SQLite it takes the write lock at
    /// once (`BEGIN IMMEDIATE`): a transaction that reads first and writes
    /// later can fail at its first write, whatever the busy timeout.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn begin(&self) -> Result<Unit, Error> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        // On a task of its own, so that a caller who goes away does not stop it
        // half way: the driver would give the connection back with a
        // transaction open that it does not know of, and whoever has it next
        // would be told of commits that never are.
        let db = self.0.db.clone();
        let begin = async move { db.begin_with_options(options).await };
        let begin = tokio::spawn(begin.in_current_span().with_current_context());
        let txn = begin.await.map_err(|_| Error::Interrupted)??;
        Ok(Unit { txn, outbox: self.clone(), appended: Mutex::default() })
    }

    /// The database, for reads outside a transaction.
    #[must_use]
    pub fn db(&self) -> &DatabaseConnection {
        &self.0.db
    }

    /// The clock that gives events their times.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The service's name.
    #[must_use]
    pub fn source(&self) -> &'static str {
        self.0.source
    }

    /// Resolves when events were committed since it last resolved.
    pub(crate) async fn woken(&self) {
        self.0.wake.notified().await;
    }

    /// Wakes the relay of this process.
    pub(crate) fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// What tells the relays of other processes.
    pub(crate) fn notifier(&self) -> &Notifier {
        &self.0.notifier
    }
}

impl Unit {
    /// Appends an event that happened to `aggregate`, and gives it its place
    /// among the events of that aggregate. Events of the nil aggregate have no
    /// order.
    ///
    /// # Errors
    /// [`Error::Database`]; [`Error::TooLong`] above [`DATA_MAX`] bytes.
    pub async fn append<E: Message + Name>(
        &self,
        aggregate: Uuid,
        event: &E,
    ) -> Result<EventId, Error> {
        self.append_to(lane::FRESH, aggregate, event).await
    }

    /// As [`Unit::append`], for what anybody outside can cause in any number
    /// and nobody waits for: where much has to be published, it comes after
    /// all else but what is published again.
    ///
    /// # Errors
    /// As [`Unit::append`].
    pub async fn append_bulk<E: Message + Name>(
        &self,
        aggregate: Uuid,
        event: &E,
    ) -> Result<EventId, Error> {
        self.append_to(lane::BULK, aggregate, event).await
    }

    async fn append_to<E: Message + Name>(
        &self,
        lane: i64,
        aggregate: Uuid,
        event: &E,
    ) -> Result<EventId, Error> {
        let data = event.encode_to_vec();
        if data.len() > DATA_MAX {
            return Err(Error::TooLong { kind: E::full_name(), length: data.len() });
        }
        let sequence = self.next_sequence(aggregate).await?;
        // After the sequence, which waits for other writers of the aggregate:
        // so ids sort like sequences.
        let event = Event {
            id: EventId::generate(),
            kind: E::full_name(),
            source: self.outbox.0.source.to_owned(),
            aggregate,
            sequence: sequence.unwrap_or(0),
            time: self.now(),
            data,
            trace: trace::current(),
        };
        let row = outbox::ActiveModel {
            id: Set(event.id.as_uuid()),
            kind: Set(event.kind.clone()),
            source: Set(event.source.clone()),
            aggregate: Set(aggregate),
            sequence: Set(sequence),
            create_time: Set(event.time.as_micros()),
            data: Set(event.data.clone()),
            published_time: Set(None),
            // At once, whatever the clock of the replica that relays it says.
            next_attempt_time: Set(lane),
            attempts: Set(0),
            ..outbox::ActiveModel::default()
        };
        outbox::Entity::insert(row).exec_without_returning(&self.txn).await?;
        let id = event.id;
        if let Some(trace) = event.trace {
            let (event_id, traceparent) = (Set(id.as_uuid()), Set(trace.to_string()));
            let row = traced::ActiveModel { event_id, traceparent };
            traced::Entity::insert(row).exec_without_returning(&self.txn).await?;
        }
        self.appended.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        Ok(id)
    }

    /// Makes the change and its events permanent, and wakes the relay. A
    /// commit that has begun goes on, and wakes it, though its caller goes away.
    ///
    /// # Errors
    /// [`Error::Database`]; whether the commit took place is then not known.
    pub async fn commit(self) -> Result<(), Error> {
        self.commit_events().await?;
        Ok(())
    }

    /// As [`Unit::commit`]; returns the events that happened, in their order.
    ///
    /// # Errors
    /// As [`Unit::commit`].
    pub async fn commit_events(self) -> Result<Vec<Event>, Error> {
        self.finish(|_| ()).await
    }

    /// As [`Unit::commit`]; calls `then` with the events as soon as the change
    /// is permanent, though its caller has gone away meanwhile: it is the place
    /// to announce them ([`crate::Bus::announce`]).
    ///
    /// # Errors
    /// As [`Unit::commit`]; `then` is not called.
    pub async fn commit_then(
        self,
        then: impl FnOnce(&[Event]) + Send + 'static,
    ) -> Result<(), Error> {
        self.finish(then).await?;
        Ok(())
    }

    async fn finish(
        self,
        then: impl FnOnce(&[Event]) + Send + 'static,
    ) -> Result<Vec<Event>, Error> {
        let Self { txn, outbox, appended } = self;
        let events = appended.into_inner().unwrap_or_else(PoisonError::into_inner);
        // The engine finishes a commit whose future was dropped: what follows
        // from it must not hang on that future either.
        let commit = async move {
            txn.commit().await?;
            then(&events);
            if !events.is_empty() {
                outbox.wake();
                outbox.notifier().tell(&outbox);
            }
            Ok(events)
        };
        let commit = tokio::spawn(commit.in_current_span().with_current_context());
        commit.await.map_err(|_| Error::Interrupted)?
    }

    /// The time at which what happens in this unit happens.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.outbox.0.clock.now()
    }

    /// Undoes everything and gives the connection back before it returns;
    /// dropping the unit does the same a little later.
    ///
    /// # Errors
    /// [`Error::Database`]; the change is undone all the same.
    pub async fn rollback(self) -> Result<(), Error> {
        Ok(self.txn.rollback().await?)
    }

    async fn next_sequence(&self, aggregate: Uuid) -> Result<Option<i64>, DbErr> {
        if aggregate.is_nil() {
            return Ok(None);
        }
        let last = (sequence::Entity, sequence::Column::Last);
        let next = Query::insert()
            .into_table(sequence::Entity)
            .columns([sequence::Column::Aggregate, sequence::Column::Last])
            .values_panic([Expr::value(aggregate), Expr::value(1_i64)])
            .on_conflict(
                OnConflict::column(sequence::Column::Aggregate)
                    .value(sequence::Column::Last, Expr::col(last).add(1_i64))
                    .to_owned(),
            )
            .returning_col(sequence::Column::Last)
            .take();
        match self.txn.query_one(&next).await? {
            Some(row) => row.try_get("", "last").map(Some),
            None => Err(DbErr::RecordNotInserted),
        }
    }
}

impl Deref for Unit {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.txn
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outbox({})", self.0.source)
    }
}

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unit({})", self.outbox.0.source)
    }
}
