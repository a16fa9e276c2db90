//! The doors for callers that speak no gRPC. Below them every call is one of gRPC,
//! whose name, deadline and headers the other stages read as ever.
//!
//! [`Front`] gives a call its name; [`Unpack`] makes its message, where the bytes
//! of the body are counted already and its time is running.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use countersign_gateway::{AtTheDoor, Doors, Gateway, Origins, Settings, Shared, unpack};
use futures::future::BoxFuture;
use http::{
    Version,
    header::{CONTENT_TYPE, ORIGIN},
};
use tower::Service;

use super::{
    mounts,
    request_id::HEADER,
    stage::{Request, Response, Stage},
};
use crate::{Error, Part, config::ServerConfig};

/// Everything above that has to do with names.
pub(super) struct Front<S> {
    below: Arc<S>,
    doors: Option<Shared<Doors<Below<S>>>>,
}

/// Everything below, as the doors call it.
pub(super) struct Below<S>(Arc<S>);

/// The doors of a server, before there is anything behind them.
#[derive(Clone)]
pub(super) struct Frame {
    gateway: Gateway,
    origins: Origins,
}

/// Makes the message of a call that came as JSON.
pub(super) struct Unpack<S>(S);

impl Frame {
    /// The doors to these parts, where the settings want any.
    pub(super) fn of(config: &ServerConfig, parts: &[Part]) -> Result<Option<Self>, Error> {
        if !config.http.enabled {
            return Ok(None);
        }
        let wrong = |error: countersign_gateway::Error| Error::Http(error.to_string());
        // A service that the contracts do not describe is called by gRPC alone.
        let rpcs = mounts::described()?;
        let described =
            |service: &&str| rpcs.iter().any(|rpc| rpc.split('/').next() == Some(*service));
        let services = parts.iter().flat_map(|part| part.services.iter().copied());
        let services: Vec<_> = services.filter(described).collect();
        let size = |limit| usize::try_from(limit).unwrap_or(usize::MAX);
        let settings = Settings {
            title: "Countersign".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            max_message_bytes: size(config.max_message_bytes),
            max_header_bytes: size(config.max_header_bytes),
        };
        let gateway = Gateway::new(countersign_contracts::DESCRIPTOR_SET, &services, settings);
        let origins = Origins::new(&config.http.origins).map_err(wrong)?;
        Ok(Some(Self { gateway: gateway.map_err(wrong)?, origins }))
    }
}

impl<S: Stage> Front<S> {
    pub(super) fn new(below: S, frame: Option<Frame>) -> Self {
        let below = Arc::new(below);
        let doors = frame.map(|Frame { gateway, origins }| {
            origins.share(gateway.doors(Below(Arc::clone(&below))))
        });
        Self { below, doors }
    }
}

impl<S> Unpack<S> {
    pub(super) const fn new(next: S) -> Self {
        Self(next)
    }
}

impl<S: Stage> Stage for Front<S> {
    async fn handle(&self, request: Request) -> Response {
        let doors = match &self.doors {
            Some(doors) if !is_plain(&request) => doors,
            _ => return self.below.handle(request).await,
        };
        let id = request.headers().get(HEADER).cloned();
        let response = match doors.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        if response.extensions().get::<AtTheDoor>().is_some() {
            let id = id.as_ref().and_then(|id| id.to_str().ok()).unwrap_or_default();
            // Its path may hold anything, an address of a person among it.
            tracing::info!(http.status = response.status().as_u16(), request.id = id, "not a call");
        }
        response
    }
}

impl<S: Stage> Stage for Unpack<S> {
    async fn handle(&self, request: Request) -> Response {
        self.0.handle(unpack(request)).await
    }
}

impl<S: Stage> Service<Request> for Below<S> {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let below = Arc::clone(&self.0);
        Box::pin(async move { Ok(below.handle(request).await) })
    }
}

impl<S> Clone for Below<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Whether it is gRPC, and comes from no page: it needs no door, and shall not
/// pay for any.
fn is_plain(request: &Request) -> bool {
    let headers = request.headers();
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let grpc = kind.strip_prefix("application/grpc").is_some_and(|rest| !rest.starts_with("-web"));
    grpc && request.version() == Version::HTTP_2 && !headers.contains_key(ORIGIN)
}
