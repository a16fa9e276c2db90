//! Sessions: one row each, from the login until it is swept.

use std::fmt;

use countersign_guard::Permit;
use countersign_seal::DataKey;
use countersign_tokens::AuthMethods;
use countersign_types::{SessionId, Tenant, Timestamp, UserId};
use countersign_vault::data_key;
use sea_orm::{
    DbBackend, QueryOrder, QuerySelect, Set, Statement, Value,
    entity::prelude::*,
    sea_query::{ExprTrait, Query},
};

use super::account;
use crate::{
    Error,
    people::{People, Whereabouts},
};

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
    // Label and address again, sealed; those above are blank then.
    pub device_label_sealed: Option<Vec<u8>>,
    pub address_sealed: Option<Vec<u8>>,
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

/// What is joined to a session.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The data key of the person.
    #[sea_orm(
        belongs_to = "data_key::Entity",
        from = "Column::UserId",
        to = "data_key::Column::UserId"
    )]
    DataKey,
}

impl Related<data_key::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::DataKey.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}

/// Where a page of sessions starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// Behind this session; from the latest on where there is none.
    pub(crate) after: Option<SessionId>,
    /// At most so many.
    pub(crate) size: u64,
}

impl Model {
    /// From where it was begun, as far as that is in the clear or was opened.
    pub(crate) fn whereabouts(&self) -> Whereabouts {
        let (device_label, address) = (self.device_label.clone(), self.address.clone());
        Whereabouts { device_label, address }
    }

    /// The same session with what is sealed in the place of what is in the clear.
    pub(crate) fn opened(self, key: Option<&DataKey>) -> Self {
        let (Some(label), Some(address)) = (&self.device_label_sealed, &self.address_sealed) else {
            return self;
        };
        let Some(key) = key else { return self };
        let Whereabouts { device_label, address } =
            Whereabouts::open(key, self.id.into(), label, address);
        Self { device_label, address, ..self }
    }
}

/// Stores a new session: sealed where its person has a key.
pub(crate) async fn create(
    db: &impl ConnectionTrait,
    session: &Model,
    key: Option<&DataKey>,
) -> Result<(), Error> {
    let sealed = key.map(|key| session.whereabouts().seal(key, session.id.into())).transpose()?;
    let blank = || Set(String::new());
    let (label, address) = match sealed {
        Some(_) => (blank(), blank()),
        None => (Set(session.device_label.clone()), Set(session.address.clone())),
    };
    let (label_sealed, address_sealed) = sealed.unzip();
    let row = ActiveModel {
        id: Set(session.id),
        user_id: Set(session.user_id),
        generation: Set(session.generation),
        device_label: label,
        address,
        device_label_sealed: Set(label_sealed),
        address_sealed: Set(address_sealed),
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
    people: &People,
    permit: &Permit,
    page: Page,
    now: Timestamp,
) -> Result<Vec<Model>, Error> {
    let user: UserId = permit.resource_as()?;
    live_of(db, people, user, page, now).await
}

async fn live_of(
    db: &impl ConnectionTrait,
    people: &People,
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
    let live = live.order_by_desc(Column::Id).limit(page.size);
    // Each with its key, of one moment: a rotation exchanges both.
    let rows = live.find_also_related(data_key::Entity).all(db).await?;
    Ok(rows.into_iter().map(|(row, key)| row.opened(people.open_key(key).as_ref())).collect())
}

/// A page of all sessions of the account that the permit is for, ended or not, in
/// the order of their ids.
pub(crate) async fn history(
    db: &impl ConnectionTrait,
    people: &People,
    permit: &Permit,
    page: Page,
) -> Result<Vec<Model>, Error> {
    let user: UserId = permit.resource_as()?;
    let mut all = Entity::find().filter(Column::UserId.eq(user.as_uuid()));
    if let Some(after) = page.after {
        all = all.filter(Column::Id.gt(after.as_uuid()));
    }
    let all = all.order_by_asc(Column::Id).limit(page.size);
    let rows = all.find_also_related(data_key::Entity).all(db).await?;
    Ok(rows.into_iter().map(|(row, key)| row.opened(people.open_key(key).as_ref())).collect())
}

/// All sessions of an account, ended or not, for who seals them anew.
pub(crate) async fn all_of(db: &impl ConnectionTrait, user: UserId) -> Result<Vec<Model>, Error> {
    Ok(Entity::find().filter(Column::UserId.eq(user.as_uuid())).all(db).await?)
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
