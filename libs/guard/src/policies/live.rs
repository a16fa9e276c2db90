//! The policies in force, exchanged as a whole: a decision sees those from
//! before or those from after.

use std::sync::Arc;

use parking_lot::RwLock;

use super::{Frame, Generation, PolicyFile};
use crate::Error;

/// The policies in force.
pub(crate) struct Live {
    frame: Frame,
    current: RwLock<Arc<Generation>>,
}

impl Live {
    /// Puts the first policies in force.
    pub(crate) fn new(frame: Frame, files: &[PolicyFile]) -> Result<Self, Error> {
        let current = RwLock::new(Arc::new(frame.generation(files)?));
        Ok(Self { frame, current })
    }

    /// What is in force now. Held for the length of one decision.
    pub(crate) fn current(&self) -> Arc<Generation> {
        Arc::clone(&self.current.read())
    }
}
