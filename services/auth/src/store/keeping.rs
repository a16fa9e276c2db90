//! What operators have done to every account: sealing what is in the clear, and
//! exchanging keys. Whoever changes what an account's key seals holds the account.

use countersign_events::Unit;
use countersign_seal::{DataKey, MasterKey, MasterKeys};
use countersign_types::{Email, SessionId, UserId};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, prelude::Uuid,
    sea_query::Expr,
};

use super::{
    account::{Column, Entity, Model, Status},
    session, signing_key,
};
use crate::{
    Error, keys,
    people::{self, People, Whereabouts},
};

/// The accounts whose addresses are in the clear, in the order of their ids, behind `after`.
pub(crate) async fn in_clear(
    db: &impl ConnectionTrait,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Uuid>, Error> {
    let mut query = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::EmailSealed.is_null())
        .filter(Column::Status.ne(Status::Deleted));
    if let Some(after) = after {
        query = query.filter(Column::Id.gt(after));
    }
    Ok(query.order_by_asc(Column::Id).limit(limit).into_tuple().all(db).await?)
}

/// Seals an account that is in the clear, and its sessions.
pub(crate) async fn seal(unit: &Unit, people: &People, user: UserId) -> Result<(), Error> {
    let Some(row) = lock(unit, user).await? else { return Ok(()) };
    if row.email_sealed.is_some() || row.status == Status::Deleted {
        return Ok(());
    }
    let email = Email::parse(&row.email).map_err(|_| Error::Damaged("address"))?;
    let vault = people.vault();
    let key = match vault.find(&**unit, user).await? {
        Some(key) => key,
        None => vault.create(&**unit, user, unit.now()).await?,
    };
    Entity::update_many()
        .col_expr(Column::EmailIndex, Expr::value(people.index(&email)))
        .col_expr(Column::Email, Expr::value(user.to_string()))
        .filter(Column::Id.eq(user.as_uuid()))
        .exec(&**unit)
        .await?;
    seal_email(unit, &key, &email).await?;
    for session in session::all_of(&**unit, user).await? {
        seal_session(unit, &key, session.id.into(), &session.whereabouts()).await?;
    }
    Ok(())
}

/// Seals an account and its sessions under a new key. What does not open is
/// left as it is: the log has its name.
pub(crate) async fn reseal(unit: &Unit, people: &People, user: UserId) -> Result<(), Error> {
    let row = lock(unit, user).await?;
    let before = match people.vault().find(&**unit, user).await {
        Err(countersign_vault::Error::Lost(_)) | Ok(None) => return Ok(()),
        found => found?,
    };
    let (Some(row), Some(before)) = (row, before) else { return Ok(()) };
    let sealed = row.email_sealed.unwrap_or_default();
    let Ok(email) = people::open_email(&before, &sealed) else { return Ok(()) };
    let key = people.vault().renew(&**unit, &before, unit.now()).await?;
    seal_email(unit, &key, &email).await?;
    for row in session::all_of(&**unit, user).await? {
        let id = SessionId::from(row.id);
        seal_session(unit, &key, id, &row.opened(Some(&before)).whereabouts()).await?;
    }
    Ok(())
}

/// Seals the signing keys with the master key `to`.
pub(crate) async fn reseal_signing_keys(
    unit: &Unit,
    masters: &MasterKeys,
    to: &MasterKey,
) -> Result<(), Error> {
    for row in signing_key::all(&**unit).await? {
        let context = keys::context(&row.key_id);
        let secret = masters.open(&context, &row.secret)?;
        signing_key::reseal(&**unit, row.id, to.seal(&context, &secret)?).await?;
    }
    Ok(())
}

async fn lock(unit: &Unit, user: UserId) -> Result<Option<Model>, Error> {
    Ok(Entity::find_by_id(user.as_uuid()).lock_exclusive().one(&**unit).await?)
}

async fn seal_email(unit: &Unit, key: &DataKey, email: &Email) -> Result<(), Error> {
    let update = Entity::update_many()
        .col_expr(Column::EmailSealed, Expr::value(people::seal_email(key, email)?))
        .filter(Column::Id.eq(key.user().as_uuid()));
    update.exec(&**unit).await?;
    Ok(())
}

async fn seal_session(
    unit: &Unit,
    key: &DataKey,
    id: SessionId,
    whereabouts: &Whereabouts,
) -> Result<(), Error> {
    use session::{Column as Session, Entity};
    let (label, address) = whereabouts.seal(key, id)?;
    let update = Entity::update_many()
        .col_expr(Session::DeviceLabelSealed, Expr::value(label))
        .col_expr(Session::AddressSealed, Expr::value(address))
        .col_expr(Session::DeviceLabel, Expr::value(""))
        .col_expr(Session::Address, Expr::value(""))
        .filter(Session::Id.eq(id.as_uuid()));
    update.exec(&**unit).await?;
    Ok(())
}
