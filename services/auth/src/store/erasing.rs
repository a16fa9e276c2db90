//! Erasing an account where nobody calls, so that there is no permit: the time
//! that it waited is over, or an operator has restored a backup from before its deletion.

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

/// Which accounts may be erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Whatever its state.
    Any,
    /// One that waits for it, and whose time has come.
    Due,
}

/// Accounts whose time to wait for their deletion is over, up to `limit`.
pub(crate) async fn due(
    db: &impl ConnectionTrait,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<UserId>, Error> {
    let due = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Expr::cust("status = 'deleting'"))
        .filter(Column::DeleteTime.lte(now.as_micros()))
        .limit(limit);
    let ids: Vec<Uuid> = due.into_tuple().all(db).await?;
    Ok(ids.into_iter().map(UserId::from).collect())
}

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

/// Leaves of an account what its deletion leaves. Returns its epoch from now
/// on; `None`: it is not there, or is deleted, or is none of those.
pub(crate) async fn erase(
    db: &impl ConnectionTrait,
    user: UserId,
    which: Which,
    now: Timestamp,
) -> Result<Option<i64>, Error> {
    let row = Entity::find_by_id(user.as_uuid()).lock_exclusive().one(db).await?;
    let Some(row) = row.filter(|row| row.status != Status::Deleted) else { return Ok(None) };
    let is_due = row.status == Status::Deleting && row.delete_time <= Some(now.as_micros());
    if which == Which::Due && !is_due {
        return Ok(None);
    }
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
