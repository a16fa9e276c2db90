//! The one table from faults to gRPC statuses.
//!
//! Statuses travel in headers, for which clients set narrow limits (some at
//! 8 KiB): whatever a client can make long is cut here.

use std::collections::HashMap;

use countersign_types::{Code, Fault, Violation};
use tonic::Status;
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// The domain of every reason (`google.rpc.ErrorInfo.domain`).
pub const ERROR_DOMAIN: &str = "countersign.dev";

/// Octets of the message of a status; a header may take three for one.
const MESSAGE_MAX: usize = 256;
/// Octets of the path of a field, which can hold a key that the client chose.
const FIELD_MAX: usize = 128;
/// Octets of the description of a broken rule.
const DESCRIPTION_MAX: usize = 256;
/// Octets of all broken rules together.
const VIOLATIONS_MAX: usize = 3072;
/// Octets of a value of the metadata.
const METADATA_MAX: usize = 256;

/// Turns a fault into a status with `google.rpc` details: `ErrorInfo` always,
/// `BadRequest` for broken rules of input (as many as fit; when some do not,
/// the metadata `violations` counts all), `RetryInfo` where trying again makes
/// sense.
#[must_use]
pub fn status(fault: Fault) -> Status {
    let cut_value = |(key, value): (&str, String)| (key.to_owned(), cut(&value, METADATA_MAX));
    let mut metadata: HashMap<_, _> = fault.metadata.into_iter().map(cut_value).collect();
    let violations = field_violations(&fault.violations);
    if violations.len() < fault.violations.len() {
        metadata.insert("violations".to_owned(), fault.violations.len().to_string());
    }

    let mut details = ErrorDetails::new();
    details.set_error_info(fault.reason, ERROR_DOMAIN, metadata);
    if !violations.is_empty() {
        details.set_bad_request(violations);
    }
    if fault.retry_after.is_some() {
        details.set_retry_info(fault.retry_after);
    }
    Status::with_error_details(code(fault.code), cut(&fault.message, MESSAGE_MAX), details)
}

/// As many as fit, from the first on.
fn field_violations(violations: &[Violation]) -> Vec<FieldViolation> {
    let mut room = VIOLATIONS_MAX;
    violations
        .iter()
        .map(field_violation)
        .take_while(|named| {
            let takes = named.field.len() + named.description.len() + named.reason.len();
            let fits = takes <= room;
            room = room.saturating_sub(takes);
            fits
        })
        .collect()
}

const fn code(code: Code) -> tonic::Code {
    match code {
        Code::InvalidArgument => tonic::Code::InvalidArgument,
        Code::Unauthenticated => tonic::Code::Unauthenticated,
        Code::PermissionDenied => tonic::Code::PermissionDenied,
        Code::NotFound => tonic::Code::NotFound,
        Code::AlreadyExists => tonic::Code::AlreadyExists,
        Code::Aborted => tonic::Code::Aborted,
        Code::FailedPrecondition => tonic::Code::FailedPrecondition,
        Code::ResourceExhausted => tonic::Code::ResourceExhausted,
        Code::Unavailable => tonic::Code::Unavailable,
        Code::DeadlineExceeded => tonic::Code::DeadlineExceeded,
        Code::Unimplemented => tonic::Code::Unimplemented,
        Code::DataLoss => tonic::Code::DataLoss,
        Code::Internal => tonic::Code::Internal,
    }
}

/// The reason is the rule's id in the spelling that `google.rpc` asks for.
fn field_violation(violation: &Violation) -> FieldViolation {
    let reason = violation.rule.to_uppercase().replace('.', "_");
    FieldViolation {
        field: cut(&violation.field, FIELD_MAX),
        description: cut(&violation.description, DESCRIPTION_MAX),
        reason,
        ..FieldViolation::default()
    }
}

/// At most `max` octets, cut between characters.
fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", text.get(..end).unwrap_or_default())
}
