//! The same for RPCs whose client streams its messages. The first one names the
//! resource, and the call waits for it; where the resource is the service, or
//! anybody may call, it waits for nothing.

use std::time::Duration;

use countersign_types::{Code, Fault, Validate};
use tokio::time::timeout;
use tonic::{Request, Status, Streaming};

use super::{Entrance, named_id};
use crate::{
    Call, Hold, PublicCall,
    messages::{About, Messages},
    rule::Rule,
};

impl Hold {
    /// Enters an RPC whose rule names a resource; `resource_id` reads its id from
    /// a message. The first message decides; another that names another
    /// resource ends the call.
    ///
    /// # Errors
    /// As [`crate::enter`], for the first message; INVALID_ARGUMENT where there is
    /// none, DEADLINE_EXCEEDED where it does not come in time.
    pub async fn enter<M: Validate + Send>(
        &self,
        request: Request<Streaming<M>>,
        resource_id: for<'a> fn(&'a M) -> &'a str,
    ) -> Result<Call<Messages<M>>, Status> {
        let (entrance, messages) = Entrance::unread(request)?;
        let limit = entrance.admission.guard.core.first_message_timeout;
        let mut messages = Messages::new(messages, self.clone());
        let first = self.answer(first(&mut messages, limit)).await?;

        let named = resource_id(&first).to_owned();
        let id = |caller| named_id(&named, caller).into_owned();
        let call = entrance.call(messages, |_, _, caller| id(caller.user_id())).await?;
        let Call { message, caller, permit, peer } = call;
        let about = About { read: resource_id, id: id(caller.user_id()), caller: caller.user_id() };
        Ok(Call { message: message.about(first, about), caller, permit, peer })
    }

    /// Enters an RPC whose resource is the service itself.
    ///
    /// # Errors
    /// As [`crate::enter_service`], but for the message.
    pub async fn enter_service<M: Validate + Send>(
        &self,
        request: Request<Streaming<M>>,
    ) -> Result<Call<Messages<M>>, Status> {
        let (entrance, messages) = Entrance::unread(request)?;
        let messages = Messages::new(messages, self.clone());
        entrance.call(messages, |rpc, _, _| Rule::service(rpc).to_owned()).await
    }

    /// Enters an RPC that anybody may call.
    ///
    /// # Errors
    /// INTERNAL for a service that is not behind a guard.
    pub async fn enter_public<M: Validate + Send>(
        &self,
        request: Request<Streaming<M>>,
    ) -> Result<PublicCall<Messages<M>>, Status> {
        let (entrance, messages) = Entrance::unread(request)?;
        entrance.public_call(Messages::new(messages, self.clone()))
    }
}

async fn first<M: Validate + Send>(
    messages: &mut Messages<M>,
    limit: Duration,
) -> Result<M, Fault> {
    match timeout(limit, messages.message()).await {
        Ok(Ok(Some(message))) => Ok(message),
        Ok(Ok(None)) => Err(Fault::new(
            Code::InvalidArgument,
            "MESSAGE_MISSING",
            "the stream ended without the message that names its resource",
        )),
        Ok(Err(fault)) => Err(fault),
        Err(_) => Err(Fault::new(
            Code::DeadlineExceeded,
            "MESSAGE_TOO_SLOW",
            "the message that names the resource did not arrive in time",
        )),
    }
}
