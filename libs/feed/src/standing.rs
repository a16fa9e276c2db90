//! Whether a process without the auth service knows enough to let anybody in:
//! keys, and what was revoked.

use std::time::Duration;

use countersign_events::Following;
use countersign_guard::Revocations;
use countersign_types::Clock;
use tokio::{sync::watch, time::interval};
use tokio_util::sync::CancellationToken;

/// How often it is looked at where nothing changes.
const LOOK: Duration = Duration::from_secs(1);

/// Watches over the guard of such a process.
pub struct Standing {
    pub following: Following,
    pub keys_known: watch::Receiver<bool>,
    pub revocations: Revocations,
    pub max_staleness: Option<Duration>,
    pub clock: Clock,
    pub ready: watch::Sender<bool>,
}

impl Standing {
    /// Watches until `cancel`.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut caught_up = self.following.caught_up();
        let mut has_caught_up = false;
        let mut look = interval(LOOK);
        loop {
            // Once it knows everything, it goes on with what it knows.
            has_caught_up |= *caught_up.borrow_and_update();
            self.step(has_caught_up);
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = look.tick() => {}
                Ok(()) = caught_up.changed() => {}
                Ok(()) = self.keys_known.changed() => {}
            }
        }
    }

    fn step(&mut self, has_caught_up: bool) {
        if has_caught_up {
            self.revocations.mark_ready();
        }
        // What is too old for one RPC may do for another: the guard looks at its
        // rules. Here it is about the process as a whole.
        let knows_revoked = has_caught_up && !self.is_stale();
        self.revocations.prune(self.clock.now());
        let now = knows_revoked && *self.keys_known.borrow_and_update();
        let changed = self.ready.send_if_modified(|ready| std::mem::replace(ready, now) != now);
        if changed && now {
            tracing::info!("the guard knows the keys and what was revoked");
        } else if changed {
            tracing::warn!("the guard no longer knows what was revoked: calls are refused");
        }
    }

    fn is_stale(&self) -> bool {
        let news = self.following.staleness();
        self.max_staleness.is_some_and(|limit| news.is_none_or(|age| age > limit))
    }
}
