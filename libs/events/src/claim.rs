//! Which relay has which row: a claim for a time, in statements that every
//! engine understands.
//!
//! Only the first unpublished event of an aggregate can be claimed, so at any
//! time one relay has an aggregate in hand, and an aggregate with many events
//! has no more of a batch than one with few. A claim that ran out is taken over,
//! and so is one that reaches further than any claim does: the clock of who
//! made it is ahead, and nobody waits for a clock.

use std::time::Duration;

use countersign_types::Timestamp;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait,
    ExprTrait, FromQueryResult, Iterable, QueryFilter, QuerySelect,
    sea_query::{
        Alias, CaseStatement, CommonTableExpression, Expr, Func, IntoIden, LockBehavior, LockType,
        Order, Query, SelectStatement,
    },
};
use uuid::Uuid;

use crate::{
    Event,
    entity::{
        outbox::{self, Column},
        trace,
    },
    lane,
};

/// An event that the bus has, and its place in the stream.
pub(crate) type Published = (Uuid, Option<i64>);

/// Which rows to take in hand, and how many at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The first lane to look into; the earlier ones have had their turn.
    pub from_lane: i64,
    /// Whether what is published again may come along.
    pub again: bool,
    pub limit: u64,
}

/// A row in hand.
pub(crate) struct Claimed {
    pub event: Event,
    /// Publishes that failed.
    pub attempts: u32,
    /// Where the stream had it before.
    pub stream_sequence: Option<i64>,
    /// Whether it is in the lane of what is published again.
    pub again: bool,
}

/// Takes due rows in hand: by lanes, and the oldest first in each. Of an
/// aggregate it is the first unpublished one, in the place of the one that is
/// first by its lane: an event does not wait for the lane of those before it.
pub(crate) async fn claim(
    db: &DatabaseConnection,
    claimant: Uuid,
    now: Timestamp,
    lease: Duration,
    choice: Choice,
) -> Result<Vec<Claimed>, DbErr> {
    use Column::{Id, PublishedTime};
    // Once: as a mere subquery it may be run for each row that could be taken,
    // and then skips what it has locked itself, and takes more than it should.
    let name = Alias::new("due");
    let due = CommonTableExpression::new()
        .table_name(name.clone())
        .column(Id)
        .query(due(claimant, now, lease, choice))
        .materialized(true)
        .to_owned();
    let ids = Query::select().column((name.clone(), Id)).from(name).take();
    // Asked again outside: a row that another relay took while this statement
    // waited for it is not this one's.
    let take = Query::update()
        .with_cte(due)
        .table(outbox::Entity)
        .value(Column::Claimant, claimant)
        .value(Column::ClaimUntil, now.plus(lease).as_micros())
        .and_where(Id.in_subquery(ids))
        .and_where(Expr::col((outbox::Entity, PublishedTime)).is_null())
        .cond_where(unclaimed(outbox::Entity, claimant, now, lease))
        // By name: a migration that adds a column to all of them would break
        // the statements that PostgreSQL has prepared.
        .returning(
            Query::returning().exprs(Column::iter().map(Expr::col).chain([Expr::from(trace())])),
        )
        .take();
    let mut rows = Vec::new();
    for row in db.query_all(&take).await? {
        // The last column, by its place: what engines call it differs.
        let trace: Option<String> = row.try_get_by_index(Column::iter().count())?;
        let row = outbox::Model::from_query_result(&row, "")?;
        rows.push(Claimed {
            attempts: u32::try_from(row.attempts).unwrap_or(0),
            stream_sequence: row.stream_sequence,
            again: row.next_attempt_time == lane::AGAIN,
            event: Event::from(row).in_trace(trace.as_deref()),
        });
    }
    rows.sort_by_key(|row| row.event.id);
    Ok(rows)
}

