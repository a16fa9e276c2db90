//! What goes wrong, in the words that a client may hear.
//!
//! A crate's own error enum says what happened; it becomes a [`Fault`] at the
//! edge, and the guard turns every fault into a gRPC status in one table. A
//! fault never carries a secret, a personal datum or the text of a database.

use std::{borrow::Cow, time::Duration};

/// The closed set of outcomes, named after the canonical gRPC status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request breaks a rule of the contract.
    InvalidArgument,
    /// No token, or one that does not hold.
    Unauthenticated,
    /// The caller is known and may not do this.
    PermissionDenied,
    /// The thing asked for does not exist.
    NotFound,
    /// The thing to be made exists.
    AlreadyExists,
    /// Somebody else changed the thing first: read it again.
    Aborted,
    /// The system is not in the state that the call needs.
    FailedPrecondition,
    /// A limit is reached: come back later.
    ResourceExhausted,
    /// A part that the call needs is away: try again.
    Unavailable,
    /// The time that the caller gave is over.
    DeadlineExceeded,
    /// The method is not part of the contract.
    Unimplemented,
    /// What was stored is lost or damaged, this and nothing else.
    DataLoss,
    /// A fault of ours; the log knows more than the client.
    Internal,
}

/// One broken rule of input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field in the contract's names, such as `profile.display_name`.
    pub field: String,
    /// Id of the rule, such as `string.min_len`.
    pub rule: Cow<'static, str>,
    /// What the rule asks for, for a person.
    pub description: Cow<'static, str>,
}

impl Violation {
    /// A broken rule at a field.
    pub fn new(
        field: impl Into<String>,
        rule: impl Into<Cow<'static, str>>,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { field: field.into(), rule: rule.into(), description: description.into() }
    }
}

/// An error as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Fault {
    /// What kind of outcome it is.
    pub code: Code,
    /// A stable name for programs, `UPPER_SNAKE_CASE` (`google.rpc.ErrorInfo.reason`).
    pub reason: &'static str,
    /// A sentence for people: lower case, no full stop, nothing secret.
    pub message: Cow<'static, str>,
    /// The broken rules, for [`Code::InvalidArgument`] (`google.rpc.BadRequest`).
    pub violations: Vec<Violation>,
    /// After which time trying again makes sense (`google.rpc.RetryInfo`).
    pub retry_after: Option<Duration>,
    /// Further facts for programs (`google.rpc.ErrorInfo.metadata`).
    pub metadata: Vec<(&'static str, String)>,
}

impl Fault {
    /// A fault with nothing beside its code, reason and message.
    pub fn new(code: Code, reason: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            violations: Vec::new(),
            retry_after: None,
            metadata: Vec::new(),
        }
    }

    /// All broken rules of one request.
    #[must_use]
    pub fn invalid(violations: Vec<Violation>) -> Self {
        let message = match violations.as_slice() {
            [only] => format!("{}: {}", only.field, only.description),
            [first, rest @ ..] => {
                format!("{}: {}, and {} more", first.field, first.description, rest.len())
            }
            [] => "the request is not valid".to_owned(),
        };
        Self { violations, ..Self::new(Code::InvalidArgument, "INVALID_ARGUMENT", message) }
    }

    /// A fault of ours, of which the client learns nothing but that.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(Code::Internal, "INTERNAL", "an internal error occurred")
    }

    /// The same fault, worth another try after `span`.
    #[must_use]
    pub fn retry_after(mut self, span: Duration) -> Self {
        self.retry_after = Some(span);
        self
    }

    /// The same fault with one more fact for programs.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.metadata.push((key, value.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_the_first_broken_rule_and_counts_the_rest() {
        let rule = |field: &str| Violation::new(field, "string.min_len", "must not be empty");
        assert_eq!(Fault::invalid(vec![rule("email")]).message, "email: must not be empty");
        let two = Fault::invalid(vec![rule("email"), rule("password")]);
        assert_eq!(two.message, "email: must not be empty, and 1 more");
    }
}
