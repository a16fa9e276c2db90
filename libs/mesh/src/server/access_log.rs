//! One line for each call: method, status, time and id, nothing of its content.
//!
//! A denied or mistaken call is the client's affair and logged like a good one;
//! only what is ours to mend is an error.

use std::time::Instant;

use http::{HeaderValue, Uri};
use http_body::Body as _;
use tonic::{Code, Status};

use super::{
    explain::name,
    limit::is_health,
    request_id::HEADER,
    stage::{Request, Response, Stage},
    tail::Tail,
};

/// Bytes of a method in the log; a client can ask for any.
const MAX_METHOD: usize = 128;

pub(super) struct AccessLog<S> {
    next: S,
}

/// A call whose line is not written yet. Dropped before the end of the call, it
/// says CANCELLED: the client went away.
struct Line {
    uri: Uri,
    id: Option<HeaderValue>,
    quiet: bool,
    start: Instant,
    written: bool,
}

impl<S> AccessLog<S> {
    pub(super) const fn new(next: S) -> Self {
        Self { next }
    }
}

impl<S: Stage> Stage for AccessLog<S> {
    async fn handle(&self, request: Request) -> Response {
        let mut line = Line::new(&request);
        let response = self.next.handle(request).await;
        let status = response.headers().get(Status::GRPC_STATUS);
        if let Some(code) = status.map(|code| Code::from_bytes(code.as_bytes())) {
            line.write(code);
        } else if !response.status().is_success() {
            line.write_http(response.status().as_u16());
        } else if response.body().is_end_stream() {
            line.write(Code::Unknown);
        } else {
            return response.map(|body| {
                Tail::body(body, move |trailers| {
                    let code = trailers.get(Status::GRPC_STATUS);
                    line.write(code.map_or(Code::Unknown, |c| Code::from_bytes(c.as_bytes())));
                })
            });
        }
        response
    }
}

impl Line {
    fn new(request: &Request) -> Self {
        Self {
            uri: request.uri().clone(),
            id: request.headers().get(HEADER).cloned(),
            quiet: is_health(request),
            start: Instant::now(),
            written: false,
        }
    }

    fn method(&self) -> &str {
        let path = self.uri.path().trim_start_matches('/');
        path.get(..MAX_METHOD).unwrap_or(path)
    }

    fn id(&self) -> &str {
        self.id.as_ref().and_then(|id| id.to_str().ok()).unwrap_or_default()
    }

    /// Milliseconds with three digits after the point.
    fn duration(&self) -> f64 {
        (self.start.elapsed().as_secs_f64() * 1e6).round() / 1e3
    }

    fn write(&mut self, code: Code) {
        self.written = true;
        let (method, id, duration) = (self.method(), self.id(), self.duration());
        let status = name(code);
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    rpc.method = method,
                    rpc.status = status,
                    duration_ms = duration,
                    request.id = id,
                    "call"
                )
            };
        }
        match code {
            Code::Internal | Code::Unknown | Code::DataLoss => line!(error),
            // Probes come every few seconds, and say something only when they fail.
            Code::Ok if self.quiet => line!(debug),
            _ => line!(info),
        }
    }

    fn write_http(&mut self, status: u16) {
        self.written = true;
        let (method, id, duration) = (self.method(), self.id(), self.duration());
        tracing::info!(
            rpc.method = method,
            http.status = status,
            duration_ms = duration,
            request.id = id,
            "not a call"
        );
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.written {
            self.write(Code::Cancelled);
        }
    }
}
