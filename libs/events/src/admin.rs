//! What an operator does to events, straight on a service's database and
//! while the service runs: its relay and consumers find the changes at their
//! next look.

use std::{collections::HashMap, time::Duration};

use countersign_types::{EventId, Timestamp};
use sea_orm::{
    ColumnTrait, Condition, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::Expr,
};
use uuid::Uuid;

use crate::{
    Backoff, DeadLetter, Error, Event, dead,
    entity::{dead_letter, outbox, trace},
    lane, listen,
    reason::is_conflict,
};

/// The most rows that one call lists.
pub const LIST_MAX: u64 = 1000;

/// Rows that one statement of a replay changes, so that others can write in between.
const REPLAY_BATCH: u64 = 1000;
/// How often a batch is tried at most, and the waits in between.
const REPLAY_TRIES: u32 = 8;
const REPLAY_WAIT: Backoff =
    Backoff { first: Duration::from_millis(10), max: Duration::from_millis(500) };

/// Which events to list; the default is the latest [`LIST_MAX`].
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only events of this kind (full name of the message).
    pub kind: Option<String>,
    /// Only events that are not published.
    pub unpublished: bool,
    /// Only events from this time on.
    pub since: Option<Timestamp>,
    /// At most so many; 0 and more than [`LIST_MAX`] mean [`LIST_MAX`].
    pub limit: u64,
}

/// An event in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The event.
    pub event: Event,
    /// When the stream had it; on the bus in memory, when every consumer had settled it.
    pub published_time: Option<Timestamp>,
    /// Its place in the stream.
    pub stream_sequence: Option<i64>,
    /// Before this time it is not published (again).
    pub next_attempt_time: Timestamp,
    /// Publishes that failed.
    pub attempts: u32,
}

/// The events that the service has published or will publish, latest first.
///
/// # Errors
/// [`Error::Database`].
pub async fn list(db: &DatabaseConnection, filter: &Filter) -> Result<Vec<Entry>, Error> {
    let mut condition = of_kind_since(filter.kind.as_deref(), filter.since);
    if filter.unpublished {
        condition = condition.add(outbox::Column::PublishedTime.is_null());
    }
    let rows = outbox::Entity::find()
        .filter(condition)
        .order_by_desc(outbox::Column::Id)
        .limit(bounded(filter.limit))
        .all(db)
        .await?;
    let ids = rows.iter().map(|row| row.id);
    let traces = trace::Entity::find().filter(trace::Column::EventId.is_in(ids)).all(db).await?;
    let traces: HashMap<Uuid, String> =
        traces.into_iter().map(|row| (row.event_id, row.traceparent)).collect();
    let entries = rows.into_iter().map(|row| {
        let trace = traces.get(&row.id).map(String::as_str);
        let entry = Entry::from(row);
        Entry { event: entry.event.in_trace(trace), ..entry }
    });
    Ok(entries.collect())
}

/// The dead letters of the service's consumers, latest first; `limit` as in [`Filter`].
///
/// # Errors
/// [`Error::Database`].
pub async fn dead(db: &DatabaseConnection, limit: u64) -> Result<Vec<DeadLetter>, Error> {
    let rows = dead_letter::Entity::find()
        .order_by_desc(dead_letter::Column::DeadTime)
        .order_by_desc(dead_letter::Column::EventId)
        .limit(bounded(limit))
        .all(db)
        .await?;
    Ok(rows.into_iter().map(DeadLetter::from).collect())
}

/// Asks for one more delivery of a dead letter. False where there is no such letter.
///
/// # Errors
/// [`Error::Database`].
pub async fn requeue(
    db: &DatabaseConnection,
    event: EventId,
    consumer: &str,
) -> Result<bool, Error> {
    // Orders the queue only; no test needs to turn this clock.
    let now = countersign_types::Clock::system().now();
    Ok(dead::requeue(db, consumer, event, now).await?)
}

/// Throws a dead letter away; the consumer will never see that event. False
/// where there is no such letter.
///
/// # Errors
/// [`Error::Database`].
pub async fn drop(db: &DatabaseConnection, event: EventId, consumer: &str) -> Result<bool, Error> {
    let deleted =
        dead_letter::Entity::delete_by_id((consumer.to_owned(), event.as_uuid())).exec(db).await?;
    Ok(deleted.rows_affected == 1)
}

/// Publishes again what happened from `since` on, of one kind or of all, after
/// what is new and no faster than consumers take it.
/// Consumers that have settled an event recognise it; one that is new, or
/// whose inbox was lost, gets it. Returns how many events will come again.
///
/// # Errors
/// [`Error::Database`]; what was changed before the error comes again all the same.
pub async fn replay(
    db: &DatabaseConnection,
    since: Timestamp,
    kind: Option<&str>,
) -> Result<u64, Error> {
    let mut replayed = 0;
    let mut after = Uuid::nil();
    // By id, so that what a running relay publishes meanwhile is not taken twice.
    loop {
        let ids: Vec<Uuid> = outbox::Entity::find()
            .select_only()
            .column(outbox::Column::Id)
            .filter(of_kind_since(kind, Some(since)))
            .filter(outbox::Column::PublishedTime.is_not_null())
            .filter(outbox::Column::Id.gt(after))
            .order_by_asc(outbox::Column::Id)
            .limit(REPLAY_BATCH)
            .into_tuple()
            .all(db)
            .await?;
        let Some(&last) = ids.last() else {
            if replayed > 0 {
                listen::notify(db).await;
            }
            return Ok(replayed);
        };
        after = last;
        replayed += publish_again(db, &ids).await?;
    }
}

/// A relay may have some of the rows in hand, in another order: who loses does
/// it again.
async fn publish_again(db: &DatabaseConnection, ids: &[Uuid]) -> Result<u64, Error> {
    let update = outbox::Entity::update_many()
        .col_expr(outbox::Column::PublishedTime, Expr::value(Option::<i64>::None))
        .col_expr(outbox::Column::NextAttemptTime, Expr::value(lane::AGAIN))
        .col_expr(outbox::Column::Attempts, Expr::value(0))
        .filter(outbox::Column::Id.is_in(ids.iter().copied()));
    for tries in 1.. {
        match update.clone().exec(db).await {
            Err(error) if is_conflict(&error) && tries < REPLAY_TRIES => {
                tokio::time::sleep(REPLAY_WAIT.delay(tries)).await;
            }
            done => return Ok(done?.rows_affected),
        }
    }
    Ok(0)
}

impl From<outbox::Model> for Entry {
    fn from(row: outbox::Model) -> Self {
        Self {
            published_time: row.published_time.map(Timestamp::from_micros),
            stream_sequence: row.stream_sequence,
            next_attempt_time: Timestamp::from_micros(row.next_attempt_time),
            attempts: u32::try_from(row.attempts).unwrap_or(0),
            event: row.into(),
        }
    }
}

fn of_kind_since(kind: Option<&str>, since: Option<Timestamp>) -> Condition {
    Condition::all()
        .add_option(kind.map(|kind| outbox::Column::Kind.eq(kind)))
        .add_option(since.map(|since| outbox::Column::CreateTime.gte(since.as_micros())))
}

fn bounded(limit: u64) -> u64 {
    if limit == 0 { LIST_MAX } else { limit.min(LIST_MAX) }
}
