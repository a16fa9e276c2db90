//! Keeps one replica connected: connects, connects again with growing pauses,
//! and replaces a connection that has grown old, before it lets go of it.

use std::{future::pending, sync::Arc, time::Duration};

use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use uuid::Uuid;

use super::{
    connector::{Connector, Link},
    replica::State,
    watch::watch,
};

/// Pauses after a connection that came to nothing.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a connection lasts that was worth it.
const LASTING: Duration = Duration::from_secs(1);

/// What a keeper needs; the same for all replicas of a target.
pub(super) struct Keeping {
    pub connector: Connector,
    pub max_age: Duration,
    /// The service whose health counts.
    pub health_service: Option<String>,
    /// Told when a connection broke: there may be other addresses now.
    pub trouble: Notify,
}

/// Keeps the replica connected until it is dropped.
pub(super) async fn keep(state: Arc<State>, keeping: Arc<Keeping>) {
    let mut failures = 0;
    for number in 0.. {
        let begun = Instant::now();
        match keeping.connector.connect(&state.address).await {
            Ok(link) => {
                if failures > 0 {
                    tracing::info!(replica.address = %state.address, "a replica can be reached again");
                }
                let grown_old = keeping.hold(&state, number, link).await;
                // One that breaks at once is as good as none.
                let lasted = grown_old || begun.elapsed() >= LASTING;
                failures = if lasted { 0 } else { failures + 1 };
            }
            Err(reason) => {
                if failures == 0 {
                    tracing::warn!(replica.address = %state.address, error.message = reason, "a replica cannot be reached");
                }
                failures += 1;
                state.unreachable(reason);
            }
        }
        if failures > 0 {
            keeping.trouble.notify_one();
            sleep(pause(failures)).await;
        }
    }
}

impl Keeping {
    /// Until a connection takes no more calls, or has grown old; says whether it has.
    async fn hold(&self, state: &State, number: u64, link: Link) -> bool {
        let sender = link.sender.clone();
        let ended = link.ended.clone();
        // Without a question, whoever speaks HTTP/2 counts as healthy.
        state.set_healthy(self.health_service.is_none());
        state.connected(number, link);
        let health = async {
            match &self.health_service {
                Some(service) => {
                    watch(state, sender, &self.connector.origin(&state.address), service).await
                }
                None => pending().await,
            }
        };
        tokio::select! {
            // The next one takes its place when it is there.
            () = sleep(scattered(self.max_age, 10)) => return true,
            () = ended.cancelled() => {}
            () = state.lost.notified() => {}
            () = health => {}
        }
        state.disconnected(number);
        self.trouble.notify_one();
        false
    }
}

/// How long to wait after so many failures.
fn pause(failures: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(10));
    scattered(doubled.min(LONGEST_PAUSE), 20)
}

/// So many percent more or less, so that many do not come all at once.
pub(super) fn scattered(duration: Duration, percent: u32) -> Duration {
    let [random, ..] = *Uuid::new_v4().as_bytes();
    let spread = f64::from(percent) / 100.0;
    duration.mul_f64(1.0 - spread + 2.0 * spread * f64::from(random) / 255.0)
}
