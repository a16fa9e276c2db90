//! What stays when policies change: the schema, and the RPCs with their rules.

use cedar_policy::{Entities, EntityId, EntityTypeName, EntityUid, Schema};

use super::{Generation, Policies, PolicyFile, PolicyGate, index::Index, load};
use crate::{Error, principal::Types};

/// The type of resource of a rule whose resource is the service itself. It has
/// no attributes.
const SERVICE_RESOURCE: &str = "Service";

/// The schema, and every RPC on which policies decide.
pub(crate) struct Frame {
    schema: Schema,
    actions: Entities,
    slots: Vec<Slot>,
}

struct Slot {
    action: EntityUid,
    /// A policy that speaks of several types may read attributes of the others.
    has_attributes: bool,
}

impl Frame {
    /// Reads the schema.
    pub(crate) fn new(schema: &str) -> Result<Self, Error> {
        let schema = load::schema(schema)?;
        let actions = schema.action_entities().map_err(|error| Error::Schema(error.to_string()))?;
        Ok(Self { schema, actions, slots: Vec::new() })
    }

    /// What decisions on an RPC need. Generations made from now on know it.
    pub(crate) fn gate(
        &mut self,
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
        let slot = self.slots.len();
        let has_attributes = resource != SERVICE_RESOURCE;
        self.slots.push(Slot { action: action.clone(), has_attributes });
        Ok(PolicyGate { action, resource, resource_type, slot })
    }

    /// These policies, ready to decide. Each is read, typed and indexed: not for
    /// a thread that serves requests.
    pub(crate) fn generation(&self, files: &[PolicyFile]) -> Result<Generation, Error> {
        let index = Index::load(&self.schema, files)?;
        let by_slot = self.slots.iter().map(|slot| {
            let mut policies = index
                .prepare(&slot.action, &self.actions)
                .map_err(|problem| Error::Policies(vec![problem]))?;
            policies.read_resource &= slot.has_attributes;
            Ok(policies)
        });
        Ok(Generation {
            count: index.count(),
            by_slot: by_slot.collect::<Result<_, Error>>()?,
            none: Policies::default(),
        })
    }
}
