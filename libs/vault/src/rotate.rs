//! Exchanging keys while servers run. Each step is a transaction, and what is
//! left to do follows from the rows, so whoever is killed goes on by beginning again.

use countersign_events::{Outbox, Unit};
use countersign_seal::{MasterKey, MasterKeys};
use countersign_types::{Timestamp, UserId};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, prelude::Uuid, sea_query::Expr,
};

use crate::{
    Error, Vault,
    entity::data_key::{Column, Entity, Model},
    marks,
    master::{FORMER, MASTER_KEY, SECRET},
};

/// When the rotation of the data keys began: keys that are older are due.
const DATA_ROTATION: &str = "data_rotation";
/// Keys that are rewritten in one transaction.
pub(crate) const BATCH: u64 = 100;

/// How far an exchange of keys has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// People who were looked at.
    pub done: u64,
    /// People when it began, where that is known; more may have come since.
    pub of: Option<u64>,
}

/// Hears of each step.
pub type Tell<'a> = &'a mut (dyn FnMut(Progress) + Send);

/// Turns to the master key `to`: from the first step on it seals, and then all
/// data keys and secrets are sealed with it again. `also`, in the same
/// transaction as the first step, is what else the service seals with a master
/// key. Every server has to have `to` in its file. False: nothing was to do.
///
/// # Errors
/// [`Error::Busy`] where another turn has not come to its end, [`Error::Seal`],
/// [`Error::Database`].
pub async fn rotate_master<E: From<Error>>(
    vault: &Vault,
    outbox: &Outbox,
    to: &MasterKey,
    also: impl AsyncFn(&Unit) -> Result<(), E>,
    tell: Tell<'_>,
) -> Result<bool, E> {
    let unit = outbox.begin().await.map_err(Error::from)?;
    if !turn(vault, &unit, to).await? {
        return Ok(false);
    }
    also(&unit).await?;
    unit.commit().await.map_err(Error::from)?;

    let of = Entity::find().count(outbox.db()).await.map_err(Error::from)?;
    let (mut done, mut after) = (0, None);
    loop {
        let unit = outbox.begin().await.map_err(Error::from)?;
        let rows = page(&*unit, after, None).await?;
        for row in &rows {
            rewrap(vault, &unit, row, to).await?;
        }
        unit.commit().await.map_err(Error::from)?;
        let Some(last) = rows.last() else { break };
        after = Some(last.user_id);
        done += rows.len() as u64;
        tell(Progress { done, of: Some(of) });
    }
    marks::remove(outbox.db(), FORMER).await?;
    Ok(true)
}

/// The first step. False: `to` is in force, and nothing is left of another.
async fn turn(vault: &Vault, unit: &Unit, to: &MasterKey) -> Result<bool, Error> {
    let canary = marks::lock(&**unit, MASTER_KEY).await?;
    let canary = canary.ok_or(Error::Damaged("mark in the vault"))?;
    let is_open = marks::find(&**unit, FORMER).await?.is_some();
    if MasterKeys::sealed_with(&canary)? == to.id() {
        return Ok(is_open);
    }
    if is_open {
        return Err(Error::Busy(
            "another change of the master key has not come to its end: the file must name its key last",
        ));
    }
    marks::set(&**unit, FORMER, canary).await?;
    marks::set(&**unit, MASTER_KEY, to.canary()?).await?;
    for (name, sealed) in marks::beginning_with(&**unit, SECRET).await? {
        let secret = vault.masters().open(name.as_bytes(), &sealed)?;
        marks::set(&**unit, &name, to.seal(name.as_bytes(), &secret)?).await?;
    }
    Ok(true)
}

/// One that does not open is named in the log and left as it is.
async fn rewrap(vault: &Vault, unit: &Unit, row: &Model, to: &MasterKey) -> Result<(), Error> {
    let Ok(key) = vault.read(row) else { return Ok(()) };
    if MasterKeys::sealed_with(&row.sealed)? == to.id() {
        return Ok(());
    }
    Entity::update_many()
        .col_expr(Column::Sealed, Expr::value(key.wrap(vault.masters(), &to.id())?))
        .filter(Column::UserId.eq(row.user_id))
        // Somebody who was faster has sealed with the key in force, or destroyed it.
        .filter(Column::Version.eq(row.version))
        .exec(&**unit)
        .await?;
    Ok(())
}

/// Gives each person a new data key. `reseal`, in one transaction with it, opens
/// with the former one and seals with the new one whatever the service keeps of
/// them, after it has locked that. Goes on with a rotation that was killed.
///
/// # Errors
/// Those of `reseal`; [`Error::Seal`], [`Error::Database`].
pub async fn rotate_data<E: From<Error>>(
    outbox: &Outbox,
    reseal: impl AsyncFn(&Unit, UserId) -> Result<(), E>,
    tell: Tell<'_>,
) -> Result<(), E> {
    let now = outbox.clock().now().as_micros().to_be_bytes();
    let began = marks::find_or_set(outbox.db(), DATA_ROTATION, now.to_vec()).await?;
    let began = began.first_chunk::<8>().ok_or(Error::Damaged("mark in the vault"))?;
    let began = Timestamp::from_micros(i64::from_be_bytes(*began));

    let due = Entity::find().filter(Column::CreateTime.lt(began.as_micros()));
    let of = due.count(outbox.db()).await.map_err(Error::from)?;
    let (mut done, mut after) = (0, None);
    loop {
        let rows = page(outbox.db(), after, Some(began)).await?;
        let Some(last) = rows.last() else { break };
        for row in &rows {
            let unit = outbox.begin().await.map_err(Error::from)?;
            reseal(&unit, row.user_id.into()).await?;
            unit.commit().await.map_err(Error::from)?;
        }
        after = Some(last.user_id);
        done += rows.len() as u64;
        tell(Progress { done, of: Some(of) });
    }
    Ok(marks::remove(outbox.db(), DATA_ROTATION).await?)
}

async fn page(
    db: &impl ConnectionTrait,
    after: Option<Uuid>,
    older: Option<Timestamp>,
) -> Result<Vec<Model>, Error> {
    let mut query = Entity::find().order_by_asc(Column::UserId).limit(BATCH);
    if let Some(after) = after {
        query = query.filter(Column::UserId.gt(after));
    }
    if let Some(older) = older {
        query = query.filter(Column::CreateTime.lt(older.as_micros()));
    }
    Ok(query.all(db).await?)
}
