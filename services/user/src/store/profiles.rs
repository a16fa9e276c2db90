//! Reading and writing profiles.

use countersign_events::Unit;
use countersign_guard::{Permit, Visible};
use countersign_mesh::database::{self, Page};
use countersign_types::{Fault, Tenant, Timestamp, UserId};
use countersign_vault::{Vault, data_key};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, Iterable, QueryFilter, QueryOrder,
    QuerySelect, Select,
    sea_query::{Expr, OnConflict},
};

use super::{
    Profile,
    entity::{ActiveModel, Column, Entity, Model, Status},
    sealed,
};
use crate::{error::Error, fields::Fields};

/// The profile that the permit is for; `None` where it is not made yet.
///
/// # Errors
/// [`Error::Vault`] where it does not open, [`Error::Database`].
pub async fn find(
    db: &impl ConnectionTrait,
    vault: &Vault,
    permit: &Permit,
) -> Result<Option<Profile>, Error> {
    let user: UserId = permit.resource_as()?;
    // Profile and key of one moment: a rotation exchanges both.
    let found = living(user).find_also_related(data_key::Entity).one(db).await?;
    found.map(|(row, key)| whole(read(vault, row, key))).transpose()
}

/// The same, locked until the transaction ends: nobody else changes it in between.
pub async fn lock(
    db: &impl ConnectionTrait,
    vault: &Vault,
    permit: &Permit,
) -> Result<Option<Profile>, Error> {
    let user: UserId = permit.resource_as()?;
    // SQLite knows no row locks and needs none: the unit's transaction is the only writer.
    let Some(row) = living(user).lock_exclusive().one(db).await? else { return Ok(None) };
    let key = data_key::Entity::find_by_id(user.as_uuid()).one(db).await?;
    whole(read(vault, row, key)).map(Some)
}

/// Stores the fields, version and time of a profile in place of the version
/// before, sealed where that is due.
///
/// # Errors
/// [`Error::EtagMismatch`] when the version before is not the stored one.
pub async fn save(
    unit: &Unit,
    vault: &Vault,
    permit: &Permit,
    profile: &Profile,
) -> Result<(), Error> {
    let user: UserId = permit.resource_as()?;
    let fields = match &profile.key {
        Some(key) => sealed::seal(&profile.fields, key)?,
        None if vault.seals(&**unit).await? => {
            let key = vault.create(&**unit, user, unit.now()).await?;
            sealed::seal(&profile.fields, &key)?
        }
        None => sealed::clear(&profile.fields)?,
    };
    let row = ActiveModel {
        version: Set(profile.version),
        update_time: Set(profile.update_time.as_micros()),
        ..fields
    };
    let done = Entity::update_many()
        .set(row)
        .filter(Column::UserId.eq(user.as_uuid()))
        .filter(Column::Version.eq(profile.version - 1))
        .exec(&**unit)
        .await?;
    if done.rows_affected == 1 { Ok(()) } else { Err(Error::EtagMismatch) }
}

/// A page of the profiles that may be seen, in the order of their ids, and one more.
pub async fn list(
    db: &impl ConnectionTrait,
    vault: &Vault,
    visible: &Visible,
    page: Page,
) -> Result<Vec<Profile>, Error> {
    let column = |attribute: &str| match attribute {
        "owner" => Some(Column::UserId.into_expr()),
        "tenant" => Some(Column::Tenant.into_expr()),
        _ => None,
    };
    let visible = database::visible(visible.condition(), &Column::UserId.into_expr(), &column);
    let mut query = Entity::find()
        .filter(visible.ok_or_else(Fault::internal)?)
        .filter(Column::Status.eq(Status::Active));
    if let Some(after) = page.after {
        query = query.filter(Column::UserId.gt(after));
    }
    let query = query.order_by_asc(Column::UserId).limit(page.size + 1);
    let rows = query.find_also_related(data_key::Entity).all(db).await?;
    Ok(rows.into_iter().map(|(row, key)| read(vault, row, key)).collect())
}

