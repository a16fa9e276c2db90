//! A steady rate with some room for a burst (the generic cell rate algorithm,
//! ITU-T I.371): one number of state.

use std::time::Duration;

use countersign_types::Timestamp;

use super::ledger::Count;

/// How often something may happen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    interval: Duration,
    burst: Duration,
}

/// How far a limit is used up.
#[derive(Debug)]
pub(super) struct Rate {
    /// When the next one would be due if all came evenly.
    due: Timestamp,
}

impl Limit {
    /// So many a second; two seconds' worth may come at once.
    pub(super) fn per_second(count: u32) -> Self {
        Self::new(Duration::from_secs(1), count, 2)
    }

    /// So many a minute; three minutes' worth may come at once.
    pub(super) fn per_minute(count: u32) -> Self {
        Self::new(Duration::from_secs(60), count, 3)
    }

    fn new(span: Duration, count: u32, burst: u32) -> Self {
        Self { interval: span / count.max(1), burst: span * burst }
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self { due: Timestamp::EPOCH }
    }
}

impl Rate {
    /// Counts one more, whether there was room or not; it takes no more than all room.
    pub(super) fn count(&mut self, limit: &Limit, now: Timestamp) {
        self.due = self.due.max(now).plus(limit.interval);
        self.settle(limit, now);
    }
}

impl Count for Rate {
    type Rule = Limit;

    // Only a clock that was set back lets more than a burst be due.
    fn settle(&mut self, limit: &Limit, now: Timestamp) {
        self.due = self.due.min(now.plus(limit.burst));
    }

    fn wait(&self, limit: &Limit, now: Timestamp) -> Duration {
        let ahead = self.due.max(now).plus(limit.interval).since(now);
        ahead.saturating_sub(limit.burst)
    }

    fn is_pending(&self, now: Timestamp) -> bool {
        self.due > now
    }

    fn is_spent(&self, now: Timestamp) -> bool {
        self.due <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

    fn admit(rate: &mut Rate, limit: &Limit, now: Timestamp) -> Result<(), Duration> {
        rate.settle(limit, now);
        match rate.wait(limit, now) {
            Duration::ZERO => {
                rate.count(limit, now);
                Ok(())
            }
            wait => Err(wait),
        }
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let (mut rate, limit) = (Rate::default(), Limit::per_second(10));
        let burst = (0..100).filter(|_| admit(&mut rate, &limit, NOW).is_ok()).count();
        assert_eq!(burst, 20);
        let wait = admit(&mut rate, &limit, NOW).unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        let later = NOW.plus(wait);
        assert!(admit(&mut rate, &limit, later).is_ok());
        assert!(admit(&mut rate, &limit, later).is_err());
    }

    #[test]
    fn a_clock_that_is_set_back_delays_by_one_interval_at_most() {
        let (mut rate, limit) = (Rate::default(), Limit::per_minute(60));
        while admit(&mut rate, &limit, NOW).is_ok() {}
        let earlier = NOW.minus(Duration::from_secs(24 * 60 * 60));
        let wait = admit(&mut rate, &limit, earlier).unwrap_err();
        assert_eq!(wait, Duration::from_secs(1));
        assert!(admit(&mut rate, &limit, earlier.plus(wait)).is_ok());
    }

    #[test]
    fn what_is_counted_beyond_the_limit_delays_by_one_interval_at_most() {
        let (mut rate, limit) = (Rate::default(), Limit::per_second(10));
        (0..1_000).for_each(|_| rate.count(&limit, NOW));
        assert_eq!(rate.wait(&limit, NOW), Duration::from_millis(100));
    }
}
