//! Retries are given up while too many attempts fail (gRFC A6, "Throttling retry
//! attempts"), so that those who try again do not become the flood.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::ChannelConfig;

/// The tokens of a channel, in parts of which a success brings one back.
pub(super) struct Throttle {
    parts: AtomicU64,
    max: u64,
    per_token: u64,
}

impl Throttle {
    pub(super) fn new(config: &ChannelConfig) -> Self {
        let per_token = u64::from(config.retry_successes_per_token);
        let max = u64::from(config.retry_tokens) * per_token;
        Self { parts: AtomicU64::new(max), max, per_token }
    }

    /// An attempt was answered well.
    pub(super) fn succeeded(&self) {
        self.change(|parts| (parts + 1).min(self.max));
    }

    /// An attempt failed; says whether it may be tried again.
    pub(super) fn failed(&self) -> bool {
        self.change(|parts| parts.saturating_sub(self.per_token)) > self.max / 2
    }

    fn change(&self, to: impl Fn(u64) -> u64) -> u64 {
        let changed = |parts| Some(to(parts));
        let before = self.parts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed);
        to(before.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_end_at_half_of_the_tokens_and_successes_bring_them_back() {
        let config =
            ChannelConfig { retry_tokens: 10, retry_successes_per_token: 4, ..Default::default() };
        let throttle = Throttle::new(&config);
        let granted = (0..100).take_while(|_| throttle.failed()).count();
        assert_eq!(granted, 4);
        for _ in 0..3 {
            throttle.succeeded();
        }
        assert!(!throttle.failed(), "a failure costs more than a success brings");
        for _ in 0..9 {
            throttle.succeeded();
        }
        assert!(throttle.failed());
    }
}
