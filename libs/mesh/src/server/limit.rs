//! Sheds what is more than the server can work on at a time: a quick refusal now
//! is worth more than a slow answer to everybody.

use std::{sync::Arc, time::Duration};

use countersign_contracts::status;
use countersign_types::{Code, Fault};
use tokio::sync::Semaphore;

use super::{
    stage::{Request, Response, Stage},
    tail::refusal,
};
use crate::health;

/// When a client that was turned away may come again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A call counts until its answer begins. A stream that has begun is bounded by
/// the limits of connections and of streams on each: a client that reads slowly
/// must not take the place of another's call.
pub(super) struct Limit<S> {
    next: S,
    calls: Arc<Semaphore>,
}

impl<S> Limit<S> {
    pub(super) fn new(next: S, calls: u32) -> Self {
        let calls = usize::try_from(calls).unwrap_or(Semaphore::MAX_PERMITS);
        Self { next, calls: Arc::new(Semaphore::new(calls)) }
    }
}

impl<S: Stage> Stage for Limit<S> {
    async fn handle(&self, request: Request) -> Response {
        // A busy server is a healthy one: were its health not answered, it would
        // be restarted, and its calls would fall upon the others.
        if is_health(&request) {
            return self.next.handle(request).await;
        }
        let Ok(_permit) = self.calls.try_acquire() else {
            let busy = Fault::new(Code::ResourceExhausted, "SERVER_BUSY", "the server is busy");
            return refusal(status(busy.retry_after(RETRY_AFTER)));
        };
        self.next.handle(request).await
    }
}

/// Whether it is a call of the health service.
pub(super) fn is_health(request: &Request) -> bool {
    request.uri().path().split('/').nth(1) == Some(health::NAME)
}
