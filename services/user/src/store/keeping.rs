//! What operators have done to every profile: sealing what is in the clear, and
//! exchanging the keys of people. A profile is locked before its key.

use countersign_events::Unit;
use countersign_types::{Timestamp, UserId};
use countersign_vault::Vault;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    prelude::Uuid,
};

use super::{
    entity::{ActiveModel, Column, Entity, Model, Status},
    sealed,
};
use crate::{error::Error, fields::TextField};

/// The people whose fields are in the clear, in the order of their ids, behind `after`.
pub async fn in_clear(
    db: &impl ConnectionTrait,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Uuid>, Error> {
    let texts = TextField::ALL.map(column).map(|column| column.ne(""));
    let any = texts.into_iter().fold(Condition::any(), Condition::add);
    let mut query = Entity::find()
        .select_only()
        .column(Column::UserId)
        .filter(any.add(Column::Metadata.ne("{}")));
    if let Some(after) = after {
        query = query.filter(Column::UserId.gt(after));
    }
    Ok(query.order_by_asc(Column::UserId).limit(limit).into_tuple().all(db).await?)
}

/// The people whose profiles are erased, with the times, in the order of their ids.
pub async fn erased(db: &impl ConnectionTrait) -> Result<Vec<(UserId, Timestamp)>, Error> {
    let rows = Entity::find()
        .select_only()
        .columns([Column::UserId, Column::UpdateTime])
        .filter(Column::Status.eq(Status::Deleted))
        .order_by_asc(Column::UserId)
        .into_tuple::<(Uuid, i64)>();
    let rows = rows.all(db).await?;
    Ok(rows.into_iter().map(|(id, time)| (id.into(), Timestamp::from_micros(time))).collect())
}

/// Seals a profile that is in the clear.
pub async fn seal(unit: &Unit, vault: &Vault, user: UserId) -> Result<(), Error> {
    let Some(row) = lock(unit, user).await? else { return Ok(()) };
    let (fields, key) = match vault.find(&**unit, user).await? {
        // Sealed already: a server of the former release, which should be gone, has
        // found it blank and written what is in the clear beside it.
        Some(key) => (sealed::merged(&row, &key)?, key),
        None => (sealed::open(&row, None)?, vault.create(&**unit, user, unit.now()).await?),
    };
    put(unit, user, sealed::seal(&fields, &key)?).await
}

/// Seals a profile under a new key of its person. One that does not open is
/// left as it is: the log has its name.
pub async fn reseal(unit: &Unit, vault: &Vault, user: UserId) -> Result<(), Error> {
    let row = lock(unit, user).await?;
    let before = match vault.lock(&**unit, user).await {
        Err(countersign_vault::Error::Lost(_)) | Ok(None) => return Ok(()),
        found => found?,
    };
    let (Some(row), Some(before)) = (row, before) else { return Ok(()) };
    let Ok(fields) = sealed::open(&row, Some(&before)) else { return Ok(()) };
    let key = vault.renew(&**unit, &before, unit.now()).await?;
    put(unit, user, sealed::seal(&fields, &key)?).await
}

async fn lock(unit: &Unit, user: UserId) -> Result<Option<Model>, Error> {
    Ok(Entity::find_by_id(user.as_uuid()).lock_exclusive().one(&**unit).await?)
}

async fn put(unit: &Unit, user: UserId, row: ActiveModel) -> Result<(), Error> {
    let update = Entity::update_many().set(row).filter(Column::UserId.eq(user.as_uuid()));
    update.exec(&**unit).await?;
    Ok(())
}

const fn column(field: TextField) -> Column {
    match field {
        TextField::DisplayName => Column::DisplayName,
        TextField::GivenName => Column::GivenName,
        TextField::FamilyName => Column::FamilyName,
        TextField::Bio => Column::Bio,
        TextField::AvatarUri => Column::AvatarUri,
        TextField::Locale => Column::Locale,
        TextField::TimeZone => Column::TimeZone,
    }
}
