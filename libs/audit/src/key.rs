//! The key that signs checkpoints: one of its own, sealed with the master key.

use std::{fmt, sync::Arc};

use countersign_events::Outbox;
use countersign_seal::{MasterKey, MasterKeys};
use countersign_tokens::{SigningKey, VerificationKey};
use sea_orm::{ConnectionTrait, EntityTrait, QueryOrder, Set};

use crate::{Action, Entry, Error, Outcome, Value, entity::key, record};

/// Signs the checkpoints of one service's trail. Clones are the same key.
#[derive(Clone)]
pub struct AuditKey(Arc<Keys>);

struct Keys {
    signing: SigningKey,
    /// All whose secret parts the master keys open.
    trusted: Vec<VerificationKey>,
}

impl AuditKey {
    /// The key of the trail in the database of `outbox`; the first one is made,
    /// and that is on record. Where several replicas make one at once, all of
    /// them hold.
    ///
    /// One that does not open with any of `masters` is passed over, with a word in
    /// the log: it was changed, or sealed with a master key that is gone. A new
    /// one is sealed with the master key `sealing`. What
    /// it has signed is still good for whoever has kept its public part.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unit`], [`Error::Tokens`], [`Error::Seal`].
    pub async fn open(
        outbox: &Outbox,
        masters: &MasterKeys,
        sealing: &MasterKey,
    ) -> Result<Self, Error> {
        let db = outbox.db();
        if let Some(known) = Self::known(db, masters).await? {
            return Ok(known);
        }
        let key = SigningKey::generate()?;
        let key_id = key.key_id().to_string();
        let unit = outbox.begin().await?;
        let entry = Entry::new(Action::KeyCreated, Outcome::Success)
            .with("key_id", Value::Key(key_id.clone()))
            .with("purpose", Value::Word("audit"));
        record(&unit, &entry).await?;
        let row = key::ActiveModel {
            create_time: Set(unit.now().as_micros()),
            paserk: Set(key.verification_key().paserk()),
            secret: Set(sealing.seal(&context(&key_id), &key.to_secret_bytes())?),
            key_id: Set(key_id),
        };
        key::Entity::insert(row).exec_without_returning(&*unit).await?;
        unit.commit().await?;
        // Read again: another replica may have been first.
        Self::known(db, masters).await?.ok_or(Error::Statement)
    }

    async fn known(db: &impl ConnectionTrait, masters: &MasterKeys) -> Result<Option<Self>, Error> {
        let (mut signing, mut trusted) = (None, Vec::new());
        for row in rows(db).await? {
            match opened(&row, masters) {
                Ok(key) => {
                    trusted.push(key.verification_key());
                    signing = signing.or(Some(key));
                }
                Err(error) => {
                    let key_id = row.key_id;
                    tracing::error!(key.id = key_id, error = %error, "an audit key does not open");
                }
            }
        }
        Ok(signing.map(|signing| Self(Arc::new(Keys { signing, trusted }))))
    }

    pub(crate) fn signing(&self) -> &SigningKey {
        &self.0.signing
    }

    pub(crate) fn trusted(&self) -> &[VerificationKey] {
        &self.0.trusted
    }
}

/// The public parts of the keys whose secret parts the master keys open:
/// nobody else can have put them there.
///
/// # Errors
/// [`Error::Database`].
pub async fn trusted_keys(
    db: &impl ConnectionTrait,
    masters: &MasterKeys,
) -> Result<Vec<VerificationKey>, Error> {
    let keys = rows(db).await?;
    let opened = keys.iter().filter_map(|row| opened(row, masters).ok());
    Ok(opened.map(|key| key.verification_key()).collect())
}

/// The public parts of the keys as they stand in the database, where whoever may
/// write to it can have put others.
///
/// # Errors
/// [`Error::Database`].
pub async fn stored_keys(db: &impl ConnectionTrait) -> Result<Vec<VerificationKey>, Error> {
    let keys = rows(db).await?;
    Ok(keys.iter().filter_map(|row| VerificationKey::from_paserk(&row.paserk).ok()).collect())
}

/// Seals the keys with another master key, which takes the place of one of
/// `masters`. One that does not open stays as it is.
///
/// # Errors
/// [`Error::Database`], [`Error::Seal`].
pub async fn reseal_keys(
    db: &impl ConnectionTrait,
    masters: &MasterKeys,
    to: &MasterKey,
) -> Result<(), Error> {
    for row in rows(db).await? {
        let Ok(key) = opened(&row, masters) else { continue };
        let resealed = key::ActiveModel {
            secret: Set(to.seal(&context(&row.key_id), &key.to_secret_bytes())?),
            key_id: Set(row.key_id),
            ..Default::default()
        };
        key::Entity::update(resealed).exec(db).await?;
    }
    Ok(())
}

async fn rows(db: &impl ConnectionTrait) -> Result<Vec<key::Model>, Error> {
    let first = key::Entity::find().order_by_asc(key::Column::CreateTime);
    Ok(first.order_by_asc(key::Column::KeyId).all(db).await?)
}

fn opened(row: &key::Model, masters: &MasterKeys) -> Result<SigningKey, Error> {
    let secret = masters.open(&context(&row.key_id), &row.secret)?;
    let key = SigningKey::from_bytes(&secret)?;
    if key.key_id().as_str() == row.key_id { Ok(key) } else { Err(Error::Statement) }
}

fn context(key_id: &str) -> Vec<u8> {
    format!("audit_key.secret {key_id}").into_bytes()
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditKey({})", self.signing().key_id())
    }
}
