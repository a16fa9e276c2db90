//! Policies by the action that they can apply to.

use std::collections::{BTreeSet, HashMap};

use cedar_policy::{Entities, EntityUid, Policy, PolicyId, PolicySet, Schema};

use super::{
    Policies, PolicyFile, Problem, load,
    reads::{self, Reads},
    step_up::StepUp,
};
use crate::{Error, attribute, listing::ListFormulas};

/// All policies, and which of them can apply to which action.
pub(super) struct Index {
    all: Vec<Policy>,
    /// What each asks for: found out once, for it means to read its text again.
    reads: HashMap<PolicyId, Reads>,
    by_action: HashMap<EntityUid, Vec<Policy>>,
    places: load::Places,
}

impl Index {
    /// Reads and validates the files.
    pub(super) fn load(schema: &Schema, files: &[PolicyFile]) -> Result<Self, Error> {
        let (all, places) = load::policies(schema, files)?;
        let mut by_action: HashMap<EntityUid, Vec<Policy>> = HashMap::new();
        let mut reads = HashMap::new();
        for policy in &all {
            let asked = reads::of(policy).map_err(|reason| Error::Policies(vec![at(reason)]))?;
            reads.insert(policy.id().clone(), asked);
            // One policy has an environment for each type of principal and resource.
            let mut last = None;
            for environment in policy.get_valid_request_envs(schema) {
                let action = environment.action();
                if last.as_ref() != Some(action) {
                    last = Some(action.clone());
                    let held = by_action.entry(action.clone()).or_default();
                    if !held.iter().any(|other| other.id() == policy.id()) {
                        held.push(policy.clone());
                    }
                }
            }
        }
        Ok(Self { all, reads, by_action, places })
    }

    /// How many policies there are.
    pub(super) const fn count(&self) -> usize {
        self.all.len()
    }

    /// The attributes of callers that any of the policies reads.
    pub(super) fn attributes_read(&self) -> Result<BTreeSet<String>, Error> {
        let mut names = BTreeSet::new();
        for policy in &self.all {
            names.extend(attribute::read_by(policy)?);
        }
        Ok(names)
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
