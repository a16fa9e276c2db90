//! What operators do at the machine, beside a running server or without one.
//! Each works on the database alone, which must be migrated (see
//! [`crate::Migrator`]).

use std::sync::Arc;

use countersign_audit::{Action, Entry, Outcome, Value, reseal_keys};
use countersign_contracts::auth::v1::RegisterRequest;
use countersign_events::{Outbox, Unit};
use countersign_seal::{MasterKey, MasterKeys};
use countersign_types::{Clock, Tenant, Timestamp, UserId, Validate};
use countersign_vault::Tell;
use sea_orm::DatabaseConnection;

use crate::{
    Config, Error, SOURCE, erasure,
    keys::{self, Announced, Life},
    password::{Hasher, HashingPool, Password, Pepper, Policy},
    people::People,
    registrar::{Made, Registrar, Wish},
    secrets,
    store::{
        erasing::{self, Which},
        keeping, signing_key,
    },
};

/// The service's database with its keys, for an operator.
#[derive(Debug)]
pub struct Keeper {
    outbox: Outbox,
    people: People,
}

impl Keeper {
    /// Opens the vault of the database.
    ///
    /// # Errors
    /// [`Error::Vault`] where the master keys do not fit it.
    pub async fn open(
        db: &DatabaseConnection,
        clock: &Clock,
        masters: MasterKeys,
    ) -> Result<Self, Error> {
        let outbox = Outbox::new(db.clone(), clock.clone(), SOURCE);
        Ok(Self { outbox, people: People::open(db, masters).await? })
    }

    /// Makes an account on the same way as a registration, with the same limits: it is pending until
    /// its profile exists, which the server sees to when it runs.
    ///
    /// # Errors
    /// [`Error::Invalid`] with all broken rules, [`Error::EmailTaken`], and those
    /// of the settings and the database.
    pub async fn create_account(
        &self,
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
        let registrar = registrar(self.outbox.clone(), self.people.clone(), config).await?;
        let wish = Wish { email, password, roles, tenant, address: None };
        match registrar.register(wish).await? {
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
    pub async fn rotate_signing_keys(&self, config: &Config) -> Result<Announced, Error> {
        config.validate()?;
        keys::announce(&self.outbox, self.people.vault(), config.into()).await
    }

    /// The accounts that are deleted, with the times.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn erased(&self) -> Result<Vec<(UserId, Timestamp)>, Error> {
        erasing::deleted(self.outbox.db()).await
    }

    /// Erases an account that a restored backup has brought back, as its deletion
    /// did, with its events. False: it is not here, or is deleted.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn erase(&self, user: UserId) -> Result<bool, Error> {
        erasure::erase(&self.outbox, user, Which::Any).await
    }

    /// Seals what a former release has left in the clear. False: nothing was to do.
    ///
    /// # Errors
    /// [`Error::Vault`], [`Error::Database`].
    pub async fn seal_data(&self, tell: Tell<'_>) -> Result<bool, Error> {
        let pending = async |after, limit| keeping::in_clear(self.outbox.db(), after, limit).await;
        let seal = async |unit: &_, user| keeping::seal(unit, &self.people, user).await;
        countersign_vault::seal_data(&self.outbox, pending, seal, tell).await
    }

    /// Gives each person a new data key.
    ///
    /// # Errors
    /// [`Error::Vault`], [`Error::Database`].
    pub async fn rotate_data(&self, tell: Tell<'_>) -> Result<(), Error> {
        let reseal = async |unit: &_, user| keeping::reseal(unit, &self.people, user).await;
        countersign_vault::rotate_data(&self.outbox, reseal, tell).await?;
        self.record("data_keys".to_owned()).await
    }

    /// Seals data keys, secrets and signing keys with the master key `to`.
    /// False: nothing was to do.
    ///
    /// # Errors
    /// [`Error::Vault`], [`Error::Database`].
    pub async fn rotate_master(&self, to: &MasterKey, tell: Tell<'_>) -> Result<bool, Error> {
        let vault = self.people.vault();
        let keys = async |unit: &Unit| {
            reseal_keys(&**unit, vault.masters(), to).await?;
            keeping::reseal_signing_keys(unit, vault.masters(), to).await
        };
        let turned = countersign_vault::rotate_master(vault, &self.outbox, to, keys, tell);
        let turned = turned.await?;
        if turned {
            self.record(to.id()).await?;
        }
        Ok(turned)
    }

    async fn record(&self, key: String) -> Result<(), Error> {
        let unit = self.outbox.begin().await?;
        let entry = Entry::new(Action::KeyRotated, Outcome::Success);
        countersign_audit::record(&unit, &entry.with("key_id", Value::Key(key))).await?;
        Ok(unit.commit().await?)
    }
}

/// The signing keys, in the order in which they sign.
///
/// # Errors
/// [`Error::Database`].
pub async fn list_keys(db: &DatabaseConnection) -> Result<Vec<Life>, Error> {
    Ok(signing_key::all(db).await?.iter().map(Life::from).collect())
}

/// Reads the pepper and the block list, and starts the hashing threads.
pub(crate) async fn registrar(
    outbox: Outbox,
    people: People,
    config: &Config,
) -> Result<Registrar, Error> {
    let pepper = config.hashing.pepper_file.as_deref().map(Pepper::read).transpose()?;
    secrets::check_pepper(outbox.db(), pepper.as_ref()).await?;
    let hasher = Hasher::new(&config.hashing, pepper)?;
    Ok(Registrar {
        policy: Arc::new(Policy::new(&config.password)?),
        hashing: HashingPool::start(hasher, &config.hashing)?,
        outbox,
        people,
    })
}
