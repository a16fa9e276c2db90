//! How an attempt fails before an answer is there. What matters is whether the
//! other side may have heard it.

use std::error::Error as _;

use h2::Reason;
use hyper::client::conn::TrySendError;
use tonic::{Code, Status};

/// An attempt without an answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// It was never sent.
    #[error("the connection had ended before")]
    Unsent,
    /// The server says that it has not looked at it (RFC 9113, sections 6.8 and 8.7).
    #[error("the server turned it away")]
    Unheard,
    /// It was under way; so it was told.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// How long that was, its caller knows.
    #[error("there was no answer in time")]
    TimedOut,
    /// More than is accepted.
    #[error("the answer is too large")]
    TooLarge,
}

impl Failure {
    /// Why a request got no answer.
    pub(super) fn of_request<B>(error: &TrySendError<B>) -> Self {
        // What is given back never left.
        if error.message().is_some() {
            return Self::Unsent;
        }
        let error = error.error();
        let cause = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
        let unheard = |error: &&h2::Error| {
            let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
            // A stream gets this one only where it is beyond the last that was looked at.
            error.is_remote() && (refused || error.is_go_away())
        };
        match cause.filter(unheard) {
            Some(_) => Self::Unheard,
            None => Self::Broken(told(error)),
        }
    }

    /// Whether it speaks against the replica.
    pub(super) const fn is_held_against(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::TimedOut)
    }

    /// What the caller gets where it is not tried again.
    pub(super) fn to_status(&self) -> Status {
        let code = match self {
            Self::Unsent | Self::Unheard | Self::Broken(_) => Code::Unavailable,
            Self::TimedOut => Code::DeadlineExceeded,
            Self::TooLarge => Code::ResourceExhausted,
        };
        Status::new(code, self.to_string())
    }
}

/// The error with its causes.
pub(super) fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
