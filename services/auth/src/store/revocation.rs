//! Ending sessions. A revoked session stays as it is: revoking it again
//! changes nothing and says so.

use countersign_guard::{Caller, Permit};
use countersign_tokens::RefreshToken;
use countersign_types::{SessionId, Timestamp, UserId};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter, QuerySelect,
    prelude::Uuid,
    sea_query::{Expr, Order, Query, UpdateStatement},
};

use super::session::{Column, Entity, Reason};
use crate::{Error, config::ACCESS_TOKEN_LIFETIME_MAX};

/// A session that is revoked now and was not before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Revoked {
    pub(crate) session: SessionId,
    pub(crate) user: UserId,
}

/// Revokes the session that the permit is for.
pub(crate) async fn permitted(
    db: &impl ConnectionTrait,
    permit: &Permit,
    now: Timestamp,
) -> Result<Option<Revoked>, Error> {
    let session: SessionId = permit.resource_as()?;
    one(db, session, Reason::Revoked, now).await
}

/// Revokes the session with which the call is made.
pub(crate) async fn own(
    db: &impl ConnectionTrait,
    caller: &Caller,
    now: Timestamp,
) -> Result<Option<Revoked>, Error> {
    one(db, caller.session_id(), Reason::Logout, now).await
}

/// Revokes the session whose refresh token was used twice.
pub(crate) async fn reused(
    db: &impl ConnectionTrait,
    token: &RefreshToken,
    now: Timestamp,
) -> Result<Option<Revoked>, Error> {
    one(db, token.session, Reason::RefreshReuse, now).await
}

/// Revokes up to `limit` sessions of the account that the permit is for, all
/// but `keep`: the live ones, and those that are over while an access token of
/// theirs may still be good, as where the settings were shortened.
pub(crate) async fn all(
    db: &impl ConnectionTrait,
    permit: &Permit,
    keep: Option<SessionId>,
    limit: u64,
    now: Timestamp,
) -> Result<Vec<Revoked>, Error> {
    let user: UserId = permit.resource_as()?;
    let over = now.minus(ACCESS_TOKEN_LIFETIME_MAX);
    let mut live = Query::select();
    live.column(Column::Id)
        .from(Entity)
        .and_where(Column::UserId.eq(user.as_uuid()))
        .and_where(Column::RevokeTime.is_null())
        .and_where(Column::ExpireTime.gt(over.as_micros()))
        .limit(limit);
    if let Some(keep) = keep {
        live.and_where(Column::Id.ne(keep.as_uuid()));
    }
    let mut revoke = revocation(Reason::Revoked, now);
    revoke.and_where(Column::Id.in_subquery(live));
    let rows = db.query_all(&revoke).await?;
    Ok(rows.iter().map(revoked).collect::<Result<_, _>>()?)
}

/// Revokes the oldest live sessions of an account whose owner has just proved
/// to be it, up to `limit` of them; the latest `keep` go on.
pub(crate) async fn surplus(
    db: &impl ConnectionTrait,
    account: UserId,
    keep: u64,
    limit: u64,
    now: Timestamp,
) -> Result<Vec<Revoked>, Error> {
    // Ids are made in the order of time.
    let oldest = Query::select()
        .column(Column::Id)
        .from(Entity)
        .and_where(Column::UserId.eq(account.as_uuid()))
        .and_where(Column::RevokeTime.is_null())
        .and_where(Column::ExpireTime.gt(now.as_micros()))
        .order_by(Column::Id, Order::Desc)
        .limit(limit)
        .offset(keep)
        .take();
    let mut revoke = revocation(Reason::Revoked, now);
    revoke.and_where(Column::Id.in_subquery(oldest));
    let rows = db.query_all(&revoke).await?;
    Ok(rows.iter().map(revoked).collect::<Result<_, _>>()?)
}

/// The sessions that were revoked after `since`.
pub(crate) async fn since(
    db: &impl ConnectionTrait,
    since: Timestamp,
) -> Result<Vec<(SessionId, Timestamp)>, Error> {
    let rows = Entity::find()
        .select_only()
        .columns([Column::Id, Column::RevokeTime])
        .filter(Column::RevokeTime.gt(since.as_micros()))
        .into_tuple::<(Uuid, i64)>()
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|(id, time)| (id.into(), Timestamp::from_micros(time))).collect())
}

async fn one(
    db: &impl ConnectionTrait,
    session: SessionId,
    reason: Reason,
    now: Timestamp,
) -> Result<Option<Revoked>, Error> {
    let mut revoke = revocation(reason, now);
    revoke.and_where(Column::Id.eq(session.as_uuid()));
    let row = db.query_one(&revoke).await?;
    Ok(row.as_ref().map(revoked).transpose()?)
}

fn revocation(reason: Reason, now: Timestamp) -> UpdateStatement {
    Query::update()
        .table(Entity)
        .value(Column::RevokeTime, Expr::value(now.as_micros()))
        .value(Column::RevokeReason, Expr::value(reason))
        .and_where(Expr::col(Column::RevokeTime).is_null())
        .returning(Query::returning().columns([Column::Id, Column::UserId]))
        .take()
}

fn revoked(row: &sea_orm::QueryResult) -> Result<Revoked, DbErr> {
    let id = |column| row.try_get::<Uuid>("", column);
    Ok(Revoked { session: id("id")?.into(), user: id("user_id")?.into() })
}
