//! Policies: loaded, validated strictly, and indexed by the RPC that they can
//! apply to, so that a decision does not pay for the policies of other RPCs.

mod load;
mod reads;
mod step_up;

use std::collections::{BTreeSet, HashMap};

use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid, Policy, PolicySet, Schema};

use crate::{Error, attribute, principal::Types};
use step_up::StepUp;

/// The type of resource of a rule whose resource is the service itself. It has
/// no attributes.
const SERVICE_RESOURCE: &str = "Service";

/// All policies, and which of them can apply to which action.
pub(crate) struct Index {
    schema: Schema,
    by_action: HashMap<EntityUid, Vec<Policy>>,
}

/// What a decision on an RPC needs, prepared so that nothing is parsed per call.
pub(crate) struct PolicyGate {
    /// The RPC as a Cedar action.
    pub(crate) action: EntityUid,
    pub(crate) resource: &'static str,
    pub(crate) resource_type: EntityTypeName,
    pub(crate) policies: Policies,
}

/// The policies that can apply to one RPC, and what they ask for.
pub(crate) struct Policies {
    set: PolicySet,
    read_resource: bool,
    read_session_age: bool,
    /// The action with the groups that it is in, where it is in any.
    action: Option<Entity>,
    step_up: Option<StepUp>,
}

impl Index {
    /// Reads the schema and the policy files.
    pub(crate) fn load(schema: &str, files: &[(String, String)]) -> Result<Self, Error> {
        let schema = load::schema(schema)?;
        let mut by_action: HashMap<EntityUid, Vec<Policy>> = HashMap::new();
        for policy in load::policies(&schema, files)? {
            // One policy has an environment for each type of principal and resource.
            let mut last = None;
            for environment in policy.get_valid_request_envs(&schema) {
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
        Ok(Self { schema, by_action })
    }

    /// The attributes of callers that any of the policies reads.
    pub(crate) fn attributes_read(&self) -> Result<BTreeSet<String>, Error> {
        let mut names = BTreeSet::new();
        for policy in self.by_action.values().flatten() {
            names.extend(attribute::read_by(policy)?);
        }
        Ok(names)
    }

    /// What decisions on an RPC need.
    pub(crate) fn gate(
        &self,
        rpc: &'static str,
        resource: &'static str,
        types: &Types,
    ) -> Result<PolicyGate, Error> {
        let misfit = |reason: String| Error::Rule { rpc, reason };
        let action = EntityUid::from_type_name_and_id(types.action.clone(), EntityId::new(rpc));
        let resource_type: EntityTypeName = resource
            .parse()
            .map_err(|_| misfit(format!("`{resource}` is no name of an entity type")))?;
        let Some(mut applicable) = self.schema.resources_for_action(&action) else {
            return Err(misfit(format!("it has no {action}")));
        };
        if !applicable.any(|held| *held == resource_type) {
            return Err(misfit(format!("{action} does not apply to `{resource}`")));
        }
        let mut policies = self.policies(&action).map_err(misfit)?;
        // A policy that speaks of several types may read attributes of the others.
        policies.read_resource &= resource != SERVICE_RESOURCE;
        Ok(PolicyGate { action, resource, resource_type, policies })
    }

    fn policies(&self, action: &EntityUid) -> Result<Policies, String> {
        let policies = self.by_action.get(action).map_or(&[][..], Vec::as_slice);
        let (mut read_resource, mut read_session_age) = (false, false);
        for policy in policies {
            let reads = reads::of(policy)?;
            read_resource |= reads.resource;
            read_session_age |= reads.session_age;
        }
        let set = PolicySet::from_policies(policies.iter().cloned());
        let actions = self.schema.action_entities().map_err(|error| error.to_string())?;
        let grouped = actions.ancestors(action).is_some_and(|mut groups| groups.next().is_some());
        Ok(Policies {
            set: set.map_err(|error| error.to_string())?,
            read_resource,
            read_session_age,
            step_up: StepUp::of(policies)?,
            action: if grouped { actions.get(action).cloned() } else { None },
        })
    }
}

impl Policies {
    pub(crate) const fn set(&self) -> &PolicySet {
        &self.set
    }

    /// Every policy that can apply.
    pub(crate) fn each(&self) -> impl Iterator<Item = &Policy> {
        self.set.policies()
    }

    /// Whether a policy reads attributes of the resource.
    pub(crate) const fn read_resource(&self) -> bool {
        self.read_resource
    }

    /// Whether a policy reads the age of the session.
    pub(crate) const fn read_session_age(&self) -> bool {
        self.read_session_age
    }

    /// The policies that ask for a step-up, where there are any.
    pub(crate) const fn step_up(&self) -> Option<&StepUp> {
        self.step_up.as_ref()
    }

    pub(crate) const fn action(&self) -> Option<&Entity> {
        self.action.as_ref()
    }
}
