//! What is turned away first when places become few.

use std::{collections::HashMap, sync::Arc};

use crate::Part;

/// How soon calls of an RPC are turned away. Calls of health never are: a busy
/// server is a healthy one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Priority {
    /// When no place is left: what other services wait for, such as tokens.
    #[default]
    Usual,
    /// When four of five places are taken: costly work that can be asked for again, such as logins.
    Low,
    /// When three of five places are taken: what nobody waits for, such as lists.
    Lowest,
}

/// The priorities of all RPCs that have another than the usual one.
#[derive(Clone, Default)]
pub(super) struct Priorities(Arc<HashMap<String, Priority>>);

impl Priority {
    /// How many of so many places it leaves to those above it.
    pub(super) const fn leaves(self, places: usize) -> usize {
        match self {
            Self::Usual => 0,
            Self::Low => places / 5,
            Self::Lowest => places * 2 / 5,
        }
    }
}

impl Priorities {
    pub(super) fn of(parts: &[Part]) -> Self {
        let all = parts.iter().flat_map(|part| &part.priorities);
        Self(Arc::new(all.map(|(rpc, priority)| (format!("/{rpc}"), *priority)).collect()))
    }

    pub(super) fn get(&self, path: &str) -> Priority {
        self.0.get(path).copied().unwrap_or_default()
    }
}
