//! Step 3: what was revoked while its tokens still live.

mod wake;

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use countersign_tokens::Claims;
use countersign_types::{Fault, SessionId, Timestamp, UserId};
use parking_lot::RwLock;

use crate::token::unauthenticated;
pub(crate) use wake::Wake;
use wake::{Subject, Wakes};

/// Entries outlive their time by this span, so that neither the leeway of a
/// guard nor a clock that lags lets a revoked token through at its very end.
const GRACE: Duration = Duration::from_secs(60);

/// A handle to what is revoked; clones share one state.
///
/// The maps are exact, never probabilistic, and bounded in time instead of in
/// number: an entry is dropped by [`Self::prune`] once the last token that it
/// concerns has died, so they hold no more than what was revoked within the
/// life of one access token.
#[derive(Clone, Default)]
pub struct Revocations(Arc<State>);

#[derive(Default)]
struct State {
    ready: AtomicBool,
    sessions: RwLock<HashMap<SessionId, Timestamp>>,
    accounts: RwLock<HashMap<UserId, Epoch>>,
    wakes: Wakes,
}

struct Epoch {
    least: i64,
    until: Timestamp,
}

impl Revocations {
    /// Revokes all access tokens of a session. `until` is when the last of
    /// them expires: now plus the life of an access token will do.
    pub fn revoke_session(&self, session: SessionId, until: Timestamp) {
        let mut sessions = self.0.sessions.write();
        let held = sessions.entry(session).or_insert(until);
        *held = until.max(*held);
        drop(sessions);
        self.0.wakes.wake(Subject::Session(session));
    }

    /// Revokes all access tokens of an account that were issued in an epoch
    /// before `epoch`. An epoch never goes back. `until` is when the last of
    /// them expires.
    pub fn set_account_epoch(&self, account: UserId, epoch: i64, until: Timestamp) {
        let mut accounts = self.0.accounts.write();
        let held = accounts.entry(account).or_insert(Epoch { least: epoch, until });
        held.least = epoch.max(held.least);
        held.until = until.max(held.until);
        drop(accounts);
        self.0.wakes.wake(Subject::Account(account));
    }

    /// Whether the token with these claims is revoked.
    #[must_use]
    pub fn is_revoked(&self, claims: &Claims) -> bool {
        if self.0.sessions.read().contains_key(&claims.session) {
            return true;
        }
        let accounts = self.0.accounts.read();
        accounts.get(&claims.subject).is_some_and(|epoch| claims.account_epoch < epoch.least)
    }

    /// Wakes an open stream of the token with these claims when they may be revoked.
    pub(crate) fn wait_for(&self, claims: &Claims) -> Wake {
        self.0.wakes.wait_for(claims.session, claims.subject)
    }

    /// The refusal of a token with these claims, where it is revoked. A session
    /// that was ended wins over an outdated token: no refresh mends it.
    pub(crate) fn check(&self, claims: &Claims) -> Result<(), Fault> {
        if !self.is_revoked(claims) {
            Ok(())
        } else if self.0.sessions.read().contains_key(&claims.session) {
            Err(unauthenticated("SESSION_REVOKED", "the session was ended"))
        } else {
            let message = "the account was changed since the token was issued: refresh it";
            Err(unauthenticated("TOKEN_OUTDATED", message))
        }
    }

    /// Drops what concerns no token that still lives; to be called now and then.
    pub fn prune(&self, now: Timestamp) {
        let dead = now.minus(GRACE);
        prune(&self.0.sessions, |until| *until >= dead);
        prune(&self.0.accounts, |epoch| epoch.until >= dead);
    }

    /// Says that everything that was revoked before the start is read back.
    /// Until then a guard lets no token through.
    pub fn mark_ready(&self) {
        self.0.ready.store(true, Ordering::Release);
    }

    /// Whether [`Self::mark_ready`] was called.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.ready.load(Ordering::Acquire)
    }
}

/// Looks first, so that the usual pass does not lock out the readers.
fn prune<K: Eq + Hash, V>(map: &RwLock<HashMap<K, V>>, lives: impl Fn(&V) -> bool) {
    if map.read().values().all(&lives) {
        return;
    }
    let mut map = map.write();
    map.retain(|_, value| lives(value));
    map.shrink_to_fit();
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations")
            .field("ready", &self.is_ready())
            .field("sessions", &self.0.sessions.read().len())
            .field("accounts", &self.0.accounts.read().len())
            .field("waiting", &self.0.wakes.len())
            .finish()
    }
}
