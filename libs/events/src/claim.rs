//! Which relay has which row: a claim for a time, in statements that every
//! engine understands.
//!
//! Only the first unpublished event of an aggregate can be claimed, so at any
//! time one relay has an aggregate in hand. A claim that ran out is taken over,
//! and so is one that reaches further than any claim does: the clock of who
//! made it is ahead, and nobody waits for a clock.

use std::time::Duration;

use countersign_types::Timestamp;
use sea_orm::ConnectionTrait;
use sea_orm::{
    ColumnTrait, Condition, DatabaseConnection, DbBackend, DbErr, EntityTrait, ExprTrait,
    FromQueryResult, QueryFilter,
    sea_query::{
        Alias, CaseStatement, CommonTableExpression, Expr, Func, LockBehavior, LockType, Order,
        Query,
    },
};
use uuid::Uuid;

use crate::entity::outbox::{self, Column};

/// An event that the bus has, and its place in the stream.
pub(crate) type Published = (Uuid, Option<i64>);

/// Takes up to `batch` due rows in hand, oldest first.
pub(crate) async fn claim(
    db: &DatabaseConnection,
    claimant: Uuid,
    now: Timestamp,
    lease: Duration,
    batch: u64,
) -> Result<Vec<outbox::Model>, DbErr> {
    let earlier = Alias::new("earlier");
    // Asked for each row, by the index, whatever the engine thinks how many
    // rows there are: as `NOT EXISTS` it is turned into a join, which after a
    // long absence of the broker compares each row with each other.
    let first = Query::select()
        .expr(Func::min(Expr::col((earlier.clone(), Column::Sequence))))
        .from_as(outbox::Entity, earlier.clone())
        .and_where(
            Expr::col((earlier.clone(), Column::Aggregate))
                .equals((outbox::Entity, Column::Aggregate)),
        )
        .and_where(Expr::col((earlier, Column::PublishedTime)).is_null())
        .take();
    let sequence = Expr::col((outbox::Entity, Column::Sequence));
    let is_first =
        Condition::any().add(sequence.clone().is_null()).add(sequence.eq(Expr::from(first)));
    // SKIP LOCKED, where the engine has it: two relays that look at once do
    // not wait for each other's rows. SQLite has one writer anyway.
    let due = Query::select()
        .column((outbox::Entity, Column::Id))
        .from(outbox::Entity)
        .cond_where(free(claimant, now, lease))
        .and_where(Column::NextAttemptTime.lte(now.as_micros()))
        .cond_where(is_first)
        .order_by((outbox::Entity, Column::Id), Order::Asc)
        .limit(batch)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .take();
    // Once: as a mere subquery it may be run for each row that could be taken,
    // and then skips what it has locked itself, and takes more than it should.
    let name = Alias::new("due");
    let due = CommonTableExpression::new()
        .table_name(name.clone())
        .column(Column::Id)
        .query(due)
        .materialized(true)
        .to_owned();
    let ids = Query::select().column((name.clone(), Column::Id)).from(name).take();
    // Asked again outside: a row that another relay took while this statement
    // waited for it is not this one's.
    let take = Query::update()
        .with_cte(due)
        .table(outbox::Entity)
        .value(Column::Claimant, claimant)
        .value(Column::ClaimUntil, now.plus(lease).as_micros())
        .and_where(Column::Id.in_subquery(ids))
        .cond_where(free(claimant, now, lease))
        .returning_all()
        .take();
    let rows = db.query_all(&take).await?;
    let rows = rows.iter().map(|row| outbox::Model::from_query_result(row, ""));
    let mut rows: Vec<_> = rows.collect::<Result<_, _>>()?;
    rows.sort_by_key(|row| row.id);
    Ok(rows)
}

/// Unpublished rows that are in nobody else's hand.
fn free(claimant: Uuid, now: Timestamp, lease: Duration) -> Condition {
    let unclaimed = Condition::any()
        .add(Column::ClaimUntil.is_null())
        .add(Column::ClaimUntil.lt(now.as_micros()))
        .add(Column::ClaimUntil.gt(now.plus(lease * 2).as_micros()))
        .add(Column::Claimant.eq(claimant));
    Condition::all().add(Column::PublishedTime.is_null()).add(unclaimed)
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

/// Publishes these again.
pub(crate) async fn publish_again(db: &DatabaseConnection, ids: Vec<Uuid>) -> Result<u64, DbErr> {
    let updated = outbox::Entity::update_many()
        .col_expr(Column::PublishedTime, Expr::value(Option::<i64>::None))
        .col_expr(Column::StreamSequence, Expr::value(Option::<i64>::None))
        .col_expr(Column::NextAttemptTime, Expr::value(0_i64))
        .col_expr(Column::Attempts, Expr::value(0))
        .filter(Column::Id.is_in(ids))
        .filter(Column::PublishedTime.is_not_null())
        .exec(db)
        .await?;
    Ok(updated.rows_affected)
}

/// Who claims. A SQLite file belongs to one process, so what its last life had
/// in hand is this one's at once.
pub(crate) fn claimant(db: &DatabaseConnection) -> Uuid {
    if db.get_database_backend() == DbBackend::Sqlite { Uuid::nil() } else { Uuid::new_v4() }
}
