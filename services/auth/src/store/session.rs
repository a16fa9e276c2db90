//! Sessions: one row each, from the login until it is swept.

use std::fmt;

use countersign_guard::Permit;
use countersign_tokens::AuthMethods;
use countersign_types::{SessionId, Tenant, Timestamp, UserId};
use sea_orm::{
    DbBackend, QueryOrder, QuerySelect, Set, Statement, Value,
    entity::prelude::*,
    sea_query::{ExprTrait, Query},
};

use super::account;
use crate::Error;

/// One login on one device.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: Uuid,
    /// The generation of the refresh token that is due; counted from 1.
    pub generation: i64,
    pub device_label: String,
    /// The network address of the login; empty where there was none.
    pub address: String,
    pub create_time: i64,
    pub auth_time: i64,
    /// How the person proved who they are at `auth_time`, as tokens spell it.
    pub auth_methods: String,
    pub last_active_time: i64,
    /// When `generation` became due: the grace window of its predecessor runs from here.
    pub rotate_time: i64,
    /// When the session ends if it is not refreshed; never after `absolute_expire_time`.
    pub expire_time: i64,
    pub absolute_expire_time: i64,
    pub revoke_time: Option<i64>,
    pub revoke_reason: Option<Reason>,
}

/// Why a session was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Reason {
    /// The person logged out.
    #[sea_orm(string_value = "logout")]
    Logout,
    /// Somebody ended it by its id, or together with all others.
    #[sea_orm(string_value = "revoked")]
    Revoked,
    /// A refresh token was used a second time.
    #[sea_orm(string_value = "refresh_reuse")]
    RefreshReuse,
}

/// Sessions are joined by hand.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Where a page of sessions starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// Behind this session; from the latest on where there is none.
    pub(crate) after: Option<SessionId>,
    /// At most so many.
    pub(crate) size: u64,
}

/// Stores a new session.
pub(crate) async fn create(db: &impl ConnectionTrait, session: &Model) -> Result<(), Error> {
    let row = ActiveModel {
        id: Set(session.id),
        user_id: Set(session.user_id),
        generation: Set(session.generation),
        device_label: Set(session.device_label.clone()),
        address: Set(session.address.clone()),
        create_time: Set(session.create_time),
        auth_time: Set(session.auth_time),
        auth_methods: Set(session.auth_methods.clone()),
        last_active_time: Set(session.last_active_time),
        rotate_time: Set(session.rotate_time),
        expire_time: Set(session.expire_time),
        absolute_expire_time: Set(session.absolute_expire_time),
        revoke_time: Set(None),
        revoke_reason: Set(None),
    };
    Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

/// A page of the live sessions of the account that the permit is for, the latest first.
pub(crate) async fn list(
    db: &impl ConnectionTrait,
    permit: &Permit,
    page: Page,
    now: Timestamp,
) -> Result<Vec<Model>, Error> {
    let user: UserId = permit.resource_as()?;
    live_of(db, user, page, now).await
}

async fn live_of(
    db: &impl ConnectionTrait,
    user: UserId,
    page: Page,
    now: Timestamp,
) -> Result<Vec<Model>, Error> {
    let mut live = Entity::find()
        .filter(Column::UserId.eq(user.as_uuid()))
        .filter(Column::RevokeTime.is_null())
        .filter(Column::ExpireTime.gt(now.as_micros()));
    if let Some(after) = page.after {
        live = live.filter(Column::Id.lt(after.as_uuid()));
    }
    // Ids are made in the order of time: the key of the index is the order of the list.
    Ok(live.order_by_desc(Column::Id).limit(page.size).all(db).await?)
}

/// Whose session it is, and of which tenant; for the policies, which decide on it.
pub(crate) async fn owner(
    db: &impl ConnectionTrait,
    session: SessionId,
) -> Result<Option<(UserId, Tenant)>, Error> {
    let tenant = (account::Entity, account::Column::Tenant);
    let owner = Query::select()
        .column((Entity, Column::UserId))
        .column(tenant)
        .from(Entity)
        .inner_join(
            account::Entity,
            ExprTrait::equals(account::Column::Id.into_expr(), (Entity, Column::UserId)),
        )
        .and_where(Column::Id.eq(session.as_uuid()))
        .take();
    let Some(row) = db.query_one(&owner).await? else { return Ok(None) };
    let user: Uuid = row.try_get("", "user_id")?;
    let tenant: String = row.try_get("", "tenant")?;
    Ok(Some((user.into(), account::read_tenant(&tenant)?)))
}

/// Reads the methods of a row.
pub(crate) fn read_methods(text: &str) -> Result<AuthMethods, Error> {
    text.parse().map_err(|_| Error::Damaged("set of authentication methods"))
}

/// Deletes up to `limit` sessions that ended before `before`; how many it were.
pub(crate) async fn sweep(
    db: &impl ConnectionTrait,
    before: Timestamp,
    limit: u64,
) -> Result<u64, Error> {
    // A revoked one waits for its expiry as well: so one index finds them all.
    let ended = Query::select()
        .column(Column::Id)
        .from(Entity)
        .and_where(Column::ExpireTime.lt(before.as_micros()))
        .limit(limit)
        .take();
    let done = Entity::delete_many().filter(Column::Id.in_subquery(ended)).exec(db).await?;
    Ok(done.rows_affected)
}

/// A statement of ours with its values, the same for both engines.
pub(super) fn statement<const N: usize>(
    backend: DbBackend,
    sql: &str,
    values: [Value; N],
) -> Statement {
    Statement::from_sql_and_values(backend, sql, values)
}

// Address and device are personal data: only ids may show.
impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("id", &self.id)
            .field("user_id", &self.user_id)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}
