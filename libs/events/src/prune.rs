//! Forgetting what is no longer needed, a batch at a time so that the lock is
//! never held for long.

use std::time::Duration;

use countersign_types::Timestamp;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, ExprTrait, QueryFilter,
    sea_query::{Expr, IntoIden, Query, SelectStatement},
};

use crate::entity::{attempt, inbox, outbox};

/// How much longer an inbox entry is kept than an outbox row. An entry's time
/// starts anew at each delivery, so a row that can be replayed is always
/// recognised, whatever the number of replays before.
pub(crate) const INBOX_FACTOR: u32 = 2;

/// Rows removed from a table by one statement.
pub(crate) const BATCH: u64 = 512;

/// Removes a batch from each table; returns how many rows it removed.
pub(crate) async fn step(
    db: &DatabaseConnection,
    retention: Duration,
    now: Timestamp,
) -> Result<u64, DbErr> {
    let published_before = now.minus(retention).as_micros();
    let seen_before = now.minus(retention.saturating_mul(INBOX_FACTOR)).as_micros();

    let published = Query::select()
        .column(outbox::Column::Id)
        .from(outbox::Entity)
        .and_where(outbox::Column::PublishedTime.lt(published_before))
        .limit(BATCH)
        .take();
    let rows = outbox::Entity::delete_many()
        .filter(outbox::Column::Id.in_subquery(published))
        .exec(db)
        .await?
        .rows_affected;

    let key = [inbox::Column::Consumer, inbox::Column::EventId];
    let seen = oldest(inbox::Entity, key, inbox::Column::SeenTime.lt(seen_before));
    let entries = delete_by_key(db, inbox::Entity, key, seen).await?;

    let key = [attempt::Column::Consumer, attempt::Column::EventId];
    let tried = oldest(attempt::Entity, key, attempt::Column::TryTime.lt(seen_before));
    let attempts = delete_by_key(db, attempt::Entity, key, tried).await?;
    Ok(rows + entries + attempts)
}

fn oldest<C: IntoIden>(
    table: impl EntityTrait + IntoIden,
    key: [C; 2],
    old: Expr,
) -> SelectStatement {
    Query::select()
        .columns(key.map(IntoIden::into_iden))
        .from(table.into_iden())
        .and_where(old)
        .limit(BATCH)
        .take()
}

async fn delete_by_key<C: IntoIden>(
    db: &impl ConnectionTrait,
    table: impl EntityTrait + IntoIden,
    key: [C; 2],
    rows: SelectStatement,
) -> Result<u64, DbErr> {
    let delete = Query::delete()
        .from_table(table.into_iden())
        .and_where(Expr::tuple(key.map(|column| Expr::col(column.into_iden()))).in_subquery(rows))
        .take();
    Ok(db.execute(&delete).await?.rows_affected())
}
