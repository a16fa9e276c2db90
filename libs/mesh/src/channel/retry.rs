//! What may be tried again, and when: `docs/retries.md`, as code, and gRFC A6 for
//! what a server says about it.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{keeper::scattered, methods::Method};
use crate::config::ChannelConfig;

/// A server's word on when to come again, in milliseconds (gRFC A6, "Pushback").
const PUSHBACK: &str = "grpc-retry-pushback-ms";
/// Domain of our reasons (`google.rpc.ErrorInfo.domain`).
const DOMAIN: &str = "countersign.dev";

/// Reasons that leave open what was done: a commit may have been heard, or
/// nobody has said more than the code does.
const UNCERTAIN: [&str; 2] = ["STORAGE_UNAVAILABLE", "UNAVAILABLE"];

/// What is done after an answer that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the answer.
    Final,
    /// It is the answer, for the server wants no further attempt.
    NeverAgain,
    /// It is tried again, as soon as the usual pause allows, and not before this time.
    Again(Duration),
    /// It is tried again after exactly this time.
    AgainAfter(Duration),
}

impl Verdict {
    /// On this answer to a call of this method; its status is not OK.
    pub(super) fn of(status: &Status, method: Method) -> Self {
        if !may_repeat(status, method) {
            return Self::Final;
        }
        if let Some(said) = status.metadata().get(PUSHBACK) {
            // Whatever is no number of milliseconds means: not at all.
            let millis = said.to_str().ok().and_then(|said| said.parse().ok());
            return millis.map_or(Self::NeverAgain, |m| Self::AgainAfter(Duration::from_millis(m)));
        }
        Self::Again(retry_delay(status).unwrap_or_default())
    }

    /// The pause before the attempt after so many.
    pub(super) fn pause(self, attempts: u32, config: &ChannelConfig) -> Option<Duration> {
        let doubled =
            config.initial_backoff.saturating_mul(1 << attempts.saturating_sub(1).min(16));
        match self {
            Self::Final | Self::NeverAgain => None,
            Self::AgainAfter(exactly) => Some(exactly),
            Self::Again(least) => Some(scattered(doubled.min(config.max_backoff), 20).max(least)),
        }
    }
}

fn retry_delay(status: &Status) -> Option<Duration> {
    status.get_details_retry_info().and_then(|info| info.retry_delay)
}

fn may_repeat(status: &Status, method: Method) -> bool {
    let info = status.get_details_error_info().filter(|info| info.domain == DOMAIN);
    let reason = info.as_ref().map(|info| info.reason.as_str());
    match (status.code(), reason) {
        // With a reason of ours, nothing was done.
        (Code::Unavailable, Some(reason)) if !UNCERTAIN.contains(&reason) => true,
        (Code::Unavailable, _) => method.idempotent,
        (Code::ResourceExhausted, reason) => {
            retry_delay(status).is_some() && (reason.is_some() || method.idempotent)
        }
        (Code::FailedPrecondition, Some("ACCOUNT_PENDING")) => true,
        (Code::DeadlineExceeded, _) => method.idempotent,
        // So a proxy, or a library on the way, reports a connection that broke.
        (Code::Cancelled | Code::Unknown | Code::Internal, None) => method.idempotent,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic::metadata::MetadataMap;
    use tonic_types::ErrorDetails;

    use super::*;

    const TWICE: Method = Method { unary: true, idempotent: true };
    const ONCE: Method = Method { unary: true, idempotent: false };

    fn with_reason(code: Code, reason: &str, delay: Option<Duration>) -> Status {
        let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
        if delay.is_some() {
            details.set_retry_info(delay);
        }
        Status::with_error_details(code, "", details)
    }

    #[test]
    fn only_what_is_idempotent_is_sent_again_after_it_may_have_been_heard() {
        for status in [
            Status::unavailable(""),
            Status::deadline_exceeded(""),
            Status::cancelled(""),
            Status::unknown(""),
            Status::internal(""),
            with_reason(Code::Unavailable, "STORAGE_UNAVAILABLE", None),
            with_reason(Code::Unavailable, "UNAVAILABLE", None),
        ] {
            assert_eq!(Verdict::of(&status, TWICE), Verdict::Again(Duration::ZERO), "{status}");
            assert_eq!(Verdict::of(&status, ONCE), Verdict::Final, "{status}");
        }
    }

    #[test]
    fn what_was_certainly_not_done_is_sent_again_and_an_answer_never_is() {
        let (second, none) = (Duration::from_secs(1), Duration::ZERO);
        for (status, after) in [
            (with_reason(Code::Unavailable, "SERVER_STOPPING", Some(second)), second),
            (with_reason(Code::ResourceExhausted, "SERVER_BUSY", Some(second)), second),
            (with_reason(Code::FailedPrecondition, "ACCOUNT_PENDING", None), none),
        ] {
            assert_eq!(Verdict::of(&status, ONCE), Verdict::Again(after), "{status}");
        }
        for status in [
            with_reason(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", None),
            with_reason(Code::Internal, "INTERNAL", None),
            with_reason(Code::FailedPrecondition, "ACCOUNT_DISABLED", None),
            Status::invalid_argument(""),
            Status::aborted(""),
            Status::unauthenticated(""),
        ] {
            assert_eq!(Verdict::of(&status, TWICE), Verdict::Final, "{status}");
        }
    }

    #[test]
    fn a_servers_word_on_when_to_come_again_is_kept() {
        for (said, expected) in [
            ("1500", Verdict::AgainAfter(Duration::from_millis(1500))),
            ("-1", Verdict::NeverAgain),
            ("soon", Verdict::NeverAgain),
        ] {
            let mut metadata = MetadataMap::new();
            metadata.insert(PUSHBACK, said.parse().unwrap());
            let status = Status::with_metadata(Code::Unavailable, "", metadata);
            assert_eq!(Verdict::of(&status, TWICE), expected, "{said}");
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let config = ChannelConfig::default();
        let pause =
            |attempts| Verdict::Again(Duration::ZERO).pause(attempts, &config).unwrap().as_millis();
        for (attempts, expected) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1000), (99, 1000)]
        {
            let (least, most) = (expected * 8 / 10, expected * 12 / 10);
            assert!((least..=most).contains(&pause(attempts)), "{attempts}");
        }
    }
}
