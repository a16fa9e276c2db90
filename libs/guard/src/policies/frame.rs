//! What stays when policies change: the schema, and the RPCs with their rules.

use cedar_policy::{EntityId, EntityTypeName, EntityUid};

use super::{Generation, Policies, PolicyFile, PolicyGate, index::Index, schema::PolicySchema};
use crate::{Error, principal::Types};

/// The type of resource of a rule whose resource is the service itself. It has
/// no attributes.
const SERVICE_RESOURCE: &str = "Service";

/// The schema, and every RPC on which policies decide.
pub(crate) struct Frame {
    schema: PolicySchema,
    slots: Vec<Slot>,
}

struct Slot {
    action: EntityUid,
    resource: &'static str,
    is_list: bool,
}

impl Frame {
    /// Reads the schema.
    pub(crate) fn new(schema: &str) -> Result<Self, Error> {
        Ok(Self { schema: PolicySchema::parse(schema)?, slots: Vec::new() })
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
        let Some(mut applicable) = self.schema.whole().resources_for_action(&action) else {
            return Err(misfit(format!("it has no {action}")));
        };
        if !applicable.any(|held| *held == resource_type) {
            return Err(misfit(format!("{action} does not apply to `{resource}`")));
        }
        let slot = self.slots.len();
        self.slots.push(Slot { action: action.clone(), resource, is_list: false });
        Ok(PolicyGate { action, resource, resource_type, slot })
    }

    /// The same for an RPC that lists resources: a generation has to say it in
    /// the terms of a list.
    pub(crate) fn list_gate(
        &mut self,
        rpc: &'static str,
        resource: &'static str,
        types: &Types,
    ) -> Result<PolicyGate, Error> {
        let gate = self.gate(rpc, resource, types)?;
        if let Some(slot) = self.slots.last_mut() {
            slot.is_list = true;
        }
        Ok(gate)
    }

    /// These policies, ready to decide. Each is read, typed and indexed: not for
    /// a thread that serves requests.
    pub(crate) fn generation(&self, files: &[PolicyFile]) -> Result<Generation, Error> {
        let index = Index::load(&self.schema, files)?;
        let by_slot = self.slots.iter().map(|slot| {
            let mut policies = index
                .prepare(&slot.action, self.schema.actions())
                .map_err(|problem| Error::Policies(vec![problem]))?;
            // A policy that speaks of several types may read attributes of the others.
            policies.read_resource &= slot.resource != SERVICE_RESOURCE;
            if slot.is_list {
                policies.list = index.list(&slot.action, slot.resource)?;
            }
            Ok(policies)
        });
        Ok(Generation {
            count: index.count(),
            attributes_read: index.attributes_read(),
            by_slot: by_slot.collect::<Result<_, Error>>()?,
            none: Policies::default(),
        })
    }
}
