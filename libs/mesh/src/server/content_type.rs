//! Turns away what is not gRPC, in plain HTTP (gRPC over HTTP/2, "Requests").

use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use tonic::body::Body;

use super::stage::{Request, Response, Stage};

const GRPC: &str = "application/grpc";

pub(super) struct ContentType<S> {
    next: S,
}

impl<S> ContentType<S> {
    pub(super) const fn new(next: S) -> Self {
        Self { next }
    }
}

impl<S: Stage> Stage for ContentType<S> {
    async fn handle(&self, request: Request) -> Response {
        if is_grpc(request.headers()) {
            return self.next.handle(request).await;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        response.headers_mut().insert("accept-post", HeaderValue::from_static(GRPC));
        response
    }
}

/// gRPC with protobuf messages; `application/grpc-web` and `+json` are other protocols.
fn is_grpc(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let Some(rest) = value.and_then(|value| value.strip_prefix(GRPC)) else { return false };
    let rest = rest.strip_prefix("+proto").unwrap_or(rest);
    rest.is_empty() || rest.starts_with(';')
}
