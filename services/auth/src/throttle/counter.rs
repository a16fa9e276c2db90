//! Failures that fade, and the delay that they cause.

use std::time::Duration;

use countersign_types::Timestamp;

use crate::config::DelayConfig;

/// The failures of one account, network, or account seen from one network.
#[derive(Debug)]
pub(super) struct Counter {
    failures: u32,
    in_flight: u32,
    last_failure: Timestamp,
    /// From when on the time to the next forgiven failure runs.
    forgiving_since: Timestamp,
}

impl Default for Counter {
    fn default() -> Self {
        let (last_failure, forgiving_since) = (Timestamp::EPOCH, Timestamp::EPOCH);
        Self { failures: 0, in_flight: 0, last_failure, forgiving_since }
    }
}

impl Counter {
    /// Whether one more attempt may be made now; else the time to wait.
    pub(super) fn admit(
        &mut self,
        rule: &DelayConfig,
        parallel: u32,
        now: Timestamp,
    ) -> Result<(), Duration> {
        self.forgive(rule, now);
        let passed = now.since(self.last_failure);
        let wait = self.delay(rule).saturating_sub(passed);
        if !wait.is_zero() {
            return Err(wait);
        }
        // Once delays are due, one at a time: the next one needs this one's outcome.
        let most = if self.failures < rule.free { parallel } else { 1 };
        if self.in_flight >= most { Err(rule.base) } else { Ok(()) }
    }

    pub(super) fn enter(&mut self) {
        self.in_flight = self.in_flight.saturating_add(1);
    }

    pub(super) fn leave(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub(super) fn fail(&mut self, rule: &DelayConfig, now: Timestamp) {
        self.forgive(rule, now);
        if self.failures == 0 {
            self.forgiving_since = now;
        }
        self.failures = self.failures.saturating_add(1);
        self.last_failure = now;
    }

    pub(super) fn clear(&mut self) {
        self.failures = 0;
    }

    /// The delay after the last failure.
    fn delay(&self, rule: &DelayConfig) -> Duration {
        match self.failures.checked_sub(rule.free + 1) {
            None => Duration::ZERO,
            Some(doublings) => {
                let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
                rule.base.saturating_mul(factor).min(rule.cap)
            }
        }
    }

    fn forgive(&mut self, rule: &DelayConfig, now: Timestamp) {
        let every = rule.forgive_every.as_micros().max(1);
        let forgiven = now.since(self.forgiving_since).as_micros() / every;
        let forgiven = u32::try_from(forgiven).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_sub(forgiven);
        let span = rule.forgive_every.saturating_mul(forgiven);
        self.forgiving_since = self.forgiving_since.plus(span);
    }
}
