//! Step 5: Cedar decides, over the policies that can apply to the RPC.
//!
//! Default deny. Cedar itself skips a policy whose evaluation fails, even a
//! `forbid`; here any failure denies.

use std::sync::Arc;

use cedar_policy::{Context, Decision, Entity, EntityId, EntityUid, PolicySet, Request, Response};
use countersign_types::{Code, Fault, Timestamp, TraceParent};
use opentelemetry::trace::TraceContextExt;
use tokio::time::timeout;

use crate::{
    Attributes, Denial, Guard, Peer, PeerCertificate, context,
    policies::{Policies, PolicyGate},
    principal::{Principal, Unusable},
    remembered::Question,
};

/// A call as policies are asked about it.
pub(crate) struct Case<'a> {
    pub(crate) gate: &'a PolicyGate,
    pub(crate) principal: &'a Principal,
    pub(crate) id: &'a str,
    /// What the service says of the resource, where a policy reads it.
    pub(crate) attributes: Option<&'a Attributes>,
    /// The certificate of the connection.
    pub(crate) peer: Option<&'a PeerCertificate>,
    pub(crate) now: Timestamp,
}

/// What policies say to a call, with the `@id`s of those that decide.
pub(crate) enum Verdict {
    Permits(Vec<String>),
    Denies(Vec<String>),
    /// They deny until the caller brings what is needed, and permit then.
    AsksFor {
        needs: String,
        policies: Vec<String>,
    },
    /// Some cannot be evaluated, which denies.
    Fails(Vec<String>),
}

impl Guard {
    /// The `@id`s of the policies that permit the call, or the fault to answer with.
    pub(crate) async fn decide(
        &self,
        rpc: &'static str,
        gate: &PolicyGate,
        principal: &Principal,
        id: &str,
        peer: &Peer,
    ) -> Result<Arc<[String]>, Fault> {
        let generation = self.core.policies.current();
        let policies = generation.of(gate);
        let deny = |policies| self.deny(rpc, gate, principal, id, peer, policies);
        let attributes = if policies.read_resource() {
            match self.attributes(rpc, gate, id).await? {
                Some(attributes) => Some(attributes),
                // As if somebody else's: existence is no outsider's business.
                None => return Err(deny(Vec::new())),
            }
        } else {
            None
        };
        let (attributes, now) = (attributes.as_ref(), self.core.clock.now());
        let case = Case { gate, principal, id, attributes, peer: peer.certificate.as_ref(), now };
        let Ok(question) = Question::of(&case, policies) else { return Err(unusable(rpc)) };
        if let Some(policies) = principal.remembered.policies(&question) {
            self.core.recorder.permitted(rpc);
            return Ok(policies);
        }
        let Ok(verdict) = self.judge(&case, policies) else {
            return Err(unusable(rpc));
        };
        match verdict {
            Verdict::Permits(policies) => {
                self.core.recorder.permitted(rpc);
                let policies = policies.into();
                principal.remembered.keep(question, &policies);
                Ok(policies)
            }
            Verdict::Denies(policies) => Err(deny(policies)),
            Verdict::AsksFor { needs, policies } => {
                deny(policies);
                Err(step_up_required(needs))
            }
            Verdict::Fails(policies) => {
                self.core.recorder.erred(rpc, &policies);
                Err(deny(policies))
            }
        }
    }

    /// What policies say to a call.
    pub(crate) fn judge(&self, case: &Case<'_>, policies: &Policies) -> Result<Verdict, Unusable> {
        let evaluate = |set: &PolicySet| self.evaluate(case, policies, set);
        let response = evaluate(policies.set())?;
        let failed: Vec<_> = response.diagnostics().errors().map(error_policy).collect();
        if !failed.is_empty() {
            return Ok(Verdict::Fails(failed));
        }
        let reasons: Vec<_> = response.diagnostics().reason().map(ToString::to_string).collect();
        if response.decision() == Decision::Allow {
            return Ok(Verdict::Permits(reasons));
        }
        let permits = |set: &PolicySet| evaluate(set).is_ok_and(|response| permits(&response));
        let needs = policies.step_up().and_then(|step_up| step_up.lifting(&reasons, permits));
        Ok(match needs {
            None => Verdict::Denies(reasons),
            Some(needs) => Verdict::AsksFor { needs, policies: reasons },
        })
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
        match timeout(self.core.resolver_timeout, resolver.resolve(id)).await {
            Ok(Ok(attributes)) => Ok(attributes),
            Ok(Err(fault)) => Err(unresolved(rpc, fault)),
            Err(_) => {
                tracing::warn!(
                    rpc.method = rpc,
                    resource.type = gate.resource,
                    "the attributes of a resource did not come in time"
                );
                Err(Fault::new(
                    Code::DeadlineExceeded,
                    "RESOLVER_TOO_SLOW",
                    "what the policies ask of the resource was not known in time",
                ))
            }
        }
    }

