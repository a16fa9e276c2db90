//! What a consumer has settled already. An entry is written in the same
//! transaction as the effect; that is what makes the effect happen once.

use countersign_types::{EventId, Timestamp};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter,
    sea_query::{Expr, InsertStatement, OnConflict, Query},
};

use crate::entity::inbox;

/// Enters the event; false where it is entered already.
pub(crate) async fn claim(
    db: &impl ConnectionTrait,
    consumer: &str,
    event: EventId,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let key = [inbox::Column::Consumer, inbox::Column::EventId];
    let insert = entry(consumer, event, now)
        .on_conflict(OnConflict::columns(key).do_nothing().to_owned())
        .take();
    Ok(db.execute(&insert).await?.rows_affected() == 1)
}

/// Notes that the event was delivered once more, so that its entry is kept
/// for as long as it may be needed again.
pub(crate) async fn touch(
    db: &impl ConnectionTrait,
    consumer: &str,
    event: EventId,
    now: Timestamp,
) -> Result<(), DbErr> {
    inbox::Entity::update_many()
        .col_expr(inbox::Column::SeenTime, Expr::value(now.as_micros()))
        .filter(inbox::Column::Consumer.eq(consumer))
        .filter(inbox::Column::EventId.eq(event.as_uuid()))
        .exec(db)
        .await?;
    Ok(())
}

fn entry(consumer: &str, event: EventId, now: Timestamp) -> InsertStatement {
    Query::insert()
        .into_table(inbox::Entity)
        .columns([inbox::Column::Consumer, inbox::Column::EventId, inbox::Column::SeenTime])
        .values_panic([
            Expr::value(consumer),
            Expr::value(event.as_uuid()),
            Expr::value(now.as_micros()),
        ])
        .take()
}
