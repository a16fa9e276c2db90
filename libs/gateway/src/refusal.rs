//! Errors as HTTP tells them: `google.rpc.Status` as JSON, under the status that
//! `google.rpc.Code` names for each code.

use std::time::Duration;

use http::{
    HeaderValue, Response, StatusCode,
    header::{RETRY_AFTER, WWW_AUTHENTICATE},
};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use prost_types::FileDescriptorSet;
use serde_json::{Value, json};
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt;

use crate::{Error, reply::json_answer};

/// Reasons for which HTTP has a status that says more than that of the code.
const SPECIAL: [(&str, StatusCode); 8] = [
    ("METHOD_NOT_ALLOWED", StatusCode::METHOD_NOT_ALLOWED),
    ("MESSAGE_TOO_LARGE", StatusCode::PAYLOAD_TOO_LARGE),
    ("MESSAGE_TOO_SLOW", StatusCode::REQUEST_TIMEOUT),
    ("HEADERS_TOO_LARGE", StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
    ("UNSUPPORTED_MEDIA_TYPE", StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ("UNSUPPORTED_ENCODING", StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ("GRPC_NEEDS_HTTP_2", StatusCode::HTTP_VERSION_NOT_SUPPORTED),
    ("ROUTE_UNKNOWN", StatusCode::NOT_FOUND),
];

/// Knows the messages that the details of an error are.
#[derive(Debug)]
pub(crate) struct Refusals {
    status: MessageDescriptor,
}

impl Refusals {
    pub(crate) fn new() -> Result<Self, Error> {
        let wrong = |error: String| Error::Descriptors(error);
        let set = FileDescriptorSet::decode(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .map_err(|error| wrong(error.to_string()))?;
        // The well-known types are there already.
        let mut pool = DescriptorPool::global();
        let files = set.file.into_iter().filter(|file| file.package() == "google.rpc");
        pool.add_file_descriptor_protos(files).map_err(|error| wrong(error.to_string()))?;
        let status = pool.get_message_by_name("google.rpc.Status");
        status.map(|status| Self { status }).ok_or_else(|| wrong("no google.rpc.Status".to_owned()))
    }

    /// The error as JSON.
    pub(crate) fn json(&self, status: &Status) -> Value {
        let mut details: Vec<Value> = Vec::new();
        if let Ok(message) = DynamicMessage::decode(self.status.clone(), status.details())
            && let Some(list) = message.get_field_by_name("details")
        {
            let known = list.as_list().into_iter().flatten().filter_map(|detail| {
                // What nobody here can read, nobody there would see the use of.
                serde_json::to_value(detail.as_message()?).ok()
            });
            details.extend(known);
        }
        json!({"code": i32::from(status.code()), "message": status.message(), "details": details})
    }

    /// The error as an answer.
    pub(crate) fn answer(&self, status: &Status, had_if_match: bool) -> Response<Body> {
        let http = http_status(status, had_if_match);
        with_advice(json_answer(http, &self.json(status)), status)
    }
}

/// Says when to come back, and with what.
pub(crate) fn with_advice(mut answer: Response<Body>, status: &Status) -> Response<Body> {
    let headers = answer.headers_mut();
    if let Some(delay) = status.get_details_retry_info().and_then(|info| info.retry_delay) {
        headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(delay)));
    }
    if status.code() == Code::Unauthenticated {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}

/// Rounded up: who comes back a moment too early is refused again.
fn whole_seconds(delay: Duration) -> u64 {
    delay.as_secs() + u64::from(delay.subsec_nanos() > 0)
}

/// The status of HTTP that says what a status of gRPC says.
pub(crate) fn http_status(status: &Status, had_if_match: bool) -> StatusCode {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    if let Some((_, special)) = SPECIAL.iter().find(|(known, _)| *known == reason) {
        return *special;
    }
    // RFC 9110, section 13.1.1.
    if had_if_match && status.code() == Code::Aborted {
        return StatusCode::PRECONDITION_FAILED;
    }
    http_code(status.code())
}

/// The table of google/rpc/code.proto, which is that of Connect as well.
fn http_code(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        // "Client closed request"; it has no name of its own.
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => {
            StatusCode::BAD_REQUEST
        }
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
