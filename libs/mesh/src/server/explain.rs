//! Gives every error that leaves the server a reason for programs
//! (`google.rpc.ErrorInfo`), and hides the text of those that nobody meant for
//! a client. Errors of our handlers have a reason already; these are tonic's own.

use std::collections::HashMap;

use http::HeaderMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::{
    stage::{Request, Response, Stage},
    tail::Tail,
};

/// Domain of all reasons (`google.rpc.ErrorInfo.domain`).
const DOMAIN: &str = "countersign.dev";
/// What tonic's reader says of a message that it can not read. It says INTERNAL,
/// as gRPC's libraries do, but the one who sent it has to mend it.
const MALFORMED: [&str; 5] = [
    "failed to decode Protobuf message",
    "protocol error: received message with",
    "Unexpected EOF decoding stream",
    "Missing request message",
    "Error decompressing",
];

pub(super) struct Explain<S> {
    next: S,
}

impl<S> Explain<S> {
    pub(super) const fn new(next: S) -> Self {
        Self { next }
    }
}

impl<S: Stage> Stage for Explain<S> {
    async fn handle(&self, request: Request) -> Response {
        let uri = request.uri().clone();
        let mut response = self.next.handle(request).await;
        if response.headers().contains_key(Status::GRPC_STATUS) {
            explain(uri.path(), response.headers_mut());
            return response;
        }
        response.map(|body| Tail::body(body, move |trailers| explain(uri.path(), trailers)))
    }
}

fn explain(method: &str, headers: &mut HeaderMap) {
    if headers.get(Status::GRPC_STATUS).is_none_or(|code| code == "0") {
        return;
    }
    let Some(status) = Status::from_header_map(headers) else { return };
    if status.get_details_error_info().is_some() {
        return;
    }
    let (code, reason, message) = meaning(&status);
    if code == Code::Internal {
        tracing::error!(rpc.method = method, error.message = status.message(), "an error of ours");
    }
    let details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    // Only metadata could be refused, and this status has none.
    let _ = Status::with_error_details(code, message, details).add_header(headers);
}

/// Code, reason and message for the client.
fn meaning(status: &Status) -> (Code, &'static str, String) {
    let said = status.message();
    match status.code() {
        Code::Internal if MALFORMED.iter().any(|text| said.starts_with(text)) => {
            (Code::InvalidArgument, "MALFORMED_MESSAGE", said.to_owned())
        }
        Code::OutOfRange | Code::ResourceExhausted if is_too_large(said) => {
            let message = "the message is larger than the server accepts";
            (Code::ResourceExhausted, "MESSAGE_TOO_LARGE", message.to_owned())
        }
        Code::Unimplemented if said.is_empty() => {
            let message = "the service or method does not exist here";
            (Code::Unimplemented, "UNIMPLEMENTED", message.to_owned())
        }
        Code::Internal | Code::Unknown | Code::DataLoss => {
            (Code::Internal, "INTERNAL", "an internal error occurred".to_owned())
        }
        code => (code, name(code), said.to_owned()),
    }
}

/// gRPC asks for RESOURCE_EXHAUSTED (grpc/doc/statuscodes.md); tonic says
/// OUT_OF_RANGE, or the former when it notices while decompressing.
fn is_too_large(said: &str) -> bool {
    said.starts_with("Error, decoded message length too large")
        || said.starts_with("Error decompressing: size limit")
}

/// The canonical name of a code.
pub(crate) const fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
