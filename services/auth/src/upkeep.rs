//! What has to be done now and then: old sessions are deleted, and accounts that
//! have waited for it; revocations of
//! other replicas are read, and those that concern no living token are forgotten.

use std::{fmt, time::Duration};

use countersign_events::Outbox;
use countersign_guard::Revocations;
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    config::{ACCESS_TOKEN_LIFETIME_MAX, SessionConfig},
    erasure,
    store::{
        administration,
        erasing::{self, Which},
        revocation, session,
    },
};

const INTERVAL: Duration = Duration::from_secs(30);
/// Sessions that one statement deletes: others can write in between.
const BATCH: u64 = 500;
/// The leeway of a guard, and so much again by which the clocks of replicas may differ.
const MARGIN: Duration = Duration::from_secs(120);

/// Looks after sessions and revocations.
#[derive(Clone)]
pub struct Upkeep {
    outbox: Outbox,
    revocations: Revocations,
    retention: Duration,
}

impl Upkeep {
    pub(crate) fn new(outbox: Outbox, revocations: Revocations, config: &SessionConfig) -> Self {
        Self { outbox, revocations, retention: config.retention }
    }

    /// Reads back what was revoked before the start, and lets the guard begin.
    pub(crate) async fn restore(&self) -> Result<(), Error> {
        self.read(ACCESS_TOKEN_LIFETIME_MAX).await?;
        self.revocations.mark_ready();
        Ok(())
    }

    /// Reads what was revoked or outdated in the last while, here or by another replica.
    async fn read(&self, span: Duration) -> Result<(), Error> {
        let oldest = self.outbox.clock().now().minus(span + MARGIN);
        for (session, time) in revocation::since(self.outbox.db(), oldest).await? {
            self.revocations.revoke_session(session, time.plus(ACCESS_TOKEN_LIFETIME_MAX));
        }
        for (account, epoch, time) in administration::epochs_since(self.outbox.db(), oldest).await?
        {
            let until = time.plus(ACCESS_TOKEN_LIFETIME_MAX);
            self.revocations.set_account_epoch(account, epoch, until);
        }
        Ok(())
    }

    /// Does what is due now. Returns how many sessions it deleted: until it is
    /// 0 there may be more.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn step(&self) -> Result<u64, Error> {
        let now = self.outbox.clock().now();
        self.revocations.prune(now);
        for user in erasing::due(self.outbox.db(), now, BATCH).await? {
            erasure::erase(&self.outbox, user, Which::Due).await?;
        }
        session::sweep(self.outbox.db(), now.minus(self.retention), BATCH).await
    }

    /// Steps until `cancel`.
    pub(crate) async fn run(self, cancel: CancellationToken) {
        loop {
            // The events of other replicas come within milliseconds, as long as there
            // is a broker; the database says the same without one.
            if let Err(error) = self.read(2 * INTERVAL).await {
                tracing::warn!(error = %error, "revocations cannot be read");
            }
            match self.step().await {
                Ok(0) => (),
                Ok(_) if !cancel.is_cancelled() => continue,
                Ok(_) => return,
                Err(error) => tracing::warn!(error = %error, "old sessions cannot be deleted"),
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    }
}

impl fmt::Debug for Upkeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upkeep")
    }
}
