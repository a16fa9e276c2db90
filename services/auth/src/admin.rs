//! What operators do at the machine, beside a running server or without one.
//! Each works on the database alone, which must be migrated (see
//! [`crate::Migrator`]), after [`crate::check_master_key`].

use std::sync::Arc;

use countersign_contracts::auth::v1::RegisterRequest;
use countersign_events::Outbox;
use countersign_seal::MasterKey;
use countersign_types::{Clock, Tenant, UserId, Validate};
use sea_orm::DatabaseConnection;

use crate::{
    Config, Error, SOURCE,
    keys::{self, Announced, Life},
    password::{Hasher, HashingPool, Password, Pepper, Policy},
    registrar::{Made, Registrar, Wish},
    secrets,
    store::signing_key,
};

/// Makes an account on the same way as a registration, with the same limits: it is pending until its
/// profile exists, which the server sees to when it runs.
///
/// # Errors
/// [`Error::Invalid`] with all broken rules, [`Error::EmailTaken`], and those
/// of the settings and the database.
pub async fn create_account(
    db: &DatabaseConnection,
    clock: &Clock,
    config: &Config,
    email: String,
    password: String,
    roles: Vec<String>,
    tenant: Tenant,
) -> Result<UserId, Error> {
    let request = RegisterRequest { email, password };
    let broken = request.validate();
    let RegisterRequest { email, password } = request;
    // Wiped from here on, also where it is refused.
    let password = Password::new(password);
    if !broken.is_empty() {
        return Err(Error::Invalid(broken));
    }
    config.validate()?;
    let outbox = Outbox::new(db.clone(), clock.clone(), SOURCE);
    let wish = Wish { email, password, roles, tenant, address: None };
    match registrar(outbox, config).await?.register(wish).await? {
        Made::New(account) => Ok(account.id),
        Made::Taken(_) => Err(Error::EmailTaken),
    }
}

/// Announces a new signing key, unless one is announced already. A running
/// server takes it up within [`crate::config::SigningKeysConfig::poll_interval`]
/// and signs with it after
/// [`crate::config::SigningKeysConfig::announce_period`]; no token is refused.
///
/// # Errors
/// Those of the settings and the database.
pub async fn rotate_keys(
    db: &DatabaseConnection,
    master: &MasterKey,
    clock: &Clock,
    config: &Config,
) -> Result<Announced, Error> {
    config.validate()?;
    let outbox = Outbox::new(db.clone(), clock.clone(), SOURCE);
    keys::announce(&outbox, master, config.into()).await
}

/// The signing keys, in the order in which they sign.
///
/// # Errors
/// [`Error::Database`].
pub async fn list_keys(db: &DatabaseConnection) -> Result<Vec<Life>, Error> {
    Ok(signing_key::all(db).await?.iter().map(Life::from).collect())
}

/// Reads the pepper and the block list, and starts the hashing threads.
pub(crate) async fn registrar(outbox: Outbox, config: &Config) -> Result<Registrar, Error> {
    let pepper = config.hashing.pepper_file.as_deref().map(Pepper::read).transpose()?;
    secrets::check_pepper(outbox.db(), pepper.as_ref()).await?;
    let hasher = Hasher::new(&config.hashing, pepper)?;
    Ok(Registrar {
        policy: Arc::new(Policy::new(&config.password)?),
        hashing: HashingPool::start(hasher, &config.hashing)?,
        outbox,
    })
}
