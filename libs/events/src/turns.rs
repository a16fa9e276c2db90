//! Whose turn it is, where there is more to publish than one step takes: new
//! events first, and a share for the rest, so that neither waits without end.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    claim::{Choice, Claimed},
    lane,
};

/// Where each step of a full row of them begins: of eight, one leaves out what
/// is new, and one whatever is not published again.
const ORDER: [i64; 8] = [
    lane::FRESH,
    lane::FRESH,
    lane::FRESH,
    lane::BULK,
    lane::FRESH,
    lane::FRESH,
    lane::FRESH,
    lane::AGAIN,
];

/// Rows that a step takes while some are published again (the first such step
/// takes as many as any), and how far consumers may be behind before more
/// follow: a new event has few of them before it, here and in the stream.
pub(crate) const REPLAYED: u64 = 32;

/// How long consumers that are behind hold up a replay before the next few
/// rows of it go all the same: one that settles nothing must not end it.
const PATIENCE: Duration = Duration::from_secs(1);

/// How soon to look whether they have caught up.
pub(crate) const HELD: Duration = Duration::from_millis(20);

/// What one relay remembers from one step to the next.
#[derive(Default)]
pub(crate) struct Turns(Mutex<State>);

#[derive(Default)]
struct State {
    /// Full steps in a row.
    full: usize,
    /// The last step had rows that are published again.
    replaying: bool,
    held_since: Option<Instant>,
}

impl Turns {
    /// What to take next, where a step takes at most `batch`.
    pub(crate) fn choose(&self, batch: u64) -> Choice {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let again = state.held_since.is_none_or(|since| since.elapsed() > PATIENCE);
        let turn = ORDER.get(state.full % ORDER.len()).copied().unwrap_or(lane::FRESH);
        let from_lane = if again { turn } else { turn.min(lane::BULK) };
        let few = again && (state.replaying || turn == lane::AGAIN);
        let limit = if few { batch.min(REPLAYED) } else { batch };
        Choice { from_lane, again, limit }
    }

    /// What came of it.
    pub(crate) fn took(&self, choice: Choice, rows: &[Claimed]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = choice.from_lane > lane::FRESH;
        let full = u64::try_from(rows.len()).is_ok_and(|rows| rows >= choice.limit);
        // A step that left out what is new says nothing about it.
        state.full = if full || rest { state.full.wrapping_add(1) } else { 0 };
        if choice.again {
            state.replaying = rows.iter().any(|row| row.again);
            state.held_since = None;
        }
    }

    /// Whether a replay is going on, which goes no faster than consumers.
    pub(crate) fn replays(&self) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.replaying
    }

    /// Consumers are so far behind; whether a replay waits for them.
    pub(crate) fn holds(&self, lag: u64) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.held_since = match state.held_since {
            _ if lag < REPLAYED => None,
            None => Some(Instant::now()),
            since => since,
        };
        state.held_since.is_some()
    }
}
