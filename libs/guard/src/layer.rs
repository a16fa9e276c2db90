//! The guard as a tower layer around a tonic service.

use std::task::{Context, Poll};

use futures::future::{Either, Ready, ready};
use http::{Request, Response};
use tonic::{server::NamedService, transport::server::TcpConnectInfo};
use tower::{Layer, Service};

use crate::{Guard, rule::Rule, status};

/// Puts services behind a guard.
#[derive(Clone, Debug)]
pub struct GuardLayer(Guard);

/// A service behind a guard. A call that is not admitted is answered here; its
/// message is not even decoded.
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    guard: Guard,
    inner: S,
}

impl GuardLayer {
    pub(crate) const fn new(guard: Guard) -> Self {
        Self(guard)
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        self.0.protect(inner)
    }
}

impl<S> Guarded<S> {
    pub(crate) const fn new(guard: Guard, inner: S) -> Self {
        Self { guard, inner }
    }
}

impl<S: NamedService> Guarded<S> {
    /// The RPCs of the service that have a rule, such as
    /// `countersign.user.v1.ProfileService/GetProfile`. All others are refused
    /// here, so a server compares them with the contract before it starts.
    pub fn rpcs(&self) -> impl Iterator<Item = &'static str> {
        self.guard.rpcs().filter(|rpc| Rule::service(rpc) == S::NAME)
    }

    /// Those of them whose clients stream requests, each of which may come whenever
    /// its client has one.
    pub fn streaming(&self) -> impl Iterator<Item = &'static str> {
        self.guard.streaming().filter(|rpc| Rule::service(rpc) == S::NAME)
    }
}

impl<S: NamedService> NamedService for Guarded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B, R> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response<R>, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let peer = request.extensions().get::<TcpConnectInfo>().and_then(|tcp| tcp.remote_addr);
        match self.guard.admit(request.uri().path(), request.headers(), peer) {
            Ok(admission) => {
                request.extensions_mut().insert(admission);
                Either::Left(self.inner.call(request))
            }
            Err(fault) => Either::Right(ready(Ok(status(fault).into_http()))),
        }
    }
}
