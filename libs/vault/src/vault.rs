//! A service's keys as its handlers use them.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use countersign_seal::{DataKey, MasterKey, MasterKeys, Zeroizing};
use countersign_types::{Timestamp, UserId};
use sea_orm::{ConnectionTrait, EntityTrait, QuerySelect, Set, sea_query::OnConflict};

use crate::{
    Damage, Error,
    entity::data_key::{ActiveModel, Column, Entity, Model},
    marks, master,
    personal::{CLEAR, PERSONAL_DATA, SEALED},
};

/// Where a damaged data key stands.
const KEY_COLUMN: &str = "data_keys.sealed";

/// The keys of one service. Clones are the same vault.
#[derive(Clone)]
pub struct Vault {
    masters: MasterKeys,
    /// Known to be so, which it stays for good.
    all_sealed: Arc<AtomicBool>,
}

impl Vault {
    /// Opens the vault of a database that is migrated.
    ///
    /// # Errors
    /// [`Error::MasterKey`] where `masters` lack a key that it needs.
    pub async fn open(db: &impl ConnectionTrait, masters: MasterKeys) -> Result<Self, Error> {
        master::check(db, &masters).await?;
        let vault = Self { masters, all_sealed: Arc::default() };
        if !vault.look(db).await? {
            tracing::warn!(
                "personal data of an earlier release is in the clear: once no server of that \
                 release is left, run countersign keys seal-data"
            );
        }
        Ok(vault)
    }

