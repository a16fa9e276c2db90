//! Clients that stream their messages, each when they have one.

use std::{convert::Infallible, future::Future, task, time::Duration};

use bytes::Bytes;
use countersign_guard::{Access, Guard, Guarded, Rule, Settings};
use countersign_mesh::{Part, config::ServerConfig};
use futures::{
    StreamExt,
    future::BoxFuture,
    stream::{self, Stream},
};
use http::uri::PathAndQuery;
use http_body_util::StreamBody;
use hyper::body::Frame;
use tonic::{Code, Request, Response, Status, Streaming, body::Body, server::NamedService};
use tonic_prost::ProstCodec;

use super::support::{GRPC, MAX_MESSAGE, Running, reason, start};

const GATHER: &str = "/test.v1.Gatherer/Gather";
const SOON: Duration = Duration::from_millis(50);

/// Answers, in the end, with how many messages there were.
#[derive(Clone)]
struct Gatherer;

impl Gatherer {
    fn guarded(self) -> Guarded<Self> {
        let text = || "test".to_owned();
        let settings = Settings {
            issuer: text(),
            audience: text(),
            environment: text(),
            ..Settings::default()
        };
        let rule = Rule::new("test.v1.Gatherer/Gather", Access::Public).streams_requests();
        Guard::builder(settings).rules(&[rule]).build().unwrap().protect(self)
    }
}

impl NamedService for Gatherer {
    const NAME: &'static str = "test.v1.Gatherer";
}

impl tower::Service<http::Request<Body>> for Gatherer {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), Infallible>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let codec = ProstCodec::<String, String>::default();
            let mut grpc = tonic::server::Grpc::new(codec).max_decoding_message_size(MAX_MESSAGE);
            Ok(grpc.client_streaming(tower::service_fn(gather), request).await)
        })
    }
}

async fn gather(request: Request<Streaming<String>>) -> Result<Response<String>, Status> {
    let mut messages = request.into_inner();
    let mut count = 0;
    while messages.message().await?.is_some() {
        count += 1;
    }
    Ok(Response::new(count.to_string()))
}

async fn serving(message_timeout: Duration) -> Running {
    let max_message_bytes = u32::try_from(MAX_MESSAGE).unwrap();
    let config = ServerConfig { message_timeout, max_message_bytes, ..ServerConfig::default() };
    start(&config, Part::new("gatherer").service(Gatherer.guarded())).await
}

/// The answer to a stream of messages.
fn gathered(
    server: &Running,
    messages: impl Stream<Item = String> + Send + 'static,
) -> impl Future<Output = Result<String, Status>> {
    let mut grpc = tonic::client::Grpc::new(server.channel());
    async move {
        grpc.ready().await.unwrap();
        let codec = ProstCodec::<String, String>::default();
        let path = PathAndQuery::from_static(GATHER);
        Ok(grpc.client_streaming(Request::new(messages), path, codec).await?.into_inner())
    }
}

#[tokio::test]
async fn a_stream_may_be_slow_between_its_messages_and_before_the_first() {
    let server = serving(SOON).await;
    let slowly = stream::iter(0..3).then(async |number| {
        tokio::time::sleep(3 * SOON).await;
        number.to_string()
    });
    assert_eq!(gathered(&server, slowly).await.unwrap(), "3");
}

#[tokio::test]
async fn a_stream_may_be_longer_than_what_may_be_on_its_way_at_a_time() {
    let server = serving(Duration::from_secs(60)).await;
    // Of one peer, sixteen messages of 64 KiB may be.
    let messages = stream::iter(0..3_000).map(|_| "x".repeat(1_000));
    assert_eq!(gathered(&server, messages).await.unwrap(), "3000");
}

#[tokio::test]
async fn a_message_of_a_stream_that_has_begun_has_to_be_whole_in_time() {
    let server = serving(SOON).await;
    let (mut sender, connection) = server.connect().await;
    tokio::spawn(connection);
    // A whole message, and one without its last byte.
    let frames = [&[0, 0, 0, 0, 0][..], &[0, 0, 0, 0, 2, 1]];
    let frames = stream::iter(frames).map(|bytes| Ok(Frame::data(Bytes::from_static(bytes))));
    let body = frames.chain(stream::pending()).boxed();
    let request = http::Request::post(format!("http://{}{GATHER}", server.address))
        .header("te", "trailers")
        .header(GRPC.0, GRPC.1)
        .header("grpc-timeout", "60S")
        .body(StreamBody::<stream::BoxStream<'static, Result<_, Infallible>>>::new(body));
    let answer = sender.send_request(request.unwrap()).await.unwrap();
    let status = Status::from_header_map(answer.headers()).unwrap();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::DeadlineExceeded, "MESSAGE_TOO_SLOW")
    );
}
