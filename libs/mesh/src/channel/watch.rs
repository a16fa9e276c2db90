//! The health of one replica as it tells it itself (grpc.health.v1, Watch; gRFC A17).

use std::{
    future::pending,
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use http::Uri;
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use tokio::time::sleep;
use tonic::{Code, body::Body};

use super::replica::State;
use crate::health::v1::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// Pause before a replica is asked again that broke off.
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes of an answer.
const MAX_BYTES: usize = 4 * 1024;

/// One connection, as a client wants it.
#[derive(Clone)]
struct Over(SendRequest<Body>);

/// Writes down what the replica says of `service`, for as long as its connection lasts.
pub(super) async fn watch(state: &State, link: SendRequest<Body>, origin: &Uri, service: &str) {
    let client = HealthClient::with_origin(Over(link), origin.clone());
    let mut client = client.max_decoding_message_size(MAX_BYTES);
    loop {
        let question = HealthCheckRequest { service: service.to_owned() };
        match client.watch(question).await {
            Ok(answers) => {
                let mut answers = answers.into_inner();
                while let Ok(Some(answer)) = answers.message().await {
                    state.set_healthy(answer.status() == ServingStatus::Serving);
                }
            }
            // It does not know the protocol: so nothing speaks against it.
            Err(status) if status.code() == Code::Unimplemented => {
                state.set_healthy(true);
                return pending().await;
            }
            Err(_) => {}
        }
        state.set_healthy(false);
        sleep(PAUSE).await;
    }
}

impl tower::Service<http::Request<Body>> for Over {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, Result<Self::Response, hyper::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.0.send_request(request).boxed()
    }
}
