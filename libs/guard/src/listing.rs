//! Step 5 for lists: which resources a caller may see, as a condition over their
//! attributes that the database can answer.
//!
//! When the policies are loaded, each that can apply to the RPC becomes a
//! formula; one that cannot is refused. A call puts in what is known of its
//! caller, and what is left speaks of the resource alone.

mod condition;
mod formula;
mod translate;

use std::fmt;

use cedar_policy::Effect;
use countersign_types::{Code, Denial, Fault, UserId};

use crate::{Error, Guard, policies::PolicyGate, principal::Principal};
use formula::Formula;

pub use condition::{Condition, Operator};

/// What a decision on a list needs.
pub(crate) struct ListGate {
    resource: &'static str,
    permits: Vec<Formula>,
    forbids: Vec<Formula>,
}

/// What one call may list. Only the guard makes one: a store function that takes
/// it cannot be reached by a call that was not checked.
#[derive(Clone)]
pub struct Visible {
    rpc: &'static str,
    user: UserId,
    resource_type: &'static str,
    condition: Condition,
}

impl ListGate {
    /// The policies of `gate`, translated.
    pub(crate) fn new(rpc: &'static str, gate: &PolicyGate) -> Result<Self, Error> {
        let (mut permits, mut forbids) = (Vec::new(), Vec::new());
        for policy in gate.policies.each() {
            let formula = translate::policy(policy, gate.resource).map_err(|what| {
                let id = policy.id();
                let reason = format!("policy `{id}` can not decide on a list: {what}");
                Error::Rule { rpc, reason }
            })?;
            match policy.effect() {
                Effect::Permit => permits.push(formula),
                Effect::Forbid => forbids.push(formula),
            }
        }
        Ok(Self { resource: gate.resource, permits, forbids })
    }
}

impl Guard {
    /// What the caller may see; a fault for who may see nothing in any case.
    pub(crate) fn visible(
        &self,
        rpc: &'static str,
        gate: &ListGate,
        principal: &Principal,
    ) -> Result<Visible, Fault> {
        let now = self.core.clock.now();
        let resolved = |formulas: &[Formula]| {
            let each = formulas.iter().map(|formula| formula.resolve(principal, now));
            each.collect::<Option<Vec<_>>>().map(Condition::any)
        };
        let (Some(permits), Some(forbids)) = (resolved(&gate.permits), resolved(&gate.forbids))
        else {
            tracing::error!(rpc.method = rpc, "the policies of a list failed to evaluate");
            return Err(Fault::internal());
        };
        let condition = Condition::all(vec![permits, forbids.negated()]);
        let user = principal.claims.subject;
        if condition.is_never() {
            let denial = Denial {
                rpc,
                user,
                resource_type: gate.resource,
                resource: None,
                policies: Vec::new(),
                time: now,
            };
            self.core.recorder.denied(denial, self.sink.as_ref());
            let message = "the caller may not do this";
            return Err(Fault::new(Code::PermissionDenied, "ACCESS_DENIED", message));
        }
        self.core.recorder.permitted(rpc);
        Ok(Visible { rpc, user, resource_type: gate.resource, condition })
    }
}

impl Visible {
    /// The RPC, such as `countersign.user.v1.ProfileService/ListProfiles`.
    #[must_use]
    pub const fn rpc(&self) -> &'static str {
        self.rpc
    }

    /// Who asked.
    #[must_use]
    pub const fn user_id(&self) -> UserId {
        self.user
    }

    /// Type of the resources, such as `Profile`.
    #[must_use]
    pub const fn resource_type(&self) -> &'static str {
        self.resource_type
    }

    /// What holds of each resource that may be listed, and of no other.
    #[must_use]
    pub const fn condition(&self) -> &Condition {
        &self.condition
    }
}

impl fmt::Debug for Visible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visible")
            .field("rpc", &self.rpc)
            .field("user", &self.user)
            .field("resource_type", &self.resource_type)
            .finish_non_exhaustive()
    }
}
