//! Whether personal data is written sealed, or still in the clear beside a
//! former release. It goes forward only: clear, sealing, sealed.

use countersign_events::{Outbox, Unit};
use countersign_types::UserId;
use sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseConnection, prelude::Uuid};

use crate::{
    Error, marks,
    rotate::{BATCH, Progress, Tell},
};

pub(crate) const PERSONAL_DATA: &str = "personal_data";
/// As the former release does it.
pub(crate) const CLEAR: &[u8] = b"clear";
/// What is written is sealed, and what is in the clear is being sealed.
pub(crate) const SEALING: &[u8] = b"sealing";
/// Nothing is in the clear.
pub(crate) const SEALED: &[u8] = b"sealed";

/// Seals what a former release has left in the clear. From its first step on all
/// is written sealed; that step comes after the last transaction that did not.
/// Then `seal`, in a transaction for each, takes those people of whom `pending`
/// finds something in the clear, in the order of their ids, behind one, up to so
/// many. Killed at any point it goes on by beginning again. False: nothing was to do.
///
/// # Errors
/// Those of `pending` and `seal`; [`Error::Database`], [`Error::Unit`].
pub async fn seal_data<E: From<Error>>(
    outbox: &Outbox,
    pending: impl AsyncFn(Option<Uuid>, u64) -> Result<Vec<Uuid>, E>,
    seal: impl AsyncFn(&Unit, UserId) -> Result<(), E>,
    tell: Tell<'_>,
) -> Result<bool, E> {
    if !start(outbox).await? {
        return Ok(false);
    }
    let (mut done, mut after) = (0, None);
    loop {
        let people = pending(after, BATCH).await?;
        let Some(last) = people.last().copied() else { break };
        for user in &people {
            let unit = outbox.begin().await.map_err(Error::from)?;
            seal(&unit, (*user).into()).await?;
            unit.commit().await.map_err(Error::from)?;
        }
        after = Some(last);
        done += people.len() as u64;
        tell(Progress { done, of: None });
    }
    marks::set(outbox.db(), PERSONAL_DATA, SEALED.to_vec()).await?;
    Ok(true)
}

async fn start(outbox: &Outbox) -> Result<bool, Error> {
    let unit = outbox.begin().await?;
    let begins = marks::lock(&*unit, PERSONAL_DATA).await?.as_deref() != Some(SEALED);
    if begins {
        marks::set(&*unit, PERSONAL_DATA, SEALING.to_vec()).await?;
    }
    unit.commit().await?;
    Ok(begins)
}

/// Has the database leave nothing in its files of what it does not hold any more.
/// SQLite does; true then. PostgreSQL would keep everybody out meanwhile, and has
/// its log: that is for an operator, at a quiet hour.
///
/// # Errors
/// [`Error::Database`], as where others write without a pause.
pub async fn purge(db: &DatabaseConnection) -> Result<bool, Error> {
    if db.get_database_backend() != DatabaseBackend::Sqlite {
        return Ok(false);
    }
    for statement in ["VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"] {
        db.execute_unprepared(statement).await?;
    }
    Ok(true)
}
