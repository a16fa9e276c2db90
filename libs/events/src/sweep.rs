//! Compares the outbox with the stream. The database is the source of truth:
//! what was published and is not in the stream any more is published again.
//!
//! It goes through the rows in the order in which they were published and
//! reads, for each batch, which ids the stream has between their sequences.
//! Normally a row is compared once, when a power cut cannot take it back any
//! more; all rows are compared at once when the stream is another one than
//! before, or has shrunk. When all that followers need is there, a mark in the
//! stream says so: until then a young stream may lack what they must know.

use std::{collections::HashSet, time::Duration};

use countersign_types::Timestamp;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use crate::{
    Error, Outbox, claim,
    entity::{chore, outbox},
    jetstream::{JetStream, Window},
};

const CHORE: &str = "sweep";

/// Rows compared in one step.
const BATCH: u64 = 1000;

/// How long after its publication a row is compared: longer than a broker may
/// acknowledge what it has not written (two minutes, unless told otherwise).
const SETTLED: Duration = Duration::from_mins(3);

/// The longest horizon of a follower that a mark is good for: what happened in
/// this time goes back to the stream ahead of the rest, and before the mark.
pub(crate) const FOLLOWED: Duration = Duration::from_hours(2);

/// How far clocks may be apart.
const SKEW: Duration = Duration::from_mins(1);

/// What one comparison came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Published rows that were compared.
    pub compared: u64,
    /// How many of them the stream has lost; they are published again.
    pub missing: u64,
    /// Whether there are more to compare.
    pub more: bool,
    /// Whether the stream is still to get back what its followers need.
    pub refilling: bool,
    /// Whether another replica is at it, which may be gone, or of a version that
    /// marks no stream.
    pub elsewhere: bool,
}

/// A published row's id, when it was published, and where.
type Row = (Uuid, i64, Option<i64>);

pub(crate) async fn step(
    outbox: &Outbox,
    broker: &JetStream,
    holder: Uuid,
    lease: Duration,
) -> Result<Sweep, Error> {
    let (db, now) = (outbox.db(), outbox.clock().now());
    let Some(mut state) = take(db, holder, now, lease).await? else {
        return Ok(Sweep { elsewhere: true, ..Sweep::default() });
    };
    let window = broker.window().await?;
    let created = window.created.as_micros();
    let lost = state.stream_created != created || window.last < state.stream_last;
    if lost {
        if state.stream_created != 0 {
            tracing::warn!(
                relay = ?outbox,
                stream.last = window.last,
                stream.last_before = state.stream_last,
                "the stream is another one than before, or has lost its end: comparing all"
            );
        }
        state.cursor_time = i64::MIN;
        state.cursor = Uuid::nil();
        state.urgent_until = now.as_micros();
    }
    let until = now.minus(SETTLED).as_micros().max(state.urgent_until);
    let rows = between(db, (state.cursor_time, state.cursor), until).await?;
    let missing = missing(broker, outbox.source(), &rows, window, now).await?;
    let mut swept = Sweep {
        compared: u64::try_from(rows.len()).unwrap_or(u64::MAX),
        missing: 0,
        more: u64::try_from(rows.len()).is_ok_and(|rows| rows >= BATCH),
        refilling: false,
        elsewhere: false,
    };
    if !missing.is_empty() {
        let recent = now.minus(FOLLOWED);
        swept.missing = claim::publish_again(db, missing, recent).await?;
        tracing::error!(
            relay = ?outbox,
            events = swept.missing,
            "the stream has lost events: publishing them again"
        );
    }
    if let Some(&(id, published, _)) = rows.last() {
        (state.cursor_time, state.cursor) = (published, id);
    }
    state.stream_created = created;
    state.stream_last = window.last;
    keep(db, holder, state).await?;
    if !swept.more && !broker.is_marked(outbox.source(), window.created).await? {
        swept.refilling = claim::refills(db, now.minus(FOLLOWED)).await?;
        if !swept.refilling {
            broker.mark(outbox.source(), window.created).await?;
        }
    }
    Ok(swept)
}

