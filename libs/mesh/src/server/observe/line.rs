//! One line for each call: method, status, time and ids.

use std::time::Duration;

use http::{HeaderValue, Uri};
use tonic::Code;

use crate::server::{explain::name, limit::is_health, request_id::HEADER, stage::Request};

/// Bytes of a method in the log; a client can ask for any.
const MAX_METHOD: usize = 128;

/// What the line will say of the call.
pub(super) struct Line {
    uri: Uri,
    id: Option<HeaderValue>,
    quiet: bool,
}

impl Line {
    pub(super) fn of(request: &Request) -> Self {
        Self {
            uri: request.uri().clone(),
            id: request.headers().get(HEADER).cloned(),
            quiet: is_health(request),
        }
    }

    fn method(&self) -> &str {
        let path = self.uri.path().trim_start_matches('/');
        path.get(..MAX_METHOD).unwrap_or(path)
    }

    fn id(&self) -> &str {
        self.id.as_ref().and_then(|id| id.to_str().ok()).unwrap_or_default()
    }

    pub(super) fn write(&self, code: Code, elapsed: Duration) {
        let (method, id, duration) = (self.method(), self.id(), millis(elapsed));
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

    pub(super) fn write_http(&self, status: u16, elapsed: Duration) {
        let (method, id, duration) = (self.method(), self.id(), millis(elapsed));
        tracing::info!(
            rpc.method = method,
            http.status = status,
            duration_ms = duration,
            request.id = id,
            "not a call"
        );
    }
}

/// Milliseconds with three digits after the point.
fn millis(elapsed: Duration) -> f64 {
    (elapsed.as_secs_f64() * 1e6).round() / 1e3
}
