//! The Connect protocol (<https://connectrpc.com/docs/protocol>), as far as it is
//! unary and JSON: what its requests may say, and how it tells errors.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use countersign_types::{Code as Outcome, Fault};
use http::{HeaderMap, HeaderValue, Response};
use prost::Message as _;
use serde_json::{Value, json};
use tonic::{Code, Status, body::Body};

use crate::{
    refusal::{http_status, with_advice},
    reply::json_answer,
};

const VERSION: &str = "connect-protocol-version";
const TIMEOUT: &str = "connect-timeout-ms";
/// Digits of a timeout.
const TIMEOUT_DIGITS: usize = 10;
/// Digits of a timeout of gRPC.
const GRPC_DIGITS: u64 = 99_999_999;

/// Reads the headers of a request; the time that the call may take, as gRPC says it.
///
/// # Errors
/// Another version than 1, or a time that is none.
pub(crate) fn timeout(headers: &HeaderMap) -> Result<Option<HeaderValue>, Fault> {
    if headers.get(VERSION).is_some_and(|version| version != "1") {
        let message = "connect-protocol-version must be 1";
        return Err(Fault::new(Outcome::InvalidArgument, "CONNECT_VERSION", message));
    }
    let Some(value) = headers.get(TIMEOUT) else { return Ok(None) };
    let digits = value.to_str().ok().filter(|text| {
        (1..=TIMEOUT_DIGITS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    });
    let message = "connect-timeout-ms must be up to 10 digits";
    let malformed = || Fault::new(Outcome::InvalidArgument, "MALFORMED_TIMEOUT", message);
    let millis: u64 = digits.and_then(|text| text.parse().ok()).ok_or_else(malformed)?;
    let text = if millis <= GRPC_DIGITS {
        format!("{millis}m")
    } else {
        format!("{}S", Duration::from_millis(millis).as_secs())
    };
    Ok(HeaderValue::try_from(text).ok())
}

/// The error as an answer.
pub(crate) fn refusal(status: &Status) -> Response<Body> {
    with_advice(json_answer(http_status(status, false), &error(status)), status)
}

fn error(status: &Status) -> Value {
    let details = tonic_types::pb::Status::decode(status.details()).unwrap_or_default().details;
    let details = details.into_iter().map(|detail| {
        let name = detail.type_url.rsplit('/').next().unwrap_or_default();
        json!({"type": name, "value": STANDARD_NO_PAD.encode(&detail.value)})
    });
    json!({
        "code": name(status.code()),
        "message": status.message(),
        "details": details.collect::<Vec<_>>(),
    })
}

const fn name(code: Code) -> &'static str {
    match code {
        Code::Cancelled => "canceled",
        Code::Ok | Code::Unknown => "unknown",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}