/// The ids of the rows to take.
fn due(claimant: Uuid, now: Timestamp, lease: Duration, choice: Choice) -> SelectStatement {
    use Column::{Aggregate, Id, NextAttemptTime, PublishedTime, Sequence};
    let row = |column: Column| Expr::col((outbox::Entity, column));
    let (before, behind, first) = (Alias::new("before"), Alias::new("behind"), Alias::new("first"));
    // Others of the aggregate that are not published. Each is asked for by the
    // index for one row at a time, whatever the engine thinks how many rows there
    // are: an `EXISTS` is turned into a join, which after a long absence of the
    // broker compares each row with each other.
    let others = |name: &Alias| {
        let other = |column: Column| Expr::col((name.clone(), column));
        Query::select()
            .from_as(outbox::Entity, name.clone())
            .and_where(other(Aggregate).eq(row(Aggregate)))
            .and_where(other(PublishedTime).is_null())
            .take()
    };
    let earlier = |column: Column| Expr::col((before.clone(), column));
    let stands_before = others(&before)
        .expr(Expr::value(1))
        .and_where(earlier(Sequence).lt(row(Sequence)))
        .cond_where(
            Condition::any()
                .add(earlier(NextAttemptTime).lte(row(NextAttemptTime)))
                .add(earlier(NextAttemptTime).gt(now.as_micros()))
                .add(unclaimed(before.clone(), claimant, now, lease).not()),
        )
        .limit(1)
        .take();
    let later = |column: Column| Expr::col((behind.clone(), column));
    let goes_first = others(&behind)
        .expr(Expr::value(1))
        .and_where(later(Sequence).gt(row(Sequence)))
        .and_where(later(NextAttemptTime).lt(row(NextAttemptTime)))
        .limit(1)
        .take();
    let head = others(&first)
        .column((first.clone(), Id))
        .and_where(Expr::col((first.clone(), Sequence)).lt(row(Sequence)))
        .order_by((first, Sequence), Order::Asc)
        .limit(1)
        .take();
    let last_lane = if choice.again { now.as_micros() } else { lane::AGAIN - 1 };
    let alone = Condition::any()
        .add(row(NextAttemptTime).eq(lane::FRESH))
        .add(Expr::from(goes_first).is_null());
    // SKIP LOCKED, where the engine has it: two relays that look at once do
    // not wait for each other's rows. One row stands for its aggregate, so
    // they have no aggregate in common. SQLite has one writer anyway.
    Query::select()
        .expr(Func::coalesce([Expr::from(head), row(Id)]))
        .from(outbox::Entity)
        .and_where(row(PublishedTime).is_null())
        .cond_where(unclaimed(outbox::Entity, claimant, now, lease))
        .and_where(row(NextAttemptTime).between(choice.from_lane, last_lane))
        .and_where(Expr::from(stands_before).is_null())
        .cond_where(alone)
        .order_by((outbox::Entity, NextAttemptTime), Order::Asc)
        .order_by((outbox::Entity, Id), Order::Asc)
        .limit(choice.limit)
        .lock_with_tables_behavior(LockType::Update, [outbox::Entity], LockBehavior::SkipLocked)
        .take()
}

/// The trace of the row in hand.
fn trace() -> SelectStatement {
    Query::select()
        .column((trace::Entity, trace::Column::Traceparent))
        .from(trace::Entity)
        .and_where(
            Expr::col((trace::Entity, trace::Column::EventId)).equals((outbox::Entity, Column::Id)),
        )
        .take()
}

/// Rows that are in nobody else's hand.
fn unclaimed(table: impl IntoIden, claimant: Uuid, now: Timestamp, lease: Duration) -> Condition {
    let table = table.into_iden();
    let column = |column: Column| Expr::col((table.clone(), column));
    Condition::any()
        .add(column(Column::ClaimUntil).is_null())
        .add(column(Column::ClaimUntil).lt(now.as_micros()))
        .add(column(Column::ClaimUntil).gt(now.plus(lease * 2).as_micros()))
        .add(column(Column::Claimant).eq(claimant))
}

/// Holds what is in hand for longer.
pub(crate) async fn renew(
    db: &DatabaseConnection,
    claimant: Uuid,
    now: Timestamp,
    lease: Duration,
) -> Result<(), DbErr> {
    outbox::Entity::update_many()
        .col_expr(Column::ClaimUntil, Expr::value(now.plus(lease).as_micros()))
        .filter(Column::PublishedTime.is_null())
        .filter(Column::Claimant.eq(claimant))
        .exec(db)
        .await?;
    Ok(())
}