/// The ids of rows that should be in the stream and are not.
async fn missing(
    broker: &JetStream,
    source: &str,
    rows: &[Row],
    window: Window,
    now: Timestamp,
) -> Result<Vec<Uuid>, Error> {
    let aged = now.minus(window.max_age).plus(SKEW).as_micros();
    let expected: Vec<(Uuid, i64)> = rows
        .iter()
        .filter(|&&(_, published, _)| window.max_age.is_zero() || published > aged)
        .filter_map(|&(id, _, sequence)| Some((id, sequence?)))
        .filter(|&(_, sequence)| !window.bounded || sequence >= window.first)
        .collect();
    let there: Vec<i64> = expected
        .iter()
        .map(|&(_, sequence)| sequence)
        .filter(|sequence| (window.first..=window.last).contains(sequence))
        .collect();
    let ids = match (there.iter().min(), there.iter().max()) {
        (Some(&first), Some(&last)) => broker.ids(source, first, last).await?,
        _ => HashSet::new(),
    };
    Ok(expected.into_iter().map(|(id, _)| id).filter(|id| !ids.contains(id)).collect())
}

/// Rows published behind the cursor and up to a time.
async fn between(
    db: &DatabaseConnection,
    (time, id): (i64, Uuid),
    until: i64,
) -> Result<Vec<Row>, DbErr> {
    use outbox::Column::{Id, PublishedTime, StreamSequence};
    let same_time = Condition::all().add(PublishedTime.eq(time)).add(Id.gt(id));
    outbox::Entity::find()
        .select_only()
        .columns([Id, PublishedTime, StreamSequence])
        .filter(PublishedTime.is_not_null())
        .filter(PublishedTime.lte(until))
        .filter(Condition::any().add(PublishedTime.gt(time)).add(same_time))
        .order_by_asc(PublishedTime)
        .order_by_asc(Id)
        .limit(BATCH)
        .into_tuple()
        .all(db)
        .await
}

/// Takes the chore, where no other replica has it.
async fn take(
    db: &DatabaseConnection,
    holder: Uuid,
    now: Timestamp,
    lease: Duration,
) -> Result<Option<chore::Model>, DbErr> {
    let fresh = chore::ActiveModel {
        name: Set(CHORE.to_owned()),
        holder: Set(holder),
        lease_until: Set(0),
        stream_created: Set(0),
        stream_last: Set(0),
        cursor_time: Set(i64::MIN),
        cursor: Set(Uuid::nil()),
        urgent_until: Set(0),
    };
    let known = OnConflict::column(chore::Column::Name).do_nothing().to_owned();
    if chore::Entity::find_by_id(CHORE.to_owned()).one(db).await?.is_none() {
        chore::Entity::insert(fresh).on_conflict(known).exec_without_returning(db).await?;
    }
    let free = Condition::any()
        .add(chore::Column::Holder.eq(holder))
        .add(chore::Column::LeaseUntil.lt(now.as_micros()));
    let taken = chore::Entity::update_many()
        .col_expr(chore::Column::Holder, Expr::value(holder))
        .col_expr(chore::Column::LeaseUntil, Expr::value(now.plus(lease).as_micros()))
        .filter(chore::Column::Name.eq(CHORE))
        .filter(free)
        .exec(db)
        .await?;
    if taken.rows_affected == 0 {
        return Ok(None);
    }
    chore::Entity::find_by_id(CHORE.to_owned()).one(db).await
}

/// Notes how far it has come; nothing, where another has taken over.
async fn keep(db: &DatabaseConnection, holder: Uuid, state: chore::Model) -> Result<(), DbErr> {
    chore::Entity::update_many()
        .col_expr(chore::Column::StreamCreated, Expr::value(state.stream_created))
        .col_expr(chore::Column::StreamLast, Expr::value(state.stream_last))
        .col_expr(chore::Column::CursorTime, Expr::value(state.cursor_time))
        .col_expr(chore::Column::Cursor, Expr::value(state.cursor))
        .col_expr(chore::Column::UrgentUntil, Expr::value(state.urgent_until))
        .filter(chore::Column::Name.eq(CHORE))
        .filter(chore::Column::Holder.eq(holder))
        .exec(db)
        .await?;
    Ok(())
}
