//! Step 5 for lists: which resources a caller may see, as a condition over their
//! attributes that the database can answer.

use std::fmt;

use countersign_types::{Fault, UserId};

use crate::{
    Guard, Peer,
    listing::{Asking, Condition},
    policies::PolicyGate,
    principal::Principal,
};

/// What one call may list. Only the guard makes one: a store function that takes
/// it cannot be reached by a call that was not checked.
#[derive(Clone)]
pub struct Visible {
    rpc: &'static str,
    user: UserId,
    resource_type: &'static str,
    condition: Condition,
}

impl Guard {
    /// What the caller may see; a fault for who may see nothing in any case.
    pub(crate) fn visible(
        &self,
        rpc: &'static str,
        gate: &PolicyGate,
        principal: &Principal,
        peer: &Peer,
    ) -> Result<Visible, Fault> {
        let now = self.core.clock.now();
        let asking = Asking { caller: principal, peer: peer.certificate.as_ref(), now };
        let generation = self.core.policies.current();
        let Some(condition) = generation.of(gate).list().resolve(&asking) else {
            tracing::error!(rpc.method = rpc, "the policies of a list failed to evaluate");
            return Err(Fault::internal());
        };
        if condition.is_never() {
            return Err(self.deny(rpc, gate, principal, "", peer, Vec::new()));
        }
        self.core.recorder.permitted(rpc);
        let user = principal.claims.subject;
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
