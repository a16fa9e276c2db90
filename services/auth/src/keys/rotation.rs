//! One key after the other: each is published before it signs, and verifies
//! until the last of its tokens is dead, so a rotation refuses no valid token.
//!
//! A key goes on signing until its successor takes over, however long the
//! server was away; and a key has one successor, whoever makes it first: the
//! column is unique. No replica can take another's place by mistake, as it
//! could with a lease that runs out while its holder sleeps.

use std::{
    fmt,
    time::{Duration, Instant},
};

use countersign_audit::{Action, Entry, Outcome, Value};
use countersign_contracts::events::v1::SigningKeyChanged;
use countersign_events::{Outbox, Unit};
use countersign_tokens::SigningKey;
use countersign_types::{EventId, Timestamp};
use countersign_vault::Vault;
use tokio_util::sync::CancellationToken;

use super::{KeyStore, Life, State, context};
use crate::{
    Config, Error,
    config::ACCESS_TOKEN_LIFETIME_MAX,
    store::signing_key::{self, Model},
};

/// How much longer than its last token a key verifies: clocks differ.
const MARGIN: Duration = Duration::from_secs(60);

/// Makes keys when they are due, removes dead ones, and keeps up with what
/// operators and other replicas do.
#[derive(Clone)]
pub struct Rotation {
    outbox: Outbox,
    vault: Vault,
    store: KeyStore,
    periods: Periods,
    poll_interval: Duration,
}

/// A key that an operator asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The key.
    pub key: Life,
    /// Whether it was made now; `false` where one was announced already.
    pub is_new: bool,
}

#[derive(Clone, Copy)]
pub(crate) struct Periods {
    rotation: Duration,
    announce: Duration,
    /// How long a key verifies after it has stopped signing.
    retirement: Duration,
}

impl Periods {
    /// From the row of a new key to its first token.
    pub(crate) const fn announce(self) -> Duration {
        self.announce
    }
}

impl From<&Config> for Periods {
    fn from(config: &Config) -> Self {
        Self {
            rotation: config.signing_keys.rotation_period,
            // A server may hand out the list without a new key until it has looked again.
            announce: config.signing_keys.announce_period + 2 * config.signing_keys.poll_interval,
            // Not the lifetime of today: it may be raised before the key stops signing.
            retirement: ACCESS_TOKEN_LIFETIME_MAX + MARGIN,
        }
    }
}

impl Rotation {
    pub(crate) fn new(outbox: Outbox, vault: Vault, store: KeyStore, config: &Config) -> Self {
        let poll_interval = config.signing_keys.poll_interval;
        Self { outbox, vault, store, periods: config.into(), poll_interval }
    }

    /// Does what is due now, and takes over the keys of the database.
    ///
    /// # Errors
    /// [`Error::Database`], and [`Error::Seal`] for a key that does not open.
    pub async fn step(&self) -> Result<(), Error> {
        let since = Instant::now();
        let now = self.outbox.clock().now();
        let mut rows = signing_key::all(self.outbox.db()).await?;
        let mut changed = false;
        match rows.last() {
            None => changed |= self.make(None, now).await?,
            // It does not sign yet, so nobody waits for the one after it.
            Some(last) if last.sign_time > now.as_micros() => (),
            Some(last) => {
                let age = now.since(Timestamp::from_micros(last.sign_time));
                if age + self.periods.announce >= self.periods.rotation {
                    changed |= self.make(Some(last), now).await?;
                }
            }
        }
        for row in rows.iter().filter(|row| Life::from(*row).state(now) == State::Removed) {
            changed |= self.remove(row).await?;
        }
        if changed {
            rows = signing_key::all(self.outbox.db()).await?;
        }
        rows.retain(|row| Life::from(row).state(now) != State::Removed);
        self.store.load(&rows, self.vault.masters(), since)
    }

