//! A steady rate with some room for a burst (the generic cell rate algorithm,
//! ITU-T I.371): one number of state.

use std::time::Duration;

use countersign_types::Timestamp;

/// A limit on how often something may happen.
#[derive(Debug)]
pub(super) struct Rate {
    interval: Duration,
    burst: Duration,
    /// When the next one would be due if all came evenly.
    due: Timestamp,
}

impl Rate {
    /// So many a second; two seconds' worth may come at once.
    pub(super) fn per_second(count: u32) -> Self {
        Self::new(Duration::from_secs(1), count, 2)
    }

    /// So many a minute; three minutes' worth may come at once.
    pub(super) fn per_minute(count: u32) -> Self {
        Self::new(Duration::from_secs(60), count, 3)
    }

    fn new(span: Duration, count: u32, burst: u32) -> Self {
        Self { interval: span / count.max(1), burst: span * burst, due: Timestamp::EPOCH }
    }

    /// Counts one more, or says how long to wait.
    pub(super) fn admit(&mut self, now: Timestamp) -> Result<(), Duration> {
        let due = self.due.max(now);
        let ahead = due.plus(self.interval).since(now);
        if ahead > self.burst {
            return Err(ahead - self.burst);
        }
        self.due = due.plus(self.interval);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let mut now = Timestamp::from_seconds(1_000);
        let mut rate = Rate::per_second(10);
        let burst = (0..100).filter(|_| rate.admit(now).is_ok()).count();
        assert_eq!(burst, 20);
        let wait = rate.admit(now).unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        now = now.plus(wait);
        assert!(rate.admit(now).is_ok());
        assert!(rate.admit(now).is_err());
    }
}
