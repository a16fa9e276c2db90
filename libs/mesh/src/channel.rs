//! The client side: one channel for all replicas of a target.
//!
//! A channel finds the replicas (`target`, `resolver`), keeps a connection to
//! each (`keeper`, `wire`), gives a call to the less busy of two (tower's
//! balancer over `replica`), takes those out that answer badly (`outliers`), and
//! tries again what may be tried again (`attempts`, `retry`, `throttle`). What it
//! does by default is the policy of `docs/retries.md`.
//!
//! It decides nothing about who may call: it passes the caller's token on where
//! the handler says so, and the guard of the other service decides.

mod address;
mod attempts;
mod connector;
mod exchange;
mod failure;
mod fleet;
mod keeper;
mod member;
mod meter;
mod methods;
mod outliers;
mod reach;
mod replica;
mod resolver;
mod retry;
mod span;
mod statistics;
mod target;
mod throttle;
mod watch;
mod wire;

use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use tonic::body::Body;
use tracing::Instrument;

use crate::{Error, Incoming, config::ChannelConfig};
use attempts::Attempts;
use fleet::Fleet;
use methods::Methods;
use span::CallSpan;

pub use reach::Reach;
pub use target::Target;
pub(crate) use wire::Duplex;

/// Calls to one target. Clones are the same channel: make one for each target,
/// and generated clients from clones of it.
#[derive(Clone)]
pub struct Channel {
    attempts: Arc<Attempts>,
    on_behalf: bool,
}

impl Channel {
    /// A channel that begins to connect at once. `config` is taken as it is:
    /// validate it first. It ends with its last clone. To be called within a
    /// tokio runtime.
    ///
    /// Which methods may be tried again, it reads from the contracts of Countersign;
    /// [`Channel::describing`] names others.
    ///
    /// # Errors
    /// As [`Channel::describing`].
    pub fn new(target: Target, config: &ChannelConfig) -> Result<Self, Error> {
        Self::describing(target, config, &[countersign_contracts::DESCRIPTOR_SET])
    }

    /// The same for the methods in these encoded `google.protobuf.FileDescriptorSet`s.
    /// A method that none describes is sent once and as a stream.
    ///
    /// # Errors
    /// [`Error::Descriptors`], when one of them cannot be read; [`Error::Read`] and
    /// [`Error::Tls`], when a file for TLS cannot be used.
    pub fn describing(
        target: Target,
        config: &ChannelConfig,
        descriptors: &[&[u8]],
    ) -> Result<Self, Error> {
        let methods = Methods::read(descriptors)?;
        let fleet = Fleet::start(target, config)?;
        let attempts = Arc::new(Attempts::new(fleet, methods, config));
        Ok(Self { attempts, on_behalf: false })
    }

    /// The same channel, whose calls are made for the caller of the call that is
    /// being answered: with that one's access token, so that the other service
    /// permits what this caller may do, and nothing else. A call that has a token
    /// of its own keeps it.
    #[must_use]
    pub fn on_behalf_of_caller(&self) -> Self {
        Self { on_behalf: true, ..self.clone() }
    }

    /// How many replicas calls can go to now.
    #[must_use]
    pub fn available(&self) -> usize {
        self.attempts.fleet.available()
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("target", &self.attempts.fleet.name())
            .finish_non_exhaustive()
    }
}

impl tower::Service<http::Request<Body>> for Channel {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    /// Always: a call waits for its replica itself, within its own deadline.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let attempts = Arc::clone(&self.attempts);
        let incoming = Incoming::current();
        if let Some(incoming) = &incoming {
            incoming.pass_on(request.headers_mut(), self.on_behalf);
        }
        let latest = incoming.map(|incoming| incoming.deadline);
        let span = CallSpan::begin(request.uri().path());
        span.pass_on(request.headers_mut());
        Box::pin(async move {
            let outcome = attempts.call(request, latest).instrument(span.inner()).await;
            span.end(outcome.code);
            Ok(outcome.response)
        })
    }
}
