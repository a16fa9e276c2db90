//! One attempt on one connection: what is sent, and the answer to it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri, Version, uri::PathAndQuery};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http2::SendRequest;
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};

use super::failure::{Failure, told};
use crate::server::{TIMEOUT_HEADER, timeout_header};

/// What is sent.
pub(super) struct Outgoing {
    pub path: PathAndQuery,
    pub headers: HeaderMap,
    pub payload: Payload,
    /// When the answer has to be there; of a stream, when it has to begin.
    pub deadline: Option<Instant>,
    /// How long this attempt may take from when it has its replica.
    pub patience: Option<Duration>,
    /// The largest answer.
    pub max_bytes: usize,
}

pub(super) enum Payload {
    /// The one message of a call whose answer is one as well.
    Whole(Bytes),
    /// Whatever comes, there and back.
    Stream(Body),
}

/// What came back.
pub(super) struct Answer {
    pub response: http::Response<Body>,
    /// How it ended; `None` for a stream that has only begun.
    pub code: Option<Code>,
}

impl Outgoing {
    /// Begins: from now on its time runs, of which it tells the server.
    pub(super) fn begin(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let own = self.patience.map(|patience| now + patience);
        let end = [self.deadline, own].into_iter().flatten().min();
        if let Some(end) = end {
            let left = timeout_header(end.saturating_duration_since(now));
            self.headers.insert(TIMEOUT_HEADER, left);
        }
        end
    }

    /// Sends it, and waits for the answer, of a stream for its beginning.
    pub(super) async fn over(
        self,
        link: &mut SendRequest<Body>,
        origin: &Uri,
    ) -> Result<Answer, Failure> {
        let (body, whole) = match self.payload {
            Payload::Whole(bytes) => (Body::new(Full::new(bytes)), true),
            Payload::Stream(body) => (body, false),
        };
        let mut request = http::Request::new(body);
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = self.headers;
        *request.uri_mut() = located(origin, self.path);
        let response = link.try_send_request(request).await;
        let response = response.map_err(|error| Failure::of_request(&error))?;
        if !whole || response.status() != StatusCode::OK {
            return Ok(Answer::begun(response.map(Body::new)));
        }
        let (head, body) = response.into_parts();
        let body = Limited::new(body, self.max_bytes).collect().await;
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => Failure::TooLarge,
            false => Failure::Broken(told(&*error)),
        })?;
        let last = body.trailers().filter(|trailers| trailers.contains_key(Status::GRPC_STATUS));
        let code = code(last.unwrap_or(&head.headers));
        let response = http::Response::from_parts(head, Body::new(body));
        Ok(Answer { response, code: Some(code) })
    }
}

impl Answer {
    /// What came is only the beginning, or not gRPC at all.
    fn begun(response: http::Response<Body>) -> Self {
        let code = match response.status() {
            StatusCode::OK if response.headers().contains_key(Status::GRPC_STATUS) => {
                Some(code(response.headers()))
            }
            StatusCode::OK => None,
            // What gRPC makes of an answer by something that is no gRPC server
            // (grpc/doc/http-grpc-status-mapping.md).
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Some(Code::Unavailable),
            _ => Some(Code::Unknown),
        };
        Self { response, code }
    }

    /// How it ended, in full.
    pub(super) async fn status(&mut self) -> Status {
        let code = self.code.unwrap_or(Code::Ok);
        if let Some(status) = Status::from_header_map(self.response.headers()) {
            return status;
        }
        // It is whole already: nothing is waited for.
        let body = std::mem::take(self.response.body_mut());
        let Ok(body) = body.collect().await else { return Status::new(code, "") };
        let status = body.trailers().and_then(Status::from_header_map);
        *self.response.body_mut() = Body::new(body);
        status.unwrap_or_else(|| Status::new(code, ""))
    }
}

/// The code in these headers or trailers; UNKNOWN where there is none.
pub(super) fn code(headers: &HeaderMap) -> Code {
    headers.get(Status::GRPC_STATUS).map_or(Code::Unknown, |code| Code::from_bytes(code.as_bytes()))
}

/// `path` at `origin`.
fn located(origin: &Uri, path: PathAndQuery) -> Uri {
    let mut parts = origin.clone().into_parts();
    parts.path_and_query = Some(path);
    // An origin has scheme and authority: with a path it is a URI.
    Uri::from_parts(parts).unwrap_or_default()
}
