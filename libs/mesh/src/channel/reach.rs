//! The way to another service, wherever it is: over a channel, or in this process.

use std::{
    convert::Infallible,
    fmt,
    task::{Context, Poll},
};

use http::{Request, Response};
use tonic::body::Body;
use tower::{Service, util::BoxCloneSyncService};

use super::Channel;
use crate::Incoming;

/// Calls to another service on behalf of the caller of the call that is being
/// answered. Its guard decides, also where it is in this process. Clones are the same.
#[derive(Clone)]
pub struct Reach(BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>);

impl Reach {
    /// To a service of this process, which has to stand behind its guard.
    #[must_use]
    pub fn here<S>(mut service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        let call = tower::service_fn(move |mut request: Request<Body>| {
            if let Some(incoming) = Incoming::current() {
                incoming.pass_on(request.headers_mut(), true);
            }
            service.call(request)
        });
        Self(BoxCloneSyncService::new(call))
    }

    /// To the replicas of a service in other processes.
    #[must_use]
    pub fn over(channel: &Channel) -> Self {
        Self(BoxCloneSyncService::new(channel.on_behalf_of_caller()))
    }
}

impl Service<Request<Body>> for Reach {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = <BoxCloneSyncService<Request<Body>, Response<Body>, Infallible> as Service<
        Request<Body>,
    >>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.call(request)
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reach")
    }
}