    /// Steps until `cancel`.
    pub(crate) async fn run(self, cancel: CancellationToken) {
        loop {
            if let Err(error) = self.step().await {
                tracing::warn!(error = %error, "signing keys cannot be looked after");
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(self.poll_interval) => {}
            }
        }
    }

    /// Another replica that was first is as good: the rows are read again either way.
    async fn make(&self, last: Option<&Model>, now: Timestamp) -> Result<bool, Error> {
        let earliest = last.map_or(now, |last| {
            let full_term = Timestamp::from_micros(last.sign_time).plus(self.periods.rotation);
            full_term.max(now.plus(self.periods.announce))
        });
        make(&self.outbox, &self.vault, self.periods, last, earliest).await?;
        Ok(true)
    }

    async fn remove(&self, row: &Model) -> Result<bool, Error> {
        let unit = self.outbox.begin().await?;
        if !signing_key::remove(&*unit, row.id).await? {
            return Ok(true);
        }
        record(&unit, row, Action::KeyRotated).await?;
        unit.commit().await?;
        Ok(true)
    }
}

/// Announces a new key at once, unless one is announced already. Works beside
/// a running server, which takes it up at its next step.
///
/// # Errors
/// [`Error::Database`], [`Error::Seal`], [`Error::Tokens`].
pub(crate) async fn announce(
    outbox: &Outbox,
    vault: &Vault,
    periods: Periods,
) -> Result<Announced, Error> {
    let now = outbox.clock().now();
    let rows = signing_key::all(outbox.db()).await?;
    let (is_new, made) = match rows.last() {
        Some(last) if last.sign_time > now.as_micros() => (false, Life::from(last)),
        last => {
            let sign_time = if last.is_some() { now.plus(periods.announce) } else { now };
            match make(outbox, vault, periods, last, sign_time).await? {
                Some(made) => (true, made),
                None => {
                    let rows = signing_key::all(outbox.db()).await?;
                    (false, rows.last().map(Life::from).ok_or(Error::NoSigningKey)?)
                }
            }
        }
    };
    Ok(Announced { key: made, is_new })
}

/// Makes the successor of `last`. `None`: it has one already.
async fn make(
    outbox: &Outbox,
    vault: &Vault,
    periods: Periods,
    last: Option<&Model>,
    sign_time: Timestamp,
) -> Result<Option<Life>, Error> {
    let now = outbox.clock().now();
    let key = SigningKey::generate()?;
    let key_id = key.key_id().to_string();
    let unit = outbox.begin().await?;
    let master = vault.master(&*unit).await?;
    let row = Model {
        id: EventId::generate().as_uuid(),
        predecessor: last.map(|last| last.key_id.clone()).unwrap_or_default(),
        paserk: key.verification_key().paserk(),
        secret: master.seal(&context(&key_id), &key.to_secret_bytes())?,
        key_id,
        announce_time: now.as_micros(),
        sign_time: sign_time.as_micros(),
        retire_time: None,
        remove_time: None,
    };
    if !signing_key::create(&*unit, row.clone()).await? {
        return Ok(None);
    }
    if let Some(last) = last {
        let remove_time = sign_time.plus(periods.retirement);
        signing_key::retire(&*unit, &last.key_id, sign_time, remove_time).await?;
    }
    record(&unit, &row, Action::KeyCreated).await?;
    unit.commit().await?;
    tracing::info!(key.id = row.key_id, "a signing key was announced");
    Ok(Some(Life::from(&row)))
}

async fn record(unit: &Unit, row: &Model, action: Action) -> Result<(), Error> {
    let entry = Entry::new(action, Outcome::Success)
        .subject(row.id)
        .with("key_id", Value::Key(row.key_id.clone()));
    countersign_audit::record(unit, &entry).await?;
    unit.append(row.id, &SigningKeyChanged { key_id: row.key_id.clone() }).await?;
    Ok(())
}

impl fmt::Debug for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rotation").field("store", &self.store).finish_non_exhaustive()
    }
}
