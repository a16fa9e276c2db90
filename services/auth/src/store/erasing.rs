//! Erasing an account for the second time: after a backup from before its
//! deletion was restored. Nobody calls, so there is no permit: an operator says who.

use countersign_types::{Timestamp, UserId};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, prelude::Uuid,
    sea_query::Expr,
};

use super::{
    account::{Column, Entity, Status},
    administration, session,
};
use crate::Error;

/// The accounts that are deleted, with the times, in the order of their ids.
pub(crate) async fn deleted(db: &impl ConnectionTrait) -> Result<Vec<(UserId, Timestamp)>, Error> {
    let rows = Entity::find()
        .select_only()
        .columns([Column::Id, Column::UpdateTime])
        .filter(Column::Status.eq(Status::Deleted))
        .order_by_asc(Column::Id)
        .into_tuple::<(Uuid, i64)>();
    let rows = rows.all(db).await?;
    Ok(rows.into_iter().map(|(id, time)| (id.into(), Timestamp::from_micros(time))).collect())
}

/// Leaves of an account what its deletion had left. Returns its epoch from now
/// on; `None`: it is not there, or is deleted.
pub(crate) async fn erase(
    db: &impl ConnectionTrait,
    user: UserId,
    now: Timestamp,
) -> Result<Option<i64>, Error> {
    let row = Entity::find_by_id(user.as_uuid()).lock_exclusive().one(db).await?;
    let Some(row) = row.filter(|row| row.status != Status::Deleted) else { return Ok(None) };
    let (epoch, time) = (row.epoch + 1, now.as_micros().max(row.update_time));
    Entity::update_many()
        .col_expr(Column::Email, Expr::value(user.to_string()))
        .col_expr(Column::EmailSealed, Expr::value(None::<Vec<u8>>))
        .col_expr(Column::EmailIndex, Expr::value(None::<Vec<u8>>))
        .col_expr(Column::Status, Expr::value(Status::Deleted))
        .col_expr(Column::Roles, Expr::value("[]"))
        .col_expr(Column::Attributes, Expr::value("{}"))
        .col_expr(Column::Epoch, Expr::value(epoch))
        .col_expr(Column::EpochTime, Expr::value(time))
        .col_expr(Column::UpdateTime, Expr::value(time))
        .col_expr(Column::DeleteTime, Expr::value(time))
        .filter(Column::Id.eq(user.as_uuid()))
        .exec(db)
        .await?;
    session::Entity::update_many()
        .col_expr(session::Column::RevokeTime, Expr::value(time))
        .col_expr(session::Column::RevokeReason, Expr::value(session::Reason::Revoked))
        .filter(session::Column::UserId.eq(user.as_uuid()))
        .filter(session::Column::RevokeTime.is_null())
        .exec(db)
        .await?;
    administration::forget(db, user).await?;
    Ok(Some(epoch))
}
