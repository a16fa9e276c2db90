//! Which master key the database goes by, and the secrets that outlive it.

use countersign_seal::{MasterKey, MasterKeys, Zeroizing};
use sea_orm::ConnectionTrait;

use crate::{Error, marks};

/// The canary of the key that seals. Its name is as old as the first release.
pub(crate) const MASTER_KEY: &str = "master_key";
/// The canary of the one before, while something may still be sealed with it.
pub(crate) const FORMER: &str = "master_key_former";
/// Before the names of secrets.
pub(crate) const SECRET: &str = "secret/";

/// Whether the keys are those that the database needs, which is set up with the
/// latest of them where it goes by none yet.
pub(crate) async fn check(db: &impl ConnectionTrait, masters: &MasterKeys) -> Result<(), Error> {
    let canary = match marks::find(db, MASTER_KEY).await? {
        Some(canary) => canary,
        None => marks::find_or_set(db, MASTER_KEY, masters.latest()?.canary()?).await?,
    };
    fits(masters, &canary)?;
    match marks::find(db, FORMER).await? {
        Some(former) => fits(masters, &former),
        None => Ok(()),
    }
}

fn fits(masters: &MasterKeys, canary: &[u8]) -> Result<(), Error> {
    of(masters, canary).and_then(|key| key.check_canary(canary)).map_err(Error::MasterKey)
}

/// The key that made a canary.
pub(crate) fn of(
    masters: &MasterKeys,
    canary: &[u8],
) -> Result<MasterKey, countersign_seal::Error> {
    masters.get(&MasterKeys::sealed_with(canary)?)
}

/// The key that seals, and does so until the transaction ends.
pub(crate) async fn in_force(
    db: &impl ConnectionTrait,
    masters: &MasterKeys,
) -> Result<MasterKey, Error> {
    let canary = marks::hold(db, MASTER_KEY).await?.ok_or(Error::Damaged("mark in the vault"))?;
    Ok(of(masters, &canary)?)
}

/// The secret for one purpose: derived from the master key by `label` at the
/// first time, and the same from then on, whatever becomes of that key.
pub(crate) async fn secret(
    db: &impl ConnectionTrait,
    masters: &MasterKeys,
    label: &str,
) -> Result<Zeroizing<[u8; 32]>, Error> {
    let name = format!("{SECRET}{label}");
    let stored = match marks::find(db, &name).await? {
        Some(stored) => stored,
        None => {
            let key = in_force(db, masters).await?;
            let first = key.seal(name.as_bytes(), key.derive(label).as_slice())?;
            marks::find_or_set(db, &name, first).await?
        }
    };
    let opened = masters.open(name.as_bytes(), &stored)?;
    let secret = opened.first_chunk::<32>().filter(|_| opened.len() == 32);
    Ok(Zeroizing::new(*secret.ok_or(Error::Damaged("secret in the vault"))?))
}
