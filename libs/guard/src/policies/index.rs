//! Policies by the action that they can apply to.

use std::{
    collections::{BTreeSet, HashMap},
    sync::atomic::{AtomicU64, Ordering},
};

use cedar_policy::{Entities, EntityUid, Policy, PolicyId, PolicySet};

use super::{
    Policies, PolicyFile, Problem,
    load::{self, Loaded},
    reads::{self, Reads},
    schema::PolicySchema,
    step_up::StepUp,
};
use crate::{Error, listing::ListFormulas};

/// The number of the policies that are prepared next.
static NUMBER: AtomicU64 = AtomicU64::new(1);

/// All policies, and which of them can apply to which action.
pub(super) struct Index {
    /// What each asks for.
    reads: HashMap<PolicyId, Reads>,
    by_action: HashMap<EntityUid, Vec<Policy>>,
    /// File and line of each.
    places: HashMap<PolicyId, (String, usize)>,
}

impl Index {
    /// Reads and validates the files.
    pub(super) fn load(schema: &PolicySchema, files: &[PolicyFile]) -> Result<Self, Error> {
        let mut by_action: HashMap<EntityUid, Vec<Policy>> = HashMap::new();
        let (mut reads, mut places) = (HashMap::new(), HashMap::new());
        for Loaded { policy, actions, place } in load::policies(schema, files)? {
            let asked = reads::of(&policy).map_err(|reason| Error::Policies(vec![at(reason)]))?;
            reads.insert(policy.id().clone(), asked);
            places.insert(policy.id().clone(), place);
            for action in actions {
                by_action.entry(action).or_default().push(policy.clone());
            }
        }
        Ok(Self { reads, by_action, places })
    }

    /// How many policies there are.
    pub(super) fn count(&self) -> usize {
        self.reads.len()
    }

    /// The attributes of callers that any of the policies reads.
    pub(super) fn attributes_read(&self) -> BTreeSet<String> {
        self.reads.values().flat_map(|reads| &reads.of_callers).cloned().collect()
    }

    /// The policies that can apply to an action that lists resources of this
    /// type, or all of which a list cannot bear something.
    pub(super) fn list(&self, action: &EntityUid, resource: &str) -> Result<ListFormulas, Error> {
        let (mut list, mut problems) = (ListFormulas::default(), Vec::new());
        for policy in self.of(action) {
            if let Err(what) = list.add(policy, resource) {
                let (id, rpc) = (policy.id(), action.id().unescaped());
                let reason = format!("policy `{id}` can not decide on the list {rpc}: {what}");
                let (file, line) = self.places.get(policy.id()).cloned().unwrap_or_default();
                problems.push(Problem { file, line, reason });
            }
        }
        problems.sort();
        if problems.is_empty() { Ok(list) } else { Err(Error::Policies(problems)) }
    }

    /// The policies that can apply to an action.
    pub(super) fn of(&self, action: &EntityUid) -> &[Policy] {
        self.by_action.get(action).map_or(&[], Vec::as_slice)
    }

    /// The same, prepared for decisions; `actions` are those of the schema.
    pub(super) fn prepare(
        &self,
        action: &EntityUid,
        actions: &Entities,
    ) -> Result<Policies, Problem> {
        let policies = self.of(action);
        let (mut read_resource, mut read_session_age, mut read_context) = (false, false, false);
        for reads in policies.iter().filter_map(|policy| self.reads.get(policy.id())) {
            read_resource |= reads.resource;
            read_session_age |= reads.session_age;
            read_context |= reads.context;
        }
        let set = PolicySet::from_policies(policies.iter().cloned());
        let grouped = actions.ancestors(action).is_some_and(|mut groups| groups.next().is_some());
        Ok(Policies {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            set: set.map_err(|error| at(error.to_string()))?,
            read_resource,
            read_session_age,
            read_context,
            step_up: StepUp::of(policies).map_err(at)?,
            action: if grouped { actions.get(action).cloned() } else { None },
            list: ListFormulas::default(),
        })
    }
}

/// Does not happen with policies that have validated.
fn at(reason: String) -> Problem {
    Problem { file: String::new(), line: 0, reason }
}
