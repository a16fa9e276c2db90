//! `GET /metrics` for Prometheus: plain HTTP on an address of its own, which
//! tells nothing but metrics.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{Encoder, Registry, TextEncoder};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use crate::Error;

/// Connections at a time: one scraper or two, and somebody with curl.
const MAX_CONNECTIONS: usize = 16;
/// How long a connection may take to say what it wants, and to be quiet.
const PATIENCE: Duration = Duration::from_secs(30);

/// The listener, and what it tells of.
#[derive(Debug)]
pub(super) struct Scrape {
    listener: TcpListener,
    registry: Registry,
}

impl Scrape {
    pub(super) async fn listen(address: SocketAddr) -> Result<Self, Error> {
        let failed =
            |error| Error::Telemetry(format!("telemetry.metrics_listen {address}: {error}"));
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        Ok(Self { listener, registry: Registry::new() })
    }

    pub(super) fn registry(&self) -> Registry {
        self.registry.clone()
    }

    pub(super) async fn serve(self, cancel: CancellationToken) {
        let Self { listener, registry } = self;
        if let Ok(address) = listener.local_addr() {
            tracing::info!(server.address = %address, "answering Prometheus at /metrics");
        }
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let accepting = async {
            loop {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let registry = registry.clone();
                let answer = service_fn(move |request| {
                    let answer = answer(&request, &registry);
                    async move { Ok::<_, Infallible>(answer) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(PATIENCE)
                    .serve_connection(TokioIo::new(stream), answer);
                let cancel = cancel.clone();
                tokio::spawn(async move {
                    let _place = place;
                    // Whoever hangs up has what they want, or wants nothing.
                    let _ = cancel.run_until_cancelled(connection).await;
                });
            }
        };
        cancel.run_until_cancelled(accepting).await;
    }
}

fn answer(request: &Request<Incoming>, registry: &Registry) -> Response<Full<Bytes>> {
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "there is /metrics, and nothing else\n");
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD\n");
        let allowed = header::HeaderValue::from_static("GET, HEAD");
        refused.headers_mut().insert(header::ALLOW, allowed);
        return refused;
    }
    let mut text = Vec::new();
    let encoder = TextEncoder::new();
    if encoder.encode(&registry.gather(), &mut text).is_err() {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written\n");
    }
    with_type(StatusCode::OK, encoder.format_type(), text.into())
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    with_type(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

fn with_type(status: StatusCode, kind: &str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    if let Ok(kind) = header::HeaderValue::from_str(kind) {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}
