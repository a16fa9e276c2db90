//! The messages of a call that streams them, checked one by one.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use countersign_types::{Code, Fault, UserId, Validate};
use futures::{FutureExt, Stream, future::BoxFuture};
use tonic::{Status, Streaming};

use crate::{Hold, enter::named_id, status};

/// The messages that a client streams. Each one is valid by the rules of the
/// contract and names no other resource than the call was permitted for.
///
/// The first that does not pass ends the call with what is wrong with it, and
/// so does the end of the caller's session. A handler hears of it here, to leave
/// what it was about; the client hears of it whatever the handler answers.
pub struct Messages<M> {
    first: Option<M>,
    /// None when the end was told.
    rest: Option<Streaming<M>>,
    about: Option<About<M>>,
    hold: Hold,
    ended: BoxFuture<'static, Status>,
    /// How many were read.
    count: u64,
}

/// The resource of a call, and how a message names its own.
pub(crate) struct About<M> {
    pub(crate) read: for<'a> fn(&'a M) -> &'a str,
    pub(crate) id: String,
    pub(crate) caller: UserId,
}

impl<M: Validate> Messages<M> {
    pub(crate) fn new(messages: Streaming<M>, hold: Hold) -> Self {
        let ended = hold.ended();
        Self { first: None, rest: Some(messages), about: None, hold, ended, count: 0 }
    }

    /// The next message; `None` when the client has sent its last.
    ///
    /// # Errors
    /// Why the call has ended: a message that is not valid or names another
    /// resource, a session that is over, a client that has gone.
    pub async fn message(&mut self) -> Result<Option<M>, Fault> {
        poll_fn(|cx| self.poll_message(cx)).await.transpose()
    }

    /// The same messages, beginning with `first`, which was read from them, and
    /// about nothing else than it.
    pub(crate) fn about(mut self, first: M, about: About<M>) -> Self {
        self.first = Some(first);
        self.about = Some(about);
        self
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<M, Fault>>> {
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        if let Some(end) = self.hold.end() {
            return self.finish(end);
        }
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let Poll::Ready(next) = Pin::new(rest).poll_next(cx) else {
            let end = ready!(self.ended.poll_unpin(cx));
            return self.finish(end);
        };
        match next {
            None => {
                self.rest = None;
                Poll::Ready(None)
            }
            Some(Err(end)) => self.finish(end),
            Some(Ok(message)) => {
                self.count += 1;
                match self.check(&message) {
                    Ok(()) => Poll::Ready(Some(Ok(message))),
                    Err(fault) => self.refuse(fault),
                }
            }
        }
    }

    fn check(&self, message: &M) -> Result<(), Fault> {
        let violations = message.validate();
        if !violations.is_empty() {
            return Err(Fault::invalid(violations));
        }
        let Some(about) = &self.about else { return Ok(()) };
        let named = (about.read)(message);
        // One that names nothing is about what the first is about.
        if named.is_empty() || named_id(named, about.caller) == about.id {
            return Ok(());
        }
        Err(Fault::new(
            Code::PermissionDenied,
            "RESOURCE_CHANGED",
            "a stream is about the resource that its first message names",
        ))
    }

    fn refuse(&mut self, fault: Fault) -> Poll<Option<Result<M, Fault>>> {
        let fault = fault.with("message", self.count.to_string());
        self.rest = None;
        self.hold.finish(status(fault.clone()));
        Poll::Ready(Some(Err(fault)))
    }

    fn finish(&mut self, end: Status) -> Poll<Option<Result<M, Fault>>> {
        self.rest = None;
        let fault = ended(&end);
        self.hold.finish(end);
        Poll::Ready(Some(Err(fault)))
    }
}

impl<M> Unpin for Messages<M> {}

impl<M: Validate> Stream for Messages<M> {
    type Item = Result<M, Fault>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_message(cx)
    }
}

/// What a handler hears of an end that was not its doing. The client gets the
/// status itself.
fn ended(end: &Status) -> Fault {
    let (code, reason) = match end.code() {
        tonic::Code::Unauthenticated => (Code::Unauthenticated, "CALLER_GONE"),
        tonic::Code::InvalidArgument => (Code::InvalidArgument, "MESSAGE_INVALID"),
        _ => (Code::Unavailable, "STREAM_BROKEN"),
    };
    Fault::new(code, reason, "the call has ended before its last message")
}
