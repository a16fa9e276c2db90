//! The call that is being answered, as far as calls that are made for it need
//! to know: how much time it has left, who its caller is, and its id.
//!
//! It is the task's, not an argument, so that no handler can forget to pass it
//! on. A handler that spawns a task for a part of its work carries it over with
//! [`Incoming::scope`]; a stream of answers is polled outside of it.

use std::future::Future;

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use tokio::time::Instant;

tokio::task_local! {
    static INCOMING: Incoming;
}

/// The call that is being answered. Its token is a secret: its `Debug` shows the deadline alone.
#[derive(Clone)]
pub struct Incoming {
    /// When its time is over.
    pub(crate) deadline: Instant,
    /// The `authorization` header as it came.
    pub(crate) authorization: Option<HeaderValue>,
    /// The `x-request-id` header.
    pub(crate) request_id: Option<HeaderValue>,
}

impl Incoming {
    /// The call with these headers.
    pub(crate) fn of(headers: &HeaderMap, deadline: Instant) -> Self {
        let mut authorization = headers.get(AUTHORIZATION).cloned();
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        }
        Self { deadline, authorization, request_id: headers.get("x-request-id").cloned() }
    }

    /// The call that this task answers; `None` where it answers none.
    #[must_use]
    pub fn current() -> Option<Self> {
        INCOMING.try_with(Clone::clone).ok()
    }

    /// Puts its id, and its token where calls are made for its caller, into the
    /// headers of a call that is made for it. What stands there already stays.
    pub(crate) fn pass_on(&self, headers: &mut HeaderMap, on_behalf: bool) {
        if let Some(id) = &self.request_id {
            headers.entry("x-request-id").or_insert_with(|| id.clone());
        }
        if let Some(authorization) = self.authorization.as_ref().filter(|_| on_behalf) {
            headers.entry(AUTHORIZATION).or_insert_with(|| authorization.clone());
        }
    }

    /// `work`, as a part of this call.
    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        INCOMING.scope(self, work)
    }
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