/// Makes the empty profile of a new account. False: it was there already, or
/// was removed already.
pub async fn create(
    db: &impl ConnectionTrait,
    user: UserId,
    tenant: &Tenant,
    now: Timestamp,
) -> Result<bool, Error> {
    let row = ActiveModel {
        user_id: Set(user.as_uuid()),
        tenant: Set(tenant.to_string()),
        version: Set(1),
        status: Set(Status::Active),
        create_time: Set(now.as_micros()),
        update_time: Set(now.as_micros()),
        last_active_time: Set(None),
        ..sealed::clear(&Fields::default())?
    };
    let once = OnConflict::column(Column::UserId).do_nothing().to_owned();
    let rows = Entity::insert(row).on_conflict(once).exec_without_returning(db).await?;
    Ok(rows > 0)
}

/// Leaves nothing of a profile but its id, whether it was there or not, and
/// destroys the key of its person. False: that was so already.
pub async fn erase(db: &impl ConnectionTrait, user: UserId, now: Timestamp) -> Result<bool, Error> {
    let had_key = Vault::destroy(db, user).await?;
    let row = ActiveModel {
        user_id: Set(user.as_uuid()),
        tenant: Set(Tenant::default().to_string()),
        version: Set(0),
        status: Set(Status::Deleted),
        create_time: Set(now.as_micros()),
        update_time: Set(now.as_micros()),
        last_active_time: Set(None),
        ..sealed::clear(&Fields::default())?
    };
    // One statement, whoever is first: a creation that comes meanwhile finds this row.
    let mut over = OnConflict::column(Column::UserId);
    let stays = |column: &Column| matches!(column, Column::UserId | Column::Tenant);
    over.update_columns(Column::iter().filter(|column| !stays(column)));
    over.action_and_where(Expr::col((Entity, Column::Status)).ne(Status::Deleted));
    let rows = Entity::insert(row).on_conflict(over).exec_without_returning(db).await?;
    Ok(had_key || rows > 0)
}

/// Moves the last activity forward, never back, so that events may come in any
/// order. A removed profile stays as it is. False: there is no such profile.
pub async fn touch(
    db: &impl ConnectionTrait,
    user: UserId,
    time: Timestamp,
) -> Result<bool, Error> {
    let time = time.as_micros();
    let earlier = Column::LastActiveTime.is_null().or(Column::LastActiveTime.lt(time));
    let latest = Expr::case(earlier, time).finally(Expr::col(Column::LastActiveTime));
    let kept = Column::Status.eq(Status::Deleted);
    let latest = Expr::case(kept, Expr::col(Column::LastActiveTime)).finally(latest);
    let done = Entity::update_many()
        .col_expr(Column::LastActiveTime, latest.into())
        .filter(Column::UserId.eq(user.as_uuid()))
        .exec(db)
        .await?;
    Ok(done.rows_affected > 0)
}

/// The tenant of a profile, also of a removed one; for the policies, which
/// decide on it.
pub async fn tenant(db: &impl ConnectionTrait, user: UserId) -> Result<Option<String>, Error> {
    let tenant = Entity::find_by_id(user.as_uuid()).select_only().column(Column::Tenant);
    Ok(tenant.into_tuple().one(db).await?)
}

/// The profile of a person, if it was not removed.
fn living(user: UserId) -> Select<Entity> {
    Entity::find_by_id(user.as_uuid()).filter(Column::Status.eq(Status::Active))
}

/// A profile, whether its fields open or not.
fn read(vault: &Vault, row: Model, key: Option<data_key::Model>) -> Profile {
    let key = key.map(|key| vault.read(&key)).transpose();
    let (key, opened) = match key {
        Ok(key) => (key.clone(), sealed::open(&row, key.as_ref())),
        Err(damage) => (None, Err(damage)),
    };
    let (fields, damage) = match opened {
        Ok(fields) => (fields, None),
        Err(damage) => (Fields::default(), Some(damage)),
    };
    Profile {
        user: row.user_id.into(),
        fields,
        damage,
        key,
        version: row.version,
        status: row.status,
        create_time: Timestamp::from_micros(row.create_time),
        update_time: Timestamp::from_micros(row.update_time),
        last_active_time: row.last_active_time.map(Timestamp::from_micros),
    }
}

fn whole(profile: Profile) -> Result<Profile, Error> {
    match profile.damage {
        Some(damage) => Err(Error::Vault(damage.into())),
        None => Ok(profile),
    }
}