    /// Whether a database was set up with a master key.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn is_set_up(db: &sea_orm::DatabaseConnection) -> Result<bool, Error> {
        Ok(marks::has_table(db).await? && marks::find(db, master::MASTER_KEY).await?.is_some())
    }

    /// Whether a database goes by this master key, and nothing in it may be sealed
    /// with another.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn is_settled_on(db: &impl ConnectionTrait, key: &MasterKey) -> Result<bool, Error> {
        let canary = marks::find(db, master::MASTER_KEY).await?.unwrap_or_default();
        let goes_by = MasterKeys::sealed_with(&canary).is_ok_and(|id| id == key.id());
        Ok(goes_by && marks::find(db, master::FORMER).await?.is_none())
    }

    /// Whether nothing is in the clear, as far as is known without a look.
    #[must_use]
    pub fn is_all_sealed(&self) -> bool {
        self.all_sealed.load(Ordering::Relaxed)
    }

    /// Looks whether anything may be in the clear. True: nothing is.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn look(&self, db: &impl ConnectionTrait) -> Result<bool, Error> {
        if !self.is_all_sealed() && marks::find(db, PERSONAL_DATA).await?.as_deref() == Some(SEALED)
        {
            self.all_sealed.store(true, Ordering::Relaxed);
        }
        Ok(self.is_all_sealed())
    }

    /// Whether what this transaction writes has to be sealed. While the answer
    /// is no, the transaction holds up whoever would have it otherwise.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn seals(&self, txn: &impl ConnectionTrait) -> Result<bool, Error> {
        if self.is_all_sealed() {
            return Ok(true);
        }
        let state = marks::hold(txn, PERSONAL_DATA).await?;
        self.all_sealed.fetch_or(state.as_deref() == Some(SEALED), Ordering::Relaxed);
        Ok(state.as_deref() != Some(CLEAR))
    }

    /// The secret for one purpose. It is what the first master key derives for
    /// `label`, and stays so when that key goes.
    ///
    /// # Errors
    /// [`Error::Seal`], [`Error::Database`].
    pub async fn secret(
        &self,
        db: &impl ConnectionTrait,
        label: &str,
    ) -> Result<Zeroizing<[u8; 32]>, Error> {
        master::secret(db, &self.masters, label).await
    }

    /// The master key that seals, until the transaction ends.
    ///
    /// # Errors
    /// [`Error::Seal`] where the file has it not, [`Error::Database`].
    pub async fn master(&self, txn: &impl ConnectionTrait) -> Result<MasterKey, Error> {
        master::in_force(txn, &self.masters).await
    }

    /// All master keys that are at hand.
    #[must_use]
    pub const fn masters(&self) -> &MasterKeys {
        &self.masters
    }

    /// Makes and stores the first key of a person.
    ///
    /// # Errors
    /// [`Error::Seal`], [`Error::Database`].
    pub async fn create(
        &self,
        txn: &impl ConnectionTrait,
        user: UserId,
        now: Timestamp,
    ) -> Result<DataKey, Error> {
        let key = DataKey::generate(user, 1)?;
        self.store(txn, &key, now).await?;
        Ok(key)
    }

    /// Stores the first key of a person, which somebody else made.
    ///
    /// # Errors
    /// [`Error::Seal`], [`Error::Database`].
    pub async fn store(
        &self,
        txn: &impl ConnectionTrait,
        key: &DataKey,
        now: Timestamp,
    ) -> Result<(), Error> {
        Entity::insert(self.row(txn, key, now).await?).exec_without_returning(txn).await?;
        Ok(())
    }

    /// Makes the next key of a person and stores it in the place of `before`.
    ///
    /// # Errors
    /// [`Error::Seal`], [`Error::Database`].
    pub async fn renew(
        &self,
        txn: &impl ConnectionTrait,
        before: &DataKey,
        now: Timestamp,
    ) -> Result<DataKey, Error> {
        let key = DataKey::generate(before.user(), before.version() + 1)?;
        let row = self.row(txn, &key, now).await?;
        let over = OnConflict::column(Column::UserId)
            .update_columns([Column::Version, Column::Sealed, Column::CreateTime])
            .to_owned();
        Entity::insert(row).on_conflict(over).exec_without_returning(txn).await?;
        Ok(key)
    }

    /// The key of a person; `None` where there is none, or none any more.
    ///
    /// # Errors
    /// [`Error::Lost`] where it does not open, [`Error::Database`].
    pub async fn find(
        &self,
        db: &impl ConnectionTrait,
        user: UserId,
    ) -> Result<Option<DataKey>, Error> {
        let row = Entity::find_by_id(user.as_uuid()).one(db).await?;
        Ok(row.map(|row| self.read(&row)).transpose()?)
    }

    /// The same; nobody exchanges or destroys it until the transaction ends.
    ///
    /// # Errors
    /// As [`Vault::find`].
    pub async fn hold(
        &self,
        txn: &impl ConnectionTrait,
        user: UserId,
    ) -> Result<Option<DataKey>, Error> {
        let row = Entity::find_by_id(user.as_uuid()).lock_shared().one(txn).await?;
        Ok(row.map(|row| self.read(&row)).transpose()?)
    }

    /// The same, for who exchanges it.
    ///
    /// # Errors
    /// As [`Vault::find`].
    pub async fn lock(
        &self,
        txn: &impl ConnectionTrait,
        user: UserId,
    ) -> Result<Option<DataKey>, Error> {
        let row = Entity::find_by_id(user.as_uuid()).lock_exclusive().one(txn).await?;
        Ok(row.map(|row| self.read(&row)).transpose()?)
    }

    /// Opens the key of a row that was read with others.
    ///
    /// # Errors
    /// [`Damage`], which the log has heard of.
    pub fn read(&self, row: &Model) -> Result<DataKey, Damage> {
        let user = row.user_id.into();
        DataKey::unwrap(&self.masters, user, row.version, &row.sealed).map_err(|error| {
            // Perhaps this replica lacks a new master key: the reason names it.
            tracing::error!(user.id = %user, db.column = KEY_COLUMN, error = %error, "a data key does not open");
            Damage { user, column: KEY_COLUMN }
        })
    }

    /// Destroys the key of a person: what it sealed opens no more. False: there was none.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn destroy(txn: &impl ConnectionTrait, user: UserId) -> Result<bool, Error> {
        Ok(Entity::delete_by_id(user.as_uuid()).exec(txn).await?.rows_affected > 0)
    }

    async fn row(
        &self,
        txn: &impl ConnectionTrait,
        key: &DataKey,
        now: Timestamp,
    ) -> Result<ActiveModel, Error> {
        let master = self.master(txn).await?;
        Ok(ActiveModel {
            user_id: Set(key.user().as_uuid()),
            version: Set(key.version()),
            sealed: Set(key.wrap(&self.masters, &master.id())?),
            create_time: Set(now.as_micros()),
        })
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Vault").field(&self.masters).finish()
    }
}
