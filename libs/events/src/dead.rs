//! Counting failures, and the events that a consumer gave up on.

use countersign_types::{EventId, Timestamp};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
    sea_query::{Expr, OnConflict, Query},
};
use uuid::Uuid;

use crate::{
    Event,
    entity::{attempt, dead_letter},
    inbox,
};

/// Letters that are counted.
const MOST: u64 = 1000;

/// An event that a consumer gave up on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The consumer.
    pub consumer: String,
    /// The event as it was delivered.
    pub event: Event,
    /// What the last try failed with: reason and message, no personal data.
    pub error: String,
    /// How often it was tried.
    pub tries: u32,
    /// When it was given up.
    pub time: Timestamp,
    /// Whether an operator asked for another delivery, which is still to come.
    pub requeued: bool,
}

impl From<dead_letter::Model> for DeadLetter {
    fn from(row: dead_letter::Model) -> Self {
        Self {
            consumer: row.consumer.clone(),
            error: row.error.clone(),
            tries: u32::try_from(row.tries).unwrap_or(0),
            time: Timestamp::from_micros(row.dead_time),
            requeued: row.requeue_time.is_some(),
            event: row.into(),
        }
    }
}

/// Counts one more failure of a consumer at an event; returns how many there are.
pub(crate) async fn count(
    db: &impl ConnectionTrait,
    consumer: &str,
    event: EventId,
    error: &str,
    now: Timestamp,
) -> Result<u32, DbErr> {
    use attempt::Column;
    let tries = (attempt::Entity, Column::Tries);
    let upsert = Query::insert()
        .into_table(attempt::Entity)
        .columns([Column::Consumer, Column::EventId, Column::Tries, Column::Error, Column::TryTime])
        .values_panic([
            Expr::value(consumer),
            Expr::value(event.as_uuid()),
            Expr::value(1),
            Expr::value(error),
            Expr::value(now.as_micros()),
        ])
        .on_conflict(
            OnConflict::columns([Column::Consumer, Column::EventId])
                .update_columns([Column::Error, Column::TryTime])
                .value(Column::Tries, Expr::col(tries).add(1))
                .to_owned(),
        )
        .returning_col(Column::Tries)
        .take();
    let row = db.query_one(&upsert).await?.ok_or(DbErr::RecordNotInserted)?;
    let tries: i32 = row.try_get("", "tries")?;
    Ok(u32::try_from(tries).unwrap_or(1))
}

/// Gives the event up: it is settled in the inbox, and lies here. False where
/// another delivery has settled it in the meantime.
pub(crate) async fn bury(
    db: &impl ConnectionTrait,
    consumer: &str,
    event: &Event,
    error: &str,
    tries: u32,
    now: Timestamp,
) -> Result<bool, DbErr> {
    if !inbox::claim(db, consumer, event.id, now).await? {
        return Ok(false);
    }
    attempt::Entity::delete_by_id((consumer.to_owned(), event.id.as_uuid())).exec(db).await?;
    let letter = dead_letter::ActiveModel {
        consumer: Set(consumer.to_owned()),
        event_id: Set(event.id.as_uuid()),
        kind: Set(event.kind.clone()),
        source: Set(event.source.clone()),
        aggregate: Set(event.aggregate),
        sequence: Set(event.sequence),
        create_time: Set(event.time.as_micros()),
        data: Set(event.data.clone()),
        error: Set(error.to_owned()),
        tries: Set(i32::try_from(tries).unwrap_or(i32::MAX)),
        dead_time: Set(now.as_micros()),
        requeue_time: Set(None),
        traceparent: Set(event.trace.map(|trace| trace.to_string())),
    };
    let replace =
        OnConflict::columns([dead_letter::Column::Consumer, dead_letter::Column::EventId])
            .update_columns([
                dead_letter::Column::Error,
                dead_letter::Column::Tries,
                dead_letter::Column::DeadTime,
            ])
            .to_owned();
    dead_letter::Entity::insert(letter).on_conflict(replace).exec_without_returning(db).await?;
    Ok(true)
}

/// The dead letters of a consumer that are to be delivered again, longest waiting first.
pub(crate) async fn requeued(
    db: &impl ConnectionTrait,
    consumer: &str,
    limit: u64,
) -> Result<Vec<Event>, DbErr> {
    let rows = dead_letter::Entity::find()
        .filter(dead_letter::Column::Consumer.eq(consumer))
        .filter(dead_letter::Column::RequeueTime.is_not_null())
        .order_by_asc(dead_letter::Column::RequeueTime)
        .order_by_asc(dead_letter::Column::EventId)
        .limit(limit)
        .all(db)
        .await?;
    Ok(rows.into_iter().map(Event::from).collect())
}

/// How many dead letters a consumer has; from [`MOST`] on it is many.
pub(crate) async fn lying(db: &impl ConnectionTrait, consumer: &str) -> Result<u64, DbErr> {
    dead_letter::Entity::find()
        .select_only()
        .column(dead_letter::Column::EventId)
        .filter(dead_letter::Column::Consumer.eq(consumer))
        .limit(MOST)
        .into_tuple::<Uuid>()
        .all(db)
        .await
        .map(|letters| u64::try_from(letters.len()).unwrap_or(MOST))
}

/// Takes a requeued letter away; false where it is not there any more.
pub(crate) async fn take(
    db: &impl ConnectionTrait,
    consumer: &str,
    event: EventId,
) -> Result<bool, DbErr> {
    let deleted = dead_letter::Entity::delete_by_id((consumer.to_owned(), event.as_uuid()))
        .filter(dead_letter::Column::RequeueTime.is_not_null())
        .exec(db)
        .await?;
    Ok(deleted.rows_affected == 1)
}

/// A requeued letter failed again: it stays dead, with the new error.
pub(crate) async fn failed_again(
    db: &impl ConnectionTrait,
    consumer: &str,
    event: EventId,
    error: &str,
    now: Timestamp,
) -> Result<(), DbErr> {
    use dead_letter::Column;
    dead_letter::Entity::update_many()
        .col_expr(Column::Error, Expr::value(error))
        .col_expr(Column::Tries, Expr::col(Column::Tries).add(1))
        .col_expr(Column::DeadTime, Expr::value(now.as_micros()))
        .col_expr(Column::RequeueTime, Expr::value(Option::<i64>::None))
        .filter(Column::Consumer.eq(consumer))
        .filter(Column::EventId.eq(event.as_uuid()))
        .exec(db)
        .await?;
    Ok(())
}

/// Asks for another delivery; false where there is no such letter.
pub(crate) async fn requeue(
    db: &impl ConnectionTrait,
    consumer: &str,
    event: EventId,
    now: Timestamp,
) -> Result<bool, DbErr> {
    use dead_letter::Column;
    let updated = dead_letter::Entity::update_many()
        .col_expr(Column::RequeueTime, Expr::value(now.as_micros()))
        .filter(Column::Consumer.eq(consumer))
        .filter(Column::EventId.eq(event.as_uuid()))
        .exec(db)
        .await?;
    Ok(updated.rows_affected == 1)
}
