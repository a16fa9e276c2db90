//! Time as the rest of the system sees it: a count of microseconds, a clock
//! that can be set right by another one, and one that a test turns by hand.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A point in time: microseconds since the Unix epoch, UTC.
///
/// An integer sorts and compares the same way in Rust, SQLite and PostgreSQL,
/// which a formatted time does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// From microseconds since the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From whole seconds since the Unix epoch; saturates at the ends of the range.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This time plus `span`; saturates at the end of the range.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(micros(span)))
    }

    /// This time minus `span`; saturates at the start of the range.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(micros(span)))
    }

    /// How long ago `earlier` was; zero when it lies in the future.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let span = self.0.saturating_sub(earlier.0);
        Duration::from_micros(u64::try_from(span).unwrap_or(0))
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// Where the time comes from: the system, or a hand in a test. Clones are the same.
#[derive(Clone, Default)]
pub struct Clock(Source);

#[derive(Clone, Default)]
enum Source {
    #[default]
    System,
    /// The system, and so many microseconds more.
    Corrected(Arc<AtomicI64>),
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The wall clock of this machine.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// The same time, for who will set it right with [`Clock::correct`]. A clock
    /// that is moved by hand stays what it is.
    #[must_use]
    pub fn correctable(&self) -> Self {
        match &self.0 {
            Source::System => Self(Source::Corrected(Arc::default())),
            Source::Corrected(_) | Source::Manual(_) => self.clone(),
        }
    }

    /// Shows the time as `now` from here on, and goes on from there. No more
    /// than that: a clock that is moved by hand stays where it is, and so does one
    /// that is not [`Clock::correctable`].
    pub fn correct(&self, now: Timestamp) {
        if let Source::Corrected(ahead) = &self.0 {
            ahead.store(now.0.saturating_sub(system().0), Ordering::SeqCst);
        }
    }

    /// A clock that stands still at `start` until its hand is moved.
    #[must_use]
    pub fn manual(start: Timestamp) -> (Self, ClockHand) {
        let micros = Arc::new(AtomicI64::new(start.as_micros()));
        (Self(Source::Manual(Arc::clone(&micros))), ClockHand(micros))
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => system(),
            Source::Corrected(ahead) => {
                Timestamp(system().0.saturating_add(ahead.load(Ordering::SeqCst)))
            }
            Source::Manual(micros) => Timestamp(micros.load(Ordering::SeqCst)),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::System => "Clock(system)",
            Source::Corrected(_) => "Clock(corrected)",
            Source::Manual(_) => "Clock(manual)",
        })
    }
}

fn system() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp(micros(since.unwrap_or_default()))
}

/// Moves a manual [`Clock`].
#[derive(Clone, Debug)]
pub struct ClockHand(Arc<AtomicI64>);

impl ClockHand {
    /// Moves the clock forward by `span`.
    pub fn advance(&self, span: Duration) {
        self.0.fetch_add(micros(span), Ordering::SeqCst);
    }

    /// Sets the clock back by `span`, as a wall clock may be.
    pub fn turn_back(&self, span: Duration) {
        self.0.fetch_sub(micros(span), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_stands_still_until_its_hand_moves() {
        let (clock, hand) = Clock::manual(Timestamp::from_seconds(10));
        assert_eq!(clock.now(), Timestamp::from_seconds(10));
        hand.advance(Duration::from_secs(5));
        assert_eq!(clock.now(), Timestamp::from_seconds(15));
    }

    #[test]
    fn only_a_clock_that_may_be_corrected_is() {
        let late = Timestamp::from_seconds(4_000_000_000);
        let clock = Clock::system().correctable();
        clock.clone().correct(late);
        assert!(clock.now() >= late && clock.correctable().now() >= late);
        Clock::system().correct(late);
        assert!(Clock::system().now() < late);
        let (by_hand, _) = Clock::manual(Timestamp::EPOCH);
        by_hand.correctable().correct(late);
        assert_eq!(by_hand.now(), Timestamp::EPOCH);
    }

    #[test]
    fn a_time_in_the_future_was_no_time_ago() {
        let now = Timestamp::from_seconds(1);
        assert_eq!(now.since(Timestamp::from_seconds(2)), Duration::ZERO);
        assert_eq!(now.since(Timestamp::EPOCH), Duration::from_secs(1));
    }

    #[test]
    fn seconds_round_down_on_both_sides_of_the_epoch() {
        assert_eq!(Timestamp::from_micros(1_999_999).as_seconds(), 1);
        assert_eq!(Timestamp::from_micros(-1).as_seconds(), -1);
    }
}
