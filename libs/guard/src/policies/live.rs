//! The policies in force, exchanged as a whole: a decision sees those from
//! before or those from after.

use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

use super::{Frame, Generation, PolicyFile, shadow::Notes};
use crate::Error;

/// The policies in force, and the candidate beside them.
pub(crate) struct Live {
    frame: Frame,
    current: RwLock<Arc<Generation>>,
    candidate: RwLock<Option<Arc<Generation>>>,
    notes: OnceLock<Notes>,
}

/// Which of the two a change is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    /// What decides.
    Live,
    /// What is tried out.
    Candidate,
}

impl Live {
    /// Puts the first policies in force.
    pub(crate) fn new(frame: Frame, files: &[PolicyFile]) -> Result<Self, Error> {
        let current = RwLock::new(Arc::new(frame.generation(files)?));
        Ok(Self { frame, current, candidate: RwLock::default(), notes: OnceLock::new() })
    }

    /// What is in force now. Held for the length of one decision.
    pub(crate) fn current(&self) -> Arc<Generation> {
        Arc::clone(&self.current.read())
    }

    /// Exchanges all policies of a set at once and tells how many there are now.
    /// Where anything is wrong with them, nothing changes.
    pub(super) fn replace(&self, set: Set, files: &[PolicyFile]) -> Result<usize, Error> {
        let generation = Arc::new(self.frame.generation(files)?);
        let count = generation.count();
        match set {
            Set::Live => *self.current.write() = generation,
            Set::Candidate => *self.candidate.write() = Some(generation),
        }
        Ok(count)
    }

    pub(super) fn candidate(&self) -> Option<Arc<Generation>> {
        self.candidate.read().clone()
    }

    /// Where calls leave notes for a candidate, if there is one.
    pub(super) fn notes(&self) -> Option<&Notes> {
        self.notes.get()
    }

    /// A guard has one candidate: a second place for notes is not taken.
    pub(super) fn note_in(&self, notes: Notes) {
        let _ = self.notes.set(notes);
    }
}
