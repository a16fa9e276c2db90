//! What generated adapters call before they call a handler: the message is
//! validated, the resource named, the decision made. The order is part of the
//! contract: the token before the message, the permission before existence.

mod streaming;

use std::borrow::Cow;

use countersign_types::{Fault, UserId, Validate};
use tonic::{Request, Status};

use crate::{
    Call, Caller, ListCall, Peer, Permit, PublicCall,
    guard::Admission,
    policies::PolicyGate,
    rule::{Gate, Rule},
    status,
};

/// What a client writes instead of its own id.
const ME: &str = "me";

/// Enters an RPC whose rule names a resource; `resource_id` reads its id from
/// the message. `me` becomes the id of the caller.
///
/// # Errors
/// INVALID_ARGUMENT with every broken rule of input; PERMISSION_DENIED; the
/// fault of a resolver; INTERNAL for a service that is not behind a guard.
pub async fn enter<M, F>(request: Request<M>, resource_id: F) -> Result<Call<M>, Status>
where
    M: Validate,
    F: for<'a> FnOnce(&'a M) -> &'a str,
{
    let (entrance, message) = Entrance::of(request)?;
    let id = |message: &M, caller: &Caller| {
        named_id(resource_id(message), caller.user_id()).into_owned()
    };
    entrance.call(message, |_, message, caller| id(message, caller)).await
}

/// Enters an RPC whose resource is the service itself.
///
/// # Errors
/// As [`enter`].
pub async fn enter_service<M: Validate>(request: Request<M>) -> Result<Call<M>, Status> {
    let (entrance, message) = Entrance::of(request)?;
    entrance.call(message, |rpc, _, _| Rule::service(rpc).to_owned()).await
}

/// Enters an RPC that anybody may call.
///
/// # Errors
/// INVALID_ARGUMENT with every broken rule of input; INTERNAL for a service
/// that is not behind a guard.
pub async fn enter_public<M: Validate>(request: Request<M>) -> Result<PublicCall<M>, Status> {
    let (entrance, message) = Entrance::of(request)?;
    entrance.public_call(message)
}

/// Enters an RPC that lists resources.
///
/// # Errors
/// INVALID_ARGUMENT with every broken rule of input; PERMISSION_DENIED for who
/// may see none, whatever there is; INTERNAL for a service that is not behind a guard.
pub async fn enter_list<M: Validate>(request: Request<M>) -> Result<ListCall<M>, Status> {
    let (Entrance { admission, peer }, message) = Entrance::of(request)?;
    let (Gate::List(gate), Some(principal)) = (&admission.rule.gate, &admission.principal) else {
        return Err(unguarded());
    };
    let visible = admission.guard.visible(admission.rule.rpc, gate, principal, &peer);
    let visible = visible.map_err(status)?;
    Ok(ListCall { message, caller: Caller::new(principal.clone()), visible, peer })
}

/// A call on its way in: admitted by the layer, its message valid.
struct Entrance {
    admission: Admission,
    peer: Peer,
}

impl Entrance {
    fn of<M: Validate>(request: Request<M>) -> Result<(Self, M), Status> {
        let (entrance, message) = Self::unread(request)?;
        let violations = message.validate();
        if !violations.is_empty() {
            return Err(status(Fault::invalid(violations)));
        }
        Ok((entrance, message))
    }

    /// Before the message is looked at.
    fn unread<M>(mut request: Request<M>) -> Result<(Self, M), Status> {
        let admission = request.extensions_mut().remove().ok_or_else(unguarded)?;
        let peer = Peer::of(&request);
        Ok((Self { admission, peer }, request.into_inner()))
    }

    fn public_call<M>(self, message: M) -> Result<PublicCall<M>, Status> {
        match self.admission.rule.gate {
            Gate::Public => Ok(PublicCall { message, peer: self.peer }),
            Gate::Policy(_) | Gate::List(_) => Err(unguarded()),
        }
    }

    async fn call<M>(
        self,
        message: M,
        resource_id: impl FnOnce(&'static str, &M, &Caller) -> String,
    ) -> Result<Call<M>, Status> {
        let Self { admission, peer } = self;
        let (Gate::Policy(gate), Some(principal)) = (&admission.rule.gate, &admission.principal)
        else {
            return Err(unguarded());
        };
        let caller = Caller::new(principal.clone());
        let id = resource_id(admission.rule.rpc, &message, &caller);
        let permit = permit(&admission, gate, &caller, id, &peer).await.map_err(status)?;
        Ok(Call { message, caller, permit, peer })
    }
}

async fn permit(
    admission: &Admission,
    gate: &PolicyGate,
    caller: &Caller,
    id: String,
    peer: &Peer,
) -> Result<Permit, Fault> {
    let (rpc, principal) = (admission.rule.rpc, caller.principal());
    admission.guard.observe(rpc, gate, principal, &id, peer.certificate.as_ref());
    let policies = admission.guard.decide(rpc, gate, principal, &id, peer).await?;
    Ok(Permit::new(admission.rule.rpc, caller.clone(), gate.resource, id, policies))
}

/// The id that a client has named: its own, where it has written `me`.
pub(crate) fn named_id(named: &str, caller: UserId) -> Cow<'_, str> {
    if named == ME { Cow::Owned(caller.to_string()) } else { Cow::Borrowed(named) }
}

/// Only reached by an adapter that was mounted or generated wrongly.
pub(crate) fn unguarded() -> Status {
    tracing::error!("a call reached an adapter that its guard did not admit it to");
    status(Fault::internal())
}
