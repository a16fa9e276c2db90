//! The doors in front of gRPC services: who speaks which protocol is told by the
//! type of the content, and below all of them the call is one of gRPC.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use countersign_guard::status;
use countersign_types::{Code, Fault};
use http::{HeaderMap, Request, Response, Version, header::CONTENT_TYPE};
use tonic::body::Body;
use tonic_web::GrpcWebLayer;
use tower::{Layer, Service, ServiceExt};

use crate::{
    Gateway,
    gateway::{Entered, unpack},
    refusal::Refusals,
};

/// gRPC services with doors for gRPC-Web, HTTP with JSON and Connect.
#[derive(Clone, Debug)]
pub struct Doors<S> {
    gateway: Gateway,
    inner: S,
}

/// Marks an answer that was given at the door: nobody below has seen the request.
#[derive(Clone, Copy, Debug)]
pub struct AtTheDoor;

/// The second half of the doors, right above the services: see [`unpack`].
#[derive(Clone, Debug)]
pub struct Unpacked<S>(S);

/// Puts both halves before a service.
#[derive(Clone, Debug)]
pub struct GatewayLayer(Gateway);

type Answer<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

enum Protocol {
    Grpc,
    GrpcWeb,
    Http,
}

impl Gateway {
    /// The doors before `inner`, which calls [`unpack`] where it sees fit.
    pub fn doors<S>(&self, inner: S) -> Doors<S> {
        Doors { gateway: self.clone(), inner }
    }

    /// The doors as a layer, for any server of tonic: with `accept_http1`, where
    /// that is wanted as well.
    #[must_use]
    pub fn layer(&self) -> GatewayLayer {
        GatewayLayer(self.clone())
    }
}

impl<S> Layer<S> for GatewayLayer {
    type Service = Doors<Unpacked<S>>;

    fn layer(&self, inner: S) -> Self::Service {
        self.0.doors(Unpacked(inner))
    }
}

impl<S> Service<Request<Body>> for Doors<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answer<S::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let inner = self.inner.clone();
        match protocol(request.headers()) {
            Protocol::Grpc if request.version() == Version::HTTP_2 => {
                Box::pin(inner.oneshot(request))
            }
            Protocol::Grpc => {
                let refused = at_the_door(self.gateway.refused(grpc_needs_http_2()));
                Box::pin(async move { Ok(refused) })
            }
            Protocol::GrpcWeb => Box::pin(GrpcWebLayer::new().layer(inner).oneshot(request)),
            Protocol::Http => match self.gateway.enter(request) {
                Entered::Answered(answer) => Box::pin(async move { Ok(at_the_door(answer)) }),
                Entered::Call(request, exchange) => Box::pin(async move {
                    let response = inner.oneshot(request).await?;
                    Ok(exchange.answer(response).await)
                }),
            },
        }
    }
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for Unpacked<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.call(unpack(request))
    }
}

fn protocol(headers: &HeaderMap) -> Protocol {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match kind.strip_prefix("application/grpc") {
        Some(rest) if rest.starts_with("-web") => Protocol::GrpcWeb,
        Some(_) => Protocol::Grpc,
        None => Protocol::Http,
    }
}

fn grpc_needs_http_2() -> Fault {
    Fault::new(Code::InvalidArgument, "GRPC_NEEDS_HTTP_2", "gRPC is spoken over HTTP/2 only")
}

fn at_the_door(mut answer: Response<Body>) -> Response<Body> {
    answer.extensions_mut().insert(AtTheDoor);
    answer
}

impl Gateway {
    fn refused(&self, fault: Fault) -> Response<Body> {
        Refusals::answer(self.refusals(), &status(fault), false)
    }
}
