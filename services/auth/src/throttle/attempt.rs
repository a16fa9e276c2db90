//! An attempt from its admission to its outcome.

use super::{Throttle, books::Lane};
use crate::network::Origin;

/// An admitted attempt. It counts as a failure where it is dropped: whoever
/// hangs up learns nothing and saves nothing.
pub(crate) struct Attempt<'a> {
    throttle: &'a Throttle,
    lane: Lane,
    origin: Origin,
    outcome: Outcome,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Failed,
    Succeeded,
    Void,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(throttle: &'a Throttle, lane: Lane, origin: Origin) -> Self {
        Self { throttle, lane, origin, outcome: Outcome::Failed }
    }

    /// For whom its password is hashed.
    pub(crate) const fn origin(&self) -> Origin {
        self.origin
    }

    /// The password was right: what failed before with this device token is
    /// forgotten. What strangers can see of the throttle stays as it is, else
    /// they could see that somebody has this account and logs in.
    pub(crate) fn succeeded(mut self) {
        self.outcome = Outcome::Succeeded;
    }

    /// Nothing was learned about the password: the attempt is no failure.
    pub(crate) fn void(mut self) {
        self.outcome = Outcome::Void;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let now = self.throttle.clock.now();
        let is_known = matches!(self.lane, Lane::Known { .. });
        let outcome = self.outcome;
        self.throttle.books.lock().leave(self.lane, |counter, rule| match outcome {
            Outcome::Failed => counter.fail(rule, now),
            Outcome::Succeeded if is_known => counter.clear(),
            Outcome::Succeeded | Outcome::Void => (),
        });
    }
}
