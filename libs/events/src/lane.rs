//! Which events go first. The lane of an event that was not put off stands in
//! `next_attempt_time`: such a time is always past, so a version that knows
//! nothing of lanes publishes it all the same.

/// What somebody waits for.
pub(crate) const FRESH: i64 = 0;

/// What anybody outside can cause in any number, and what the stream has lost
/// while it still matters to followers.
pub(crate) const BULK: i64 = 1;

/// What is published again.
pub(crate) const AGAIN: i64 = 2;
