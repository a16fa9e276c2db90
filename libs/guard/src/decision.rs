//! Step 5: Cedar decides, over the policies that can apply to the RPC.
//!
//! Default deny. Cedar itself skips a policy whose evaluation fails, even a
//! `forbid`; here any failure denies.

use cedar_policy::{Context, Decision, Entities, Entity, EntityId, EntityUid, Request, Response};
use countersign_types::{Code, Fault, Timestamp};

use crate::{
    Attributes, Denial, Guard,
    policies::{Policies, PolicyGate},
    principal::{Principal, Unusable},
};

impl Guard {
    /// The `@id`s of the policies that permit the call, or the fault to answer with.
    pub(crate) async fn decide(
        &self,
        rpc: &'static str,
        gate: &PolicyGate,
        principal: &Principal,
        id: &str,
    ) -> Result<Vec<String>, Fault> {
        let generation = self.core.policies.current();
        let policies = generation.of(gate);
        let attributes = if policies.read_resource() {
            match self.attributes(rpc, gate, id).await? {
                Some(attributes) => Some(attributes),
                // As if somebody else's: existence is no outsider's business.
                None => return Err(self.deny(rpc, gate, principal, id, Vec::new())),
            }
        } else {
            None
        };
        let now = self.core.clock.now();
        let Ok(response) = self.evaluate(gate, policies, principal, id, attributes, now) else {
            tracing::error!(rpc.method = rpc, "the entities of a decision cannot be made");
            return Err(Fault::internal());
        };
        let reasons = || response.diagnostics().reason().map(ToString::to_string).collect();
        let failed: Vec<_> = response.diagnostics().errors().map(error_policy).collect();
        if !failed.is_empty() {
            tracing::error!(
                target: "countersign::decision",
                policies = ?failed,
                rpc.method = rpc,
                "policies failed to evaluate"
            );
            return Err(self.deny(rpc, gate, principal, id, failed));
        }
        match response.decision() {
            Decision::Allow => {
                self.core.recorder.permitted(rpc);
                Ok(reasons())
            }
            Decision::Deny => Err(self.deny(rpc, gate, principal, id, reasons())),
        }
    }

    /// What the service says of the resource.
    pub(crate) async fn attributes(
        &self,
        rpc: &'static str,
        gate: &PolicyGate,
        id: &str,
    ) -> Result<Option<Attributes>, Fault> {
        let Some(resolver) = self.resolver(gate.resource) else {
            tracing::error!(
                rpc.method = rpc,
                resource.type = gate.resource,
                "policies read attributes of a resource that has no resolver"
            );
            return Err(Fault::internal());
        };
        resolver.resolve(id).await
    }

    /// What these policies say to a call at this time.
    pub(crate) fn evaluate(
        &self,
        gate: &PolicyGate,
        policies: &Policies,
        principal: &Principal,
        id: &str,
        attributes: Option<Attributes>,
        now: Timestamp,
    ) -> Result<Response, Unusable> {
        let resource =
            EntityUid::from_type_name_and_id(gate.resource_type.clone(), EntityId::new(id));
        let request = Request::new(
            principal.uid.clone(),
            gate.action.clone(),
            resource.clone(),
            Context::empty(),
            None,
        )
        .map_err(|_| Unusable)?;

        let aged;
        let base = if policies.read_session_age() {
            aged = principal.entities_at(now)?;
            &aged
        } else {
            principal.entities()
        };
        let mut further: Vec<Entity> = policies.action().cloned().into_iter().collect();
        if let Some(attributes) = attributes {
            let attributes = attributes.into_cedar(&self.core.types);
            further.push(Entity::new(resource, attributes, [].into()).map_err(|_| Unusable)?);
        }
        if further.is_empty() {
            return Ok(self.authorize(policies, &request, base));
        }
        let entities = base.clone().add_entities(further, None).map_err(|_| Unusable)?;
        Ok(self.authorize(policies, &request, &entities))
    }

    fn authorize(&self, policies: &Policies, request: &Request, entities: &Entities) -> Response {
        self.core.authorizer.is_authorized(request, policies.set(), entities)
    }

    fn deny(
        &self,
        rpc: &'static str,
        gate: &PolicyGate,
        principal: &Principal,
        id: &str,
        policies: Vec<String>,
    ) -> Fault {
        let denial = Denial {
            rpc,
            user: principal.claims.subject,
            resource_type: gate.resource,
            resource: id.parse().ok(),
            policies,
            time: self.core.clock.now(),
        };
        self.core.recorder.denied(denial, self.sink.as_ref());
        Fault::new(Code::PermissionDenied, "ACCESS_DENIED", "the caller may not do this")
    }
}

/// Not the text of the error, which can hold values of attributes.
pub(crate) fn error_policy(error: &cedar_policy::AuthorizationError) -> String {
    match error {
        cedar_policy::AuthorizationError::PolicyEvaluationError(error) => {
            error.policy_id().to_string()
        }
    }
}
