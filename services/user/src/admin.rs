//! What operators do at the machine, beside running servers. Each works on the
//! database alone, which must be migrated (see [`crate::Migrator`]).

use countersign_audit::{Action, Entry, Outcome, Value, reseal_keys};
use countersign_events::{Outbox, Unit};
use countersign_seal::{MasterKey, MasterKeys};
use countersign_types::{Clock, Timestamp, UserId};
use countersign_vault::{Tell, Vault};
use sea_orm::DatabaseConnection;

use crate::{SOURCE, consumers::erasure, error::Error, store::keeping};

/// The service's database with its keys, for an operator.
#[derive(Debug)]
pub struct Keeper {
    outbox: Outbox,
    vault: Vault,
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
        Ok(Self { outbox, vault: Vault::open(db, masters).await? })
    }

    /// The people whose profiles are erased, with the times.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn erased(&self) -> Result<Vec<(UserId, Timestamp)>, Error> {
        keeping::erased(self.outbox.db()).await
    }

    /// Erases a profile that a restored backup has brought back, or that is made
    /// by an event of before. False: that was so already.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn erase(&self, user: UserId) -> Result<bool, Error> {
        let unit = self.outbox.begin().await?;
        let erased = erasure::erase(&unit, user).await?;
        unit.commit().await?;
        Ok(erased)
    }

    /// Seals what a former release has left in the clear. False: nothing was to do.
    ///
    /// # Errors
    /// [`Error::Vault`], [`Error::Database`].
    pub async fn seal_data(&self, tell: Tell<'_>) -> Result<bool, Error> {
        let pending = async |after, limit| keeping::in_clear(self.outbox.db(), after, limit).await;
        let seal = async |unit: &_, user| keeping::seal(unit, &self.vault, user).await;
        countersign_vault::seal_data(&self.outbox, pending, seal, tell).await
    }

    /// Gives each person a new data key.
    ///
    /// # Errors
    /// [`Error::Vault`], [`Error::Database`].
    pub async fn rotate_data(&self, tell: Tell<'_>) -> Result<(), Error> {
        let reseal = async |unit: &_, user| keeping::reseal(unit, &self.vault, user).await;
        countersign_vault::rotate_data(&self.outbox, reseal, tell).await?;
        self.record("data_keys".to_owned()).await
    }

    /// Seals the data keys with the master key `to`. False: nothing was to do.
    ///
    /// # Errors
    /// [`Error::Vault`], [`Error::Database`].
    pub async fn rotate_master(&self, to: &MasterKey, tell: Tell<'_>) -> Result<bool, Error> {
        let audit_keys = async |unit: &Unit| {
            Ok::<_, Error>(reseal_keys(&**unit, self.vault.masters(), to).await?)
        };
        let turned =
            countersign_vault::rotate_master(&self.vault, &self.outbox, to, audit_keys, tell);
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
