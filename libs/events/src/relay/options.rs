//! How a relay works: sizes and times, all of them bounded.

use std::time::Duration;

use crate::Backoff;

/// How a relay works.
#[derive(Clone, Copy, Debug)]
pub struct RelayOptions {
    /// Rows taken in one step.
    pub batch: u64,
    /// The longest wait between looks where nothing woke the relay: finds what
    /// another process committed, requeued or replayed. Each wait is cut by up
    /// to its half.
    pub poll_interval: Duration,
    /// Waits after a publish that failed, where no consumer named one.
    pub backoff: Backoff,
    /// How long a published row is kept for a replay; inbox entries are kept
    /// twice as long.
    pub retention: Duration,
    /// How often old rows are looked for.
    pub prune_interval: Duration,
    /// How long after a relay has died another takes over what it had in hand;
    /// one that lives renews its claims. Where clocks differ by more, events
    /// are published twice, which the stream recognises.
    pub lease: Duration,
    /// Publishes to a broker at once, each of another aggregate.
    pub parallel: usize,
    /// Whether to tell the relays of other processes, and to be told, by
    /// LISTEN and NOTIFY, which take one connection more. Only PostgreSQL has
    /// them; off, or elsewhere, each relay looks.
    pub listen: bool,
    /// How often the outbox is compared with the stream.
    pub sweep_interval: Duration,
    /// How often the outbox is looked at for what waits there, which is measured.
    pub sample_interval: Duration,
}

impl Default for RelayOptions {
    /// 128 rows, a look every 5 s, rows kept for 7 days and pruned every 10
    /// minutes, claims of 5 s, 64 publishes at once, a sweep every minute, a
    /// sample every 10 s.
    /// With 15 s of [`crate::ConsumerOptions::redelivery_interval`] an idle
    /// process of two services stays under one query a second.
    fn default() -> Self {
        Self {
            batch: 128,
            poll_interval: Duration::from_secs(5),
            backoff: Backoff::default(),
            retention: Duration::from_hours(7 * 24),
            prune_interval: Duration::from_mins(10),
            lease: Duration::from_secs(5),
            parallel: 64,
            listen: true,
            sweep_interval: Duration::from_mins(1),
            sample_interval: Duration::from_secs(10),
        }
    }
}
