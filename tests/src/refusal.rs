//! What a client learns from a refused call.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// A refusal, with the details that every error of the system carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The gRPC status code.
    pub code: Code,
    /// `google.rpc.ErrorInfo.reason`.
    pub reason: String,
    /// The sentence for people.
    pub message: String,
    /// Fields and descriptions of `google.rpc.BadRequest`.
    pub violations: Vec<(String, String)>,
    /// `google.rpc.RetryInfo`.
    pub retry_after: Option<Duration>,
    /// What would lift it: the metadata `step_up` of the `ErrorInfo`.
    pub step_up: Option<String>,
}

/// The refusal that a call met.
///
/// # Panics
/// The call was answered, or the refusal has no `ErrorInfo` of our domain, or it
/// has the text of a database or a source file in it.
#[track_caller]
pub fn refusal<T>(result: Result<T, Status>) -> Refusal {
    let Err(status) = result else { panic!("the call was answered") };
    let details = status.get_error_details();
    let info = details.error_info();
    let info = info.unwrap_or_else(|| panic!("{status:?} has no ErrorInfo"));
    assert_eq!(info.domain, "countersign.dev", "{status:?}");
    let said = status.message().to_lowercase();
    for leak in ["sqlite", "sqlx", "select ", "constraint", ".rs:", "panicked"] {
        assert!(!said.contains(leak), "{said:?} tells a client of {leak:?}");
    }
    let violations = details.bad_request().map(|bad| bad.field_violations.as_slice());
    let violations = violations.unwrap_or_default().iter();
    Refusal {
        code: status.code(),
        reason: info.reason.clone(),
        message: status.message().to_owned(),
        violations: violations.map(|v| (v.field.clone(), v.description.clone())).collect(),
        retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
        step_up: info.metadata.get("step_up").cloned(),
    }
}

impl Refusal {
    /// Asserts the code and the reason.
    ///
    /// # Panics
    /// They are others.
    #[track_caller]
    pub fn is(self, code: Code, reason: &str) -> Self {
        assert_eq!((self.code, self.reason.as_str()), (code, reason), "{self:?}");
        self
    }

    /// The names of the fields that break a rule, sorted, each once.
    #[must_use]
    pub fn fields(&self) -> Vec<&str> {
        let mut fields: Vec<_> = self.violations.iter().map(|(field, _)| field.as_str()).collect();
        fields.sort_unstable();
        fields.dedup();
        fields
    }
}