/// Marks rows as published.
pub(crate) async fn published(
    db: &DatabaseConnection,
    rows: &[Published],
    now: Timestamp,
) -> Result<(), DbErr> {
    if rows.is_empty() {
        return Ok(());
    }
    let ids = rows.iter().map(|&(id, _)| id);
    let mut update = outbox::Entity::update_many()
        .col_expr(Column::PublishedTime, Expr::value(now.as_micros()))
        .col_expr(Column::Claimant, Expr::value(Option::<Uuid>::None))
        .col_expr(Column::ClaimUntil, Expr::value(Option::<i64>::None))
        .filter(Column::Id.is_in(ids));
    let mut sequences = CaseStatement::new();
    let mut any = false;
    for &(id, sequence) in rows {
        if let Some(sequence) = sequence {
            sequences = sequences.case(Column::Id.eq(id), Expr::value(sequence));
            any = true;
        }
    }
    if any {
        update = update.col_expr(Column::StreamSequence, sequences.into());
    }
    update.exec(db).await?;
    Ok(())
}

/// Puts a row off.
pub(crate) async fn deferred(
    db: &DatabaseConnection,
    id: Uuid,
    failures: u32,
    next: Timestamp,
) -> Result<(), DbErr> {
    let attempts = i32::try_from(failures).unwrap_or(i32::MAX);
    outbox::Entity::update_many()
        .col_expr(Column::NextAttemptTime, Expr::value(next.as_micros()))
        .col_expr(Column::Attempts, Expr::value(attempts))
        .col_expr(Column::Claimant, Expr::value(Option::<Uuid>::None))
        .col_expr(Column::ClaimUntil, Expr::value(Option::<i64>::None))
        .filter(Column::Id.eq(id))
        .exec(db)
        .await?;
    Ok(())
}

/// Gives back what was not begun with.
pub(crate) async fn release(db: &DatabaseConnection, claimant: Uuid) -> Result<(), DbErr> {
    outbox::Entity::update_many()
        .col_expr(Column::Claimant, Expr::value(Option::<Uuid>::None))
        .col_expr(Column::ClaimUntil, Expr::value(Option::<i64>::None))
        .filter(Column::PublishedTime.is_null())
        .filter(Column::Claimant.eq(claimant))
        .exec(db)
        .await?;
    Ok(())
}

/// Publishes these again, what happened from `recent` on ahead of the rest. The
/// place in the stream stays: it tells the broker one publish from the next.
pub(crate) async fn publish_again(
    db: &DatabaseConnection,
    ids: Vec<Uuid>,
    recent: Timestamp,
) -> Result<u64, DbErr> {
    let is_recent = Column::CreateTime.gte(recent.as_micros());
    let lane = CaseStatement::new().case(is_recent, lane::BULK).finally(lane::AGAIN);
    let updated = outbox::Entity::update_many()
        .col_expr(Column::PublishedTime, Expr::value(Option::<i64>::None))
        .col_expr(Column::NextAttemptTime, lane.into())
        .col_expr(Column::Attempts, Expr::value(0))
        .filter(Column::Id.is_in(ids))
        .filter(Column::PublishedTime.is_not_null())
        .exec(db)
        .await?;
    Ok(updated.rows_affected)
}

/// Whether anything that happened since `recent` and was in a stream before is
/// still on its way to this one. It goes ahead of the rest, also where an
/// operator has all of it published again.
pub(crate) async fn refills(db: &DatabaseConnection, recent: Timestamp) -> Result<bool, DbErr> {
    let on_its_way = Condition::all()
        .add(Column::PublishedTime.is_null())
        .add(Column::StreamSequence.is_not_null())
        .add(Column::CreateTime.gte(recent.as_micros()));
    outbox::Entity::update_many()
        .col_expr(Column::NextAttemptTime, Expr::value(lane::BULK))
        .filter(on_its_way.clone())
        .filter(Column::NextAttemptTime.eq(lane::AGAIN))
        .exec(db)
        .await?;
    let row = outbox::Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(on_its_way)
        .limit(1)
        .into_tuple::<Uuid>()
        .one(db)
        .await?;
    Ok(row.is_some())
}

/// Who claims. A SQLite file belongs to one process, so what its last life had
/// in hand is this one's at once.
pub(crate) fn claimant(db: &DatabaseConnection) -> Uuid {
    if db.get_database_backend() == DbBackend::Sqlite { Uuid::nil() } else { Uuid::new_v4() }
}
