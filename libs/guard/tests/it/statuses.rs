//! The table from faults to statuses.

use std::time::Duration;

use countersign_guard::{ERROR_DOMAIN, status};
use countersign_types::{Code, Fault, Violation};
use proptest::prelude::*;
use tonic_types::StatusExt;

/// What a header of a narrow client has to hold: some take 8 KiB of headers in all.
const NARROW: usize = 7 * 1024;

#[test]
fn every_code_has_its_counterpart() {
    for (code, number) in [
        (Code::InvalidArgument, 3),
        (Code::DeadlineExceeded, 4),
        (Code::NotFound, 5),
        (Code::AlreadyExists, 6),
        (Code::PermissionDenied, 7),
        (Code::ResourceExhausted, 8),
        (Code::FailedPrecondition, 9),
        (Code::Aborted, 10),
        (Code::Unimplemented, 12),
        (Code::Internal, 13),
        (Code::Unavailable, 14),
        (Code::Unauthenticated, 16),
    ] {
        assert_eq!(i32::from(status(Fault::new(code, "R", "m")).code()), number);
    }
}

#[test]
fn a_status_carries_what_the_fault_knows() {
    let fault = Fault::new(Code::ResourceExhausted, "TOO_MANY_LOGINS", "too many logins")
        .retry_after(Duration::from_millis(1500))
        .with("limit", "10");
    let status = status(fault);
    assert_eq!(status.message(), "too many logins");
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("TOO_MANY_LOGINS", ERROR_DOMAIN));
    assert_eq!(info.metadata["limit"], "10");
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_millis(1500)));
    assert!(details.bad_request().is_none());
}

#[test]
fn broken_rules_become_field_violations() {
    let violation = Violation::new("profile.bio", "string.max_bytes", "must be shorter");
    let details = status(Fault::invalid(vec![violation])).get_error_details();
    let violations = &details.bad_request().unwrap().field_violations;
    assert_eq!(violations[0].field, "profile.bio");
    assert_eq!(violations[0].description, "must be shorter");
    assert_eq!(violations[0].reason, "STRING_MAX_BYTES");
    assert!(details.error_info().unwrap().metadata.is_empty());
}

#[test]
fn a_fault_of_ours_says_nothing() {
    let status = status(Fault::internal());
    assert_eq!(status.message(), "an internal error occurred");
    assert_eq!(status.get_details_error_info().unwrap().reason, "INTERNAL");
}

proptest! {
    #[test]
    fn a_status_fits_into_a_header_whatever_a_client_sent(
        count in 1..200_usize,
        field in "\\PC{0,4000}",
        description in "\\PC{0,2000}",
        value in "\\PC{0,2000}",
    ) {
        let violation = Violation::new(field, "map.keys", description);
        let status = status(Fault::invalid(vec![violation; count]).with("key", value));
        let mut headers = http::HeaderMap::new();
        status.add_header(&mut headers).unwrap();
        let octets: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        prop_assert!(octets <= NARROW, "{}", octets);
        let details = status.get_error_details();
        let named = details.bad_request().unwrap().field_violations.len();
        let metadata = &details.error_info().unwrap().metadata;
        prop_assert!(named >= count.min(7));
        let all = metadata.get("violations").cloned();
        prop_assert_eq!(all, (named < count).then(|| count.to_string()));
    }
}