    /// What a set says to a call: all of `policies`, or some of them.
    fn evaluate(
        &self,
        case: &Case<'_>,
        policies: &Policies,
        set: &PolicySet,
    ) -> Result<Response, Unusable> {
        let Case { gate, principal, id, attributes, peer, now } = *case;
        let context = if policies.read_context() { context::of(peer)? } else { Context::empty() };
        let resource =
            EntityUid::from_type_name_and_id(gate.resource_type.clone(), EntityId::new(id));
        let request = Request::new(
            principal.uid.clone(),
            gate.action.clone(),
            resource.clone(),
            context,
            None,
        )
        .map_err(|_| Unusable)?;

        let aged;
        let base = if policies.read_session_age() {
            aged = principal.entities_at(now)?;
            &*aged
        } else {
            principal.entities()
        };
        let mut further: Vec<Entity> = policies.action().cloned().into_iter().collect();
        if let Some(attributes) = attributes {
            let attributes = attributes.clone().into_cedar(&self.core.types);
            further.push(Entity::new(resource, attributes, [].into()).map_err(|_| Unusable)?);
        }
        if further.is_empty() {
            return Ok(self.core.authorizer.is_authorized(&request, set, base));
        }
        let entities = base.clone().add_entities(further, None).map_err(|_| Unusable)?;
        Ok(self.core.authorizer.is_authorized(&request, set, &entities))
    }

    /// Records a denial, and gives the fault to answer with. Of a list, `id` is empty.
    pub(crate) fn deny(
        &self,
        rpc: &'static str,
        gate: &PolicyGate,
        principal: &Principal,
        id: &str,
        peer: &Peer,
        policies: Vec<String>,
    ) -> Fault {
        let denial = Denial {
            rpc,
            user: principal.claims.subject,
            session: principal.claims.session,
            tenant: principal.tenant().clone(),
            address: peer.address,
            trace: trace(),
            resource_type: gate.resource,
            resource: id.parse().ok(),
            policies,
            time: self.core.clock.now(),
        };
        self.core.recorder.denied(denial, self.sink.as_ref());
        Fault::new(Code::PermissionDenied, "ACCESS_DENIED", "the caller may not do this")
    }
}

fn unusable(rpc: &'static str) -> Fault {
    tracing::error!(rpc.method = rpc, "the entities of a decision cannot be made");
    Fault::internal()
}

/// Whether a response lets a call through: an error denies.
pub(crate) fn permits(response: &Response) -> bool {
    response.decision() == Decision::Allow && response.diagnostics().errors().next().is_none()
}

/// The trace that the call belongs to.
fn trace() -> Option<TraceParent> {
    let context = opentelemetry::Context::current();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| TraceParent {
        trace: u128::from_be_bytes(span.trace_id().to_bytes()),
        span: u64::from_be_bytes(span.span_id().to_bytes()),
        flags: span.trace_flags().to_u8(),
    })
}

fn step_up_required(needs: String) -> Fault {
    let message = "the call needs a more recent or a stronger proof of who calls";
    Fault::new(Code::PermissionDenied, "STEP_UP_REQUIRED", message).with("step_up", needs)
}

/// What a resolver says of a resource would tell a caller who may not see it
/// that it exists: only that it can not be looked up now is passed on.
fn unresolved(rpc: &'static str, fault: Fault) -> Fault {
    match fault.code {
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Internal => {
            fault
        }
        _ => {
            tracing::error!(rpc.method = rpc, reason = fault.reason, "a resolver failed");
            let message = "what the policies ask of the resource can not be looked up";
            Fault::new(Code::Unavailable, "RESOLVER_FAILED", message)
        }
    }
}

/// Not the text of the error, which can hold values of attributes.
fn error_policy(error: &cedar_policy::AuthorizationError) -> String {
    match error {
        cedar_policy::AuthorizationError::PolicyEvaluationError(error) => {
            error.policy_id().to_string()
        }
    }
}
