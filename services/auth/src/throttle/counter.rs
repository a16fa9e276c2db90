//! Failures that fade, and the delay that they cause.

use std::time::Duration;

use countersign_types::Timestamp;

use super::ledger::Count;
use crate::config::DelayConfig;

/// The failures of one account, network, device, or account seen from one network.
#[derive(Debug)]
pub(super) struct Counter {
    failures: u32,
    in_flight: u32,
    /// When the next attempt may be made.
    due: Timestamp,
    /// From when on the time to the next forgiven failure runs.
    forgiving_since: Timestamp,
}

impl Default for Counter {
    fn default() -> Self {
        let (due, forgiving_since) = (Timestamp::EPOCH, Timestamp::EPOCH);
        Self { failures: 0, in_flight: 0, due, forgiving_since }
    }
}

impl Counter {
    pub(super) fn enter(&mut self) {
        self.in_flight = self.in_flight.saturating_add(1);
    }

    pub(super) fn leave(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub(super) fn fail(&mut self, rule: &DelayConfig, now: Timestamp) {
        self.settle(rule, now);
        if self.failures == 0 {
            self.forgiving_since = now;
        }
        // No more of them than cause the longest delay: so they fade in bounded time.
        self.failures = self.failures.saturating_add(1).min(longest_after(rule));
        self.due = now.plus(delay(rule, self.failures));
    }

    /// Nothing failed.
    pub(super) fn clear(&mut self) {
        (self.failures, self.due) = (0, Timestamp::EPOCH);
    }
}

impl Count for Counter {
    type Rule = DelayConfig;

    fn settle(&mut self, rule: &DelayConfig, now: Timestamp) {
        // A clock that was set back prolongs neither the delay nor the time to forget.
        self.due = self.due.min(now.plus(delay(rule, self.failures)));
        self.forgiving_since = self.forgiving_since.min(now);
        let every = rule.forgive_every.as_micros().max(1);
        let forgiven = now.since(self.forgiving_since).as_micros() / every;
        let forgiven = u32::try_from(forgiven).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_sub(forgiven);
        let span = rule.forgive_every.saturating_mul(forgiven);
        self.forgiving_since = self.forgiving_since.plus(span);
    }

    fn wait(&self, rule: &DelayConfig, now: Timestamp) -> Duration {
        let wait = self.due.since(now);
        // Each attempt in flight may fail. Once delays are due, one at a time:
        // the next one needs this one's outcome.
        let room = rule.free.saturating_sub(self.failures).max(1);
        if self.in_flight < room { wait } else { wait.max(rule.base) }
    }

    fn is_pending(&self, now: Timestamp) -> bool {
        self.in_flight > 0 || self.due > now
    }

    fn is_spent(&self, now: Timestamp) -> bool {
        !self.is_pending(now) && self.failures == 0
    }
}

/// The delay after so many failures.
fn delay(rule: &DelayConfig, failures: u32) -> Duration {
    match failures.checked_sub(rule.free.saturating_add(1)) {
        None => Duration::ZERO,
        Some(doublings) => {
            let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
            rule.base.saturating_mul(factor).min(rule.cap)
        }
    }
}

/// The failures after which the delay is the longest.
fn longest_after(rule: &DelayConfig) -> u32 {
    let first = rule.free.saturating_add(1);
    let last = first.saturating_add(u32::BITS);
    (first..last).find(|failures| delay(rule, *failures) == rule.cap).unwrap_or(last)
}
