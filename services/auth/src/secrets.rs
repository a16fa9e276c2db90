//! Whether the secrets of the process fit the database. A start with others is
//! refused before it does any harm.

use countersign_seal::MasterKey;
use sea_orm::DatabaseConnection;
use sea_orm_migration::SchemaManager;

use crate::{Error, password::Pepper, store::vault};

const MASTER_KEY: &str = "master_key";
const PEPPER: &str = "pepper";
/// What the mark says where passwords are hashed without a pepper.
const NO_PEPPER: &str = "none";

/// Whether the database was set up with a master key. False where it has no
/// tables, too: nothing is sealed in it then, and any key will do.
///
/// # Errors
/// [`Error::Database`].
pub async fn has_master_key(db: &DatabaseConnection) -> Result<bool, Error> {
    let has_tables = SchemaManager::new(db).has_table(vault::TABLE).await?;
    Ok(has_tables && vault::find(db, MASTER_KEY).await?.is_some())
}

/// Compares the master key with the one that the database was set up with, and
/// sets the database up with it where there was none.
///
/// # Errors
/// [`Error::MasterKey`] with the fingerprints of both; [`Error::Database`].
pub async fn check_master_key(db: &DatabaseConnection, master: &MasterKey) -> Result<(), Error> {
    let canary = match vault::find(db, MASTER_KEY).await? {
        Some(canary) => canary,
        None => vault::find_or_set(db, MASTER_KEY, master.canary()?).await?,
    };
    master.check_canary(&canary).map_err(Error::MasterKey)
}

/// Compares the pepper with the one that is in use, and puts it to use where
/// there was none.
pub(crate) async fn check_pepper(
    db: &DatabaseConnection,
    pepper: Option<&Pepper>,
) -> Result<(), Error> {
    let given = pepper.map(Pepper::id);
    let stored = match (vault::find(db, PEPPER).await?, &given) {
        (Some(stored), _) => Some(stored),
        // Hashes without a pepper take it up at the next login.
        (None, Some(id)) => Some(vault::find_or_set(db, PEPPER, id.as_bytes().to_vec()).await?),
        (None, None) => None,
    };
    if stored.as_deref() == given.as_ref().map(String::as_bytes) {
        return Ok(());
    }
    let stored = stored.unwrap_or_default();
    Err(Error::PepperChanged {
        stored: String::from_utf8_lossy(&stored).into_owned(),
        given: given.unwrap_or_else(|| NO_PEPPER.to_owned()),
    })
}
