//! A server with one small service, and two ways to call it: as a client would,
//! and byte by byte.

use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc, task};

use bytes::Bytes;
use countersign_guard::{Access, Guard, Guarded, Rule, Settings};
use countersign_mesh::{
    Error, Part,
    config::ServerConfig,
    server::{Report, Server},
};
use futures::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use http::{HeaderMap, StatusCode, uri::PathAndQuery};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::{
    body::Frame,
    client::conn::http2::{SendRequest, handshake},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status,
    body::Body,
    server::NamedService,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;

/// Bytes of a message that the probe reads.
pub const MAX_MESSAGE: usize = 1024;
pub const PROBE: &str = "/test.v1.Probe/Call";

type Answer = Result<Response<String>, Status>;

/// A service whose one method is a function.
#[derive(Clone)]
pub struct Probe(Arc<dyn Fn(Request<String>) -> BoxFuture<'static, Answer> + Send + Sync>);

impl Probe {
    pub fn new<F, R>(answer: F) -> Self
    where
        F: Fn(Request<String>) -> R + Send + Sync + 'static,
        R: Future<Output = Answer> + Send + 'static,
    {
        Self(Arc::new(move |request| Box::pin(answer(request))))
    }

    /// Answers with what it is given.
    pub fn echo() -> Self {
        Self::new(|request| async { Ok(Response::new(request.into_inner())) })
    }

    /// Behind a guard that lets everybody in.
    pub fn guarded(self) -> Guarded<Self> {
        guard(&["test.v1.Probe/Call", "test.v1.Probe/Once"]).protect(self)
    }
}

/// A guard that lets everybody call these RPCs.
pub fn guard(rpcs: &[&'static str]) -> Guard {
    let settings = Settings {
        issuer: "test".to_owned(),
        audience: "test".to_owned(),
        environment: "test".to_owned(),
        ..Settings::default()
    };
    let rules: Vec<_> = rpcs.iter().map(|&rpc| Rule::new(rpc, Access::Public)).collect();
    Guard::builder(settings).rules(&rules).build().unwrap()
}

impl NamedService for Probe {
    const NAME: &'static str = "test.v1.Probe";
}

impl tower::Service<http::Request<Body>> for Probe {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), Infallible>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answer = Arc::clone(&self.0);
        Box::pin(async move {
            let codec = ProstCodec::<String, String>::default();
            let mut grpc = tonic::server::Grpc::new(codec).max_decoding_message_size(MAX_MESSAGE);
            let method = tower::service_fn(move |request| answer(request));
            Ok(grpc.unary(method, request).await)
        })
    }
}

/// A body that never ends.
pub type Unfinished = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

/// A server that runs until the test is over.
pub struct Running {
    pub address: SocketAddr,
    pub shutdown: CancellationToken,
    serving: JoinHandle<Result<Report, Error>>,
}

pub async fn start(config: &ServerConfig, part: Part) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let server = Server::new(config).part(part);
    let serving = tokio::spawn(server.serve(listener, shutdown.clone()));
    Running { address, shutdown, serving }
}

/// A server with the probe, and the defaults.
pub async fn start_probe(probe: Probe) -> Running {
    start(&ServerConfig::default(), Part::new("probe").service(probe.guarded())).await
}

impl Running {
    pub fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap().connect_lazy()
    }

    /// Calls the probe.
    pub async fn call(&self, text: &str) -> Answer {
        call(self.channel(), Request::new(text.to_owned())).await
    }

    /// Sends a call byte by byte: what it is about is not hidden by a client.
    pub async fn raw(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Raw {
        let (mut sender, connection) = self.connect().await;
        tokio::spawn(connection);
        let mut request =
            http::Request::post(format!("http://{}{path}", self.address)).header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(Bytes::copy_from_slice(body));
        let response = sender.send_request(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap();
        let trailers = body.trailers().cloned().unwrap_or_default();
        Raw { http: parts.status, headers: parts.headers, trailers, body: body.to_bytes() }
    }

    /// A connection of its own, and the future that drives it until its end.
    pub async fn connect<B>(
        &self,
    ) -> (SendRequest<B>, impl Future<Output = hyper::Result<()>> + Send + use<B>)
    where
        B: hyper::body::Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
    {
        let stream = TcpStream::connect(self.address).await.unwrap();
        handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap()
    }

    /// A call of the probe that sends these bytes and never ends.
    pub fn unfinished(&self, bytes: &'static [u8]) -> http::Request<Unfinished> {
        let frame = async move { Ok(Frame::data(Bytes::from_static(bytes))) };
        let body: BoxStream<'static, _> = stream::once(frame).chain(stream::pending()).boxed();
        http::Request::post(format!("http://{}{PROBE}", self.address))
            .header("te", "trailers")
            .header(GRPC.0, GRPC.1)
            .header("grpc-timeout", "60S")
            .body(StreamBody::new(body))
            .unwrap()
    }

    /// Waits for the end of the server.
    pub async fn stopped(self) -> Result<Report, Error> {
        self.serving.await.unwrap()
    }
}

/// An answer, as it came.
pub struct Raw {
    pub http: StatusCode,
    pub headers: HeaderMap,
    pub trailers: HeaderMap,
    pub body: Bytes,
}

impl Raw {
    pub fn status(&self) -> Status {
        Status::from_header_map(&self.trailers)
            .or_else(|| Status::from_header_map(&self.headers))
            .expect("an answer with a status")
    }
}

pub async fn call(channel: Channel, request: Request<String>) -> Answer {
    call_at(channel, PROBE, request).await
}

pub async fn call_at(channel: Channel, path: &'static str, request: Request<String>) -> Answer {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let codec = ProstCodec::<String, String>::default();
    grpc.unary(request, PathAndQuery::from_static(path), codec).await
}

/// The headers of a call.
pub const GRPC: (&str, &str) = ("content-type", "application/grpc");

/// An empty message in its frame.
pub const EMPTY: &[u8] = &[0, 0, 0, 0, 0];

/// The reason of a status, which every error has.
pub fn reason(status: &Status) -> String {
    let info = status.get_details_error_info().expect("every error has a reason");
    assert_eq!(info.domain, "countersign.dev");
    info.reason
}
