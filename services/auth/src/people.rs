//! What is known of people and kept sealed: their addresses, and from where
//! they are logged in. An address is found again by its keyed hash.

use std::{fmt, sync::Arc};

use countersign_seal::{BlindIndex, DataKey, MasterKeys, Place};
use countersign_types::{Email, SessionId};
use countersign_vault::{Damage, Vault, data_key};
use sea_orm::{ConnectionTrait, DatabaseConnection};

use crate::{Error, store::account};

/// Changing it loses every address.
const EMAIL_INDEX: &str = "countersign/blind-index/accounts.email/v1";

// What is sealed is bound to these names: they never change.
const EMAIL: Place = Place::column("accounts.email");
const DEVICE_LABEL: &str = "sessions.device_label";
const ADDRESS: &str = "sessions.address";

/// Seals and opens what is known of people. Clones are the same.
#[derive(Clone)]
pub(crate) struct People {
    vault: Vault,
    emails: Arc<BlindIndex>,
}

/// From where somebody is logged in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Whereabouts {
    pub(crate) device_label: String,
    /// Empty where there was none.
    pub(crate) address: String,
}

impl People {
    /// # Errors
    /// [`Error::Vault`] where the master keys do not fit the database.
    pub(crate) async fn open(db: &DatabaseConnection, masters: MasterKeys) -> Result<Self, Error> {
        let vault = Vault::open(db, masters).await?;
        let key = vault.secret(db, EMAIL_INDEX).await?;
        Ok(Self { vault, emails: Arc::new(BlindIndex::new("accounts.email", &key)) })
    }

    pub(crate) const fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Opens the key of a row. One that does not open is in the log, and gone here.
    pub(crate) fn open_key(&self, row: Option<data_key::Model>) -> Option<DataKey> {
        row.and_then(|row| self.vault.read(&row).ok())
    }

    /// By what an address is found.
    pub(crate) fn index(&self, email: &Email) -> Vec<u8> {
        self.emails.of(email.as_str()).to_vec()
    }

    /// The condition for the account with this address. As long as some may be
    /// in the clear it looks for both.
    pub(crate) async fn having(
        &self,
        db: &impl ConnectionTrait,
        email: &Email,
    ) -> Result<sea_orm::Condition, Error> {
        let sealed = account::by_index(self.index(email));
        let all_sealed = self.vault.look(db).await?;
        Ok(if all_sealed { sealed } else { sealed.add(account::by_email(email)) })
    }
}

pub(crate) fn seal_email(key: &DataKey, email: &Email) -> Result<Vec<u8>, Error> {
    Ok(key.seal(EMAIL, email.as_str().as_bytes())?)
}

pub(crate) fn open_email(key: &DataKey, sealed: &[u8]) -> Result<Email, Damage> {
    let opened = key.open(EMAIL, sealed).ok();
    let text = opened.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
    let email = text.and_then(|text| Email::parse(text).ok());
    email.ok_or_else(|| Damage { user: key.user(), column: EMAIL.name() }.logged())
}

impl Whereabouts {
    /// Label and address, sealed for this session.
    pub(crate) fn seal(
        &self,
        key: &DataKey,
        session: SessionId,
    ) -> Result<(Vec<u8>, Vec<u8>), Error> {
        let label = Place::of_session(DEVICE_LABEL, session);
        let address = Place::of_session(ADDRESS, session);
        let label = key.seal(label, self.device_label.as_bytes())?;
        Ok((label, key.seal(address, self.address.as_bytes())?))
    }

    /// What does not open is empty, and in the log.
    pub(crate) fn open(key: &DataKey, session: SessionId, label: &[u8], address: &[u8]) -> Self {
        let open = |column, sealed| {
            let opened = key.open(Place::of_session(column, session), sealed).ok();
            let text = opened.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
            text.unwrap_or_else(|| {
                let _ = Damage { user: key.user(), column }.logged();
                String::new()
            })
        };
        Self { device_label: open(DEVICE_LABEL, label), address: open(ADDRESS, address) }
    }
}

impl fmt::Debug for People {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("People").field(&self.vault).finish()
    }
}
