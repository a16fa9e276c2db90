//! What keeps a call that streams open, and ends it: the token has to hold from
//! its first message to its last, not only when it begins.
//!
//! A stream ends by itself as soon as its caller would not be let in any more:
//! the session was revoked, the token expires, its key is gone, or the guard
//! can no longer learn what is revoked. It also ends, whatever its handler
//! makes of it, with the first of its messages that may not pass.

use std::{future::Future, sync::Arc, time::Duration};

use countersign_types::Fault;
use futures::{Stream, future::BoxFuture};
use tokio::{sync::watch, time::sleep};
use tonic::{Request, Status, codegen::BoxStream};

use crate::{
    answers::Answers,
    enter::unguarded,
    guard::{Admission, Core},
    principal::Principal,
    revocation::Wake,
    status,
};

/// How often an open stream looks for what it is not woken by: a clock that was
/// set, a key that is gone, news of revocations that no longer come.
const LOOK: Duration = Duration::from_secs(1);

/// The hold that a guard keeps on a call that streams. Clones are the same.
#[derive(Clone)]
pub struct Hold(Arc<Inner>);

struct Inner {
    /// None where anybody may call.
    tie: Option<Tie>,
    /// With what it has ended.
    end: watch::Sender<Option<Status>>,
}

/// What binds a stream to its caller's token.
struct Tie {
    core: Arc<Core>,
    principal: Arc<Principal>,
    max_staleness: Option<Duration>,
    wake: Wake,
}

impl Hold {
    /// The hold on a call that its guard has admitted.
    ///
    /// # Errors
    /// INTERNAL for a service that is not behind a guard.
    pub fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let Some(admission) = request.extensions().get::<Admission>() else {
            return Err(unguarded());
        };
        let core = &admission.guard.core;
        let tie = admission.principal.as_ref().map(|principal| Tie {
            core: Arc::clone(core),
            principal: Arc::clone(principal),
            max_staleness: admission.rule.max_staleness,
            wake: core.revocations.wait_for(&principal.claims),
        });
        Ok(Self(Arc::new(Inner { tie, end: watch::Sender::new(None) })))
    }

    /// The answer of a handler, unless the call ends before.
    ///
    /// # Errors
    /// The handler's; or that with which the call ended, whatever the handler
    /// has made of it.
    pub async fn answer<T, E: Into<Fault>>(
        &self,
        handler: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Status> {
        let answer = tokio::select! {
            biased;
            end = self.ended() => return Err(end),
            answer = handler => answer,
        };
        match self.end() {
            Some(end) => Err(end),
            None => answer.map_err(|error| status(error.into())),
        }
    }

    /// What a handler answers, message by message, until the call ends.
    pub fn stream<S, T, E>(&self, answers: S) -> BoxStream<T>
    where
        S: Stream<Item = Result<T, E>> + Send + 'static,
        T: 'static,
        E: Into<Fault> + 'static,
    {
        Box::pin(Answers::new(self.clone(), answers))
    }

    /// Ends the call, which has not ended before.
    pub(crate) fn finish(&self, end: Status) {
        self.0.end.send_if_modified(|held| {
            let first = held.is_none();
            if first {
                *held = Some(end);
            }
            first
        });
    }

    /// With what the call has ended, if it has: as of now.
    pub(crate) fn end(&self) -> Option<Status> {
        if let Some(end) = self.0.end.borrow().clone() {
            return Some(end);
        }
        let tie = self.0.tie.as_ref()?;
        let fault = tie.core.still_admits(&tie.principal, tie.max_staleness).err()?;
        self.finish(status(fault));
        self.0.end.borrow().clone()
    }

    /// Waits for the end.
    pub(crate) fn ended(&self) -> BoxFuture<'static, Status> {
        let hold = self.clone();
        Box::pin(async move {
            let mut finished = hold.0.end.subscribe();
            let mut ear = hold.0.tie.as_ref().map(|tie| tie.wake.listen());
            loop {
                if let Some(end) = hold.end() {
                    return end;
                }
                let heard = async {
                    match (&mut ear, &hold.0.tie) {
                        (Some(ear), Some(tie)) => tokio::select! {
                            () = ear.heard() => {}
                            () = sleep(tie.next_look()) => {}
                        },
                        _ => std::future::pending().await,
                    }
                };
                tokio::select! {
                    // Its sender is the hold's own.
                    _ = finished.changed() => {}
                    () = heard => {}
                }
            }
        })
    }
}

impl Tie {
    fn next_look(&self) -> Duration {
        self.core.tokens.remaining(&self.principal, self.core.clock.now()).min(LOOK)
    }
}
