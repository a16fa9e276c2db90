//! Policies: loaded, validated strictly, and indexed by the RPC that they can
//! apply to, so that a decision does not pay for the policies of other RPCs.
//!
//! `schema` is what they are typed over, `load` reads and refuses, `index` and `frame` prepare, `live` holds what is
//! in force and exchanges it as a whole, `reload` when a folder changes;
//! `shadow` tries a candidate out. `desk` is for whoever writes policies.

mod desk;
mod folder;
mod frame;
mod index;
mod live;
mod load;
mod problem;
mod reads;
mod reload;
mod schema;
mod shadow;
mod step_up;

use std::collections::BTreeSet;

use cedar_policy::{Entity, EntityTypeName, EntityUid, PolicySet};

pub use desk::{
    Answer, Comparison, Coverage, Desk, Difference, Explanation, Outcome, Party, Question, Verdict,
};
pub use folder::{MAX_BYTES, MAX_FILES, PolicyFile, PolicyFolder, Snapshot};
pub(crate) use frame::Frame;
pub(crate) use live::Live;
pub use problem::Problem;
pub(crate) use problem::first;
pub use reload::{PolicyWatch, Step};
pub use shadow::{SHADOWED_PER_TURN, Said, Shadow, TURN, Tally};

use crate::listing::ListFormulas;
use step_up::StepUp;

/// What a decision on an RPC needs, whatever the policies: prepared so that
/// nothing is parsed per call.
#[derive(Clone)]
pub(crate) struct PolicyGate {
    /// The RPC as a Cedar action.
    pub(crate) action: EntityUid,
    pub(crate) resource: &'static str,
    pub(crate) resource_type: EntityTypeName,
    /// Where the policies of this RPC stand in each generation.
    slot: usize,
}

/// All policies that are in force at one time, by RPC. A decision takes one
/// generation and stays with it.
pub(crate) struct Generation {
    count: usize,
    attributes_read: BTreeSet<String>,
    by_slot: Vec<Policies>,
    /// For an RPC that the generation does not know: it permits nothing.
    none: Policies,
}

/// The policies that can apply to one RPC, and what they ask for.
#[derive(Default)]
pub(crate) struct Policies {
    /// Theirs alone, in all generations; those that permit nothing have none.
    number: u64,
    set: PolicySet,
    read_resource: bool,
    read_session_age: bool,
    read_context: bool,
    /// The action with the groups that it is in, where it is in any.
    action: Option<Entity>,
    step_up: Option<StepUp>,
    /// What the policies say of a list, where the RPC is one.
    list: ListFormulas,
}

impl Generation {
    /// The policies that can apply to the RPC of a gate.
    pub(crate) fn of(&self, gate: &PolicyGate) -> &Policies {
        self.by_slot.get(gate.slot).unwrap_or(&self.none)
    }

    /// How many policies there are.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// Whether any of the policies reads this attribute of callers.
    pub(crate) fn reads_attribute(&self, name: &str) -> bool {
        self.attributes_read.contains(name)
    }
}

impl Policies {
    /// What tells them from all others that this process has loaded.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    pub(crate) const fn set(&self) -> &PolicySet {
        &self.set
    }

    /// The policies as a list takes them.
    pub(crate) const fn list(&self) -> &ListFormulas {
        &self.list
    }

    /// Whether a policy reads attributes of the resource.
    pub(crate) const fn read_resource(&self) -> bool {
        self.read_resource
    }

    /// Whether a policy reads the age of the session.
    pub(crate) const fn read_session_age(&self) -> bool {
        self.read_session_age
    }

    /// Whether a policy reads what is known of the call itself.
    pub(crate) const fn read_context(&self) -> bool {
        self.read_context
    }

    /// The policies that ask for a step-up, where there are any.
    pub(crate) const fn step_up(&self) -> Option<&StepUp> {
        self.step_up.as_ref()
    }

    pub(crate) const fn action(&self) -> Option<&Entity> {
        self.action.as_ref()
    }
}
