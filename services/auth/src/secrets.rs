//! Whether the pepper of the process fits the database; the vault sees to the
//! master key. A start with another is refused before it does any harm.

use countersign_vault as vault;
use sea_orm::DatabaseConnection;

use crate::{Error, password::Pepper};

const PEPPER: &str = "pepper";
/// What the mark says where passwords are hashed without a pepper.
const NO_PEPPER: &str = "none";

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
