//! How long to wait before the next try.

use std::time::Duration;

use uuid::Uuid;

/// Waits that double from `first` up to `max`. Each is cut by a random part of
/// up to its half, so that what failed together does not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failure.
    pub first: Duration,
    /// The longest wait.
    pub max: Duration,
}

impl Backoff {
    /// No wait at all.
    pub const NONE: Self = Self { first: Duration::ZERO, max: Duration::ZERO };

    /// The wait after the given number of failures, from 1.
    #[must_use]
    pub fn delay(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.max);
        // An id is as random as a wait needs to be.
        let (_, random) = Uuid::new_v4().as_u64_pair();
        let share = u32::try_from(random % 1024).unwrap_or(0);
        full.saturating_sub(full / 2048 * share)
    }
}

impl Default for Backoff {
    /// From 100 ms to 30 s.
    fn default() -> Self {
        Self { first: Duration::from_millis(100), max: Duration::from_secs(30) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_vary_by_half() {
        let backoff = Backoff::default();
        for (failures, full) in [(1, 100), (2, 200), (5, 1600), (9, 25_600), (10, 30_000)] {
            let full = Duration::from_millis(full);
            let delay = backoff.delay(failures);
            assert!(delay <= full && delay >= full / 2, "{failures}: {delay:?}");
        }
        assert!(backoff.delay(u32::MAX) <= Duration::from_secs(30));
        assert_eq!(Backoff::NONE.delay(7), Duration::ZERO);
    }
}
