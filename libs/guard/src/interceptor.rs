//! A guard for services whose contracts carry no rules yet.

use tonic::{Request, Status, service::Interceptor};

use crate::{Caller, Guard, status};

/// Lets in whoever has a token that holds, and hands the [`Caller`] to the
/// handler in the extensions of the request. Nothing is decided beyond that: an
/// interceptor sees neither the method that is called nor its message, and
/// nothing of what is answered. So there is no rule to look up, no resource to
/// ask the policies about, and a stream that is open goes on.
#[derive(Clone, Debug)]
pub struct Authenticate(Guard);

impl Guard {
    /// The guard as a tonic interceptor that authenticates and decides nothing.
    /// Contracts with rules are mounted with the functions that are generated
    /// for them instead.
    #[must_use]
    pub fn authenticate_only(&self) -> Authenticate {
        Authenticate(self.clone())
    }
}

impl Interceptor for Authenticate {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let principal =
            self.0.authenticate(request.metadata().as_ref(), request.remote_addr(), None);
        let caller = Caller::new(principal.map_err(status)?);
        request.extensions_mut().insert(caller);
        Ok(request)
    }
}
