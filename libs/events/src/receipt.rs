//! What became of an event that was sent on its way.

use std::time::Duration;

/// The event is not settled everywhere: publish it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nack {
    /// When the consumer wants it again; `None` leaves it to the publisher.
    pub retry_after: Option<Duration>,
}

/// The event has arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Its place in the stream; none on the bus in memory.
    pub stream_sequence: Option<i64>,
    /// Whether the stream had it already.
    pub duplicate: bool,
}

/// Why an event did not arrive.
pub(crate) enum Refusal {
    /// This event, for now.
    Later(Nack),
    /// Any event: the road is closed.
    Away,
}

impl Refusal {
    /// As measures and spans name it (`error.type`).
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Later(_) => "refused",
            Self::Away => "unavailable",
        }
    }
}
