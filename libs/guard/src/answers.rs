//! The answers of a handler that streams them.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use countersign_types::Fault;
use futures::{FutureExt, Stream, future::BoxFuture};
use tonic::Status;

use crate::{Hold, status};

/// A handler's answers, until the call ends. The handler's stream is dropped
/// with the end, and nothing that it had ready leaves after it.
pub(crate) struct Answers<S> {
    inner: Option<Pin<Box<S>>>,
    hold: Hold,
    ended: BoxFuture<'static, Status>,
}

impl<S> Answers<S> {
    pub(crate) fn new(hold: Hold, answers: S) -> Self {
        let ended = hold.ended();
        Self { inner: Some(Box::pin(answers)), hold, ended }
    }

    fn finish<T>(&mut self, end: Status) -> Poll<Option<Result<T, Status>>> {
        self.inner = None;
        Poll::Ready(Some(Err(end)))
    }
}

impl<S, T, E> Stream for Answers<S>
where
    S: Stream<Item = Result<T, E>>,
    E: Into<Fault>,
{
    type Item = Result<T, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        let answer = inner.as_mut().poll_next(cx);
        // After the handler was asked: what it reads may have ended the call.
        if let Some(end) = this.hold.end() {
            return this.finish(end);
        }
        match answer {
            Poll::Ready(Some(Ok(answer))) => Poll::Ready(Some(Ok(answer))),
            Poll::Ready(Some(Err(error))) => {
                let end = status(error.into());
                this.hold.finish(end.clone());
                this.finish(end)
            }
            Poll::Ready(None) => {
                this.inner = None;
                Poll::Ready(None)
            }
            Poll::Pending => match this.ended.poll_unpin(cx) {
                Poll::Ready(end) => this.finish(end),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}
