//! An effect in memory, in every process: what a guard must know of revoked
//! sessions, and the like.

use std::{
    collections::BTreeSet,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use countersign_types::Timestamp;
use tokio::{sync::watch, time::Instant};

use crate::Event;

/// What to follow, since when, and what to do about it.
pub struct Follower {
    name: &'static str,
    kinds: BTreeSet<String>,
    horizon: Duration,
    sources: &'static [&'static str],
    apply: Box<dyn Fn(&Event) + Send + Sync>,
}

/// A follower at work. Clones are the same.
#[derive(Clone)]
pub struct Following(Arc<Inner>);

struct Inner {
    follower: Follower,
    caught_up: watch::Sender<bool>,
    /// When the stream was last heard of, by two clocks: to measure with, and
    /// to read on from.
    heard: Mutex<Option<(Instant, Timestamp)>>,
    since: Instant,
    /// There is nothing to lose, so nothing to be late with.
    at_once: bool,
}

impl Follower {
    /// Calls `apply` with each event of the given kinds (full names of
    /// messages) that is at most `horizon` old, and with those that come.
    ///
    /// Events come at least once, and again after each interruption; an
    /// announced one may come before an earlier event of its aggregate. So
    /// `apply` commutes, does the same thing twice as once, and is quick: it
    /// runs on the task that reads.
    pub fn new(
        name: &'static str,
        kinds: &[&str],
        horizon: Duration,
        apply: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Self {
        let kinds = kinds.iter().map(|&kind| kind.to_owned()).collect();
        Self { name, kinds, horizon, sources: &[], apply: Box::new(apply) }
    }

    /// Counts as caught up only where the stream has what happened in these
    /// services: it is older than the horizon, or each of them has marked it
    /// since it was made. A horizon of more than two hours waits for the age.
    #[must_use]
    pub const fn complete_from(mut self, sources: &'static [&'static str]) -> Self {
        self.sources = sources;
        self
    }
}

impl Following {
    /// `at_once` where events are applied by who publishes them.
    pub(crate) fn new(follower: Follower, at_once: bool) -> Self {
        let caught_up = watch::Sender::new(at_once);
        let (heard, since) = (Mutex::default(), Instant::now());
        Self(Arc::new(Inner { follower, caught_up, heard, since, at_once }))
    }

    /// The follower's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.follower.name
    }

    /// True while everything that the stream holds has been applied, and it
    /// holds everything ([`Follower::complete_from`]); false before the backlog
    /// is read, and while the broker is away. On the bus in
    /// memory, which keeps nothing, always true.
    #[must_use]
    pub fn caught_up(&self) -> watch::Receiver<bool> {
        self.0.caught_up.subscribe()
    }

    /// How old the newest sign of life of the stream is: an event, or the
    /// answer that there is none. `None` before the first. While all is well
    /// it stays under 3 s.
    #[must_use]
    pub fn staleness(&self) -> Option<Duration> {
        if self.0.at_once {
            return Some(Duration::ZERO);
        }
        let heard = *self.0.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.map(|(when, _)| when.elapsed())
    }

    /// As [`Following::staleness`]; where there was no sign of life yet, how long
    /// it has been waited for.
    pub(crate) fn silence(&self) -> Duration {
        self.staleness().unwrap_or_else(|| self.0.since.elapsed())
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = &str> {
        self.0.follower.kinds.iter().map(String::as_str)
    }

    /// The services whose events must be complete.
    pub(crate) fn sources(&self) -> &'static [&'static str] {
        self.0.follower.sources
    }

    /// How far back it must know everything.
    pub(crate) fn horizon(&self) -> Duration {
        self.0.follower.horizon
    }

    /// From when on to read.
    pub(crate) fn start(&self, now: Timestamp) -> Timestamp {
        let earliest = now.minus(self.0.follower.horizon);
        let heard = *self.0.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.map_or(earliest, |(_, heard)| heard.max(earliest))
    }

    /// Applies the event, where it is of a kind that is followed.
    pub(crate) fn apply(&self, event: &Event) {
        if !self.0.follower.kinds.contains(&event.kind) {
            return;
        }
        // A panic must not end the task that reads for it.
        let applied = catch_unwind(AssertUnwindSafe(|| (self.0.follower.apply)(event)));
        if applied.is_err() {
            tracing::error!(follower = self.name(), event.id = %event.id, "a follower panicked");
        }
    }

    pub(crate) fn caught_up_now(&self) {
        self.0.caught_up.send_if_modified(|before| !std::mem::replace(before, true));
        self.heard_now();
    }

    /// The broker has answered.
    pub(crate) fn heard_now(&self) {
        // Before the backlog is read it does not count: reading would go on
        // from here after an interruption, and miss the rest.
        if !*self.0.caught_up.borrow() {
            return;
        }
        let now = (Instant::now(), countersign_types::Clock::system().now());
        let mut heard = self.0.heard.lock().unwrap_or_else(PoisonError::into_inner);
        *heard = Some(now);
    }

    pub(crate) fn lost(&self) {
        self.0.caught_up.send_if_modified(|before| std::mem::replace(before, false));
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Follower({})", self.name)
    }
}

impl fmt::Debug for Following {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Following({})", self.name())
    }
}
