//! Work that stops in the middle, as it does when a process dies: at a place
//! that a test can count to.

use std::{future::poll_fn, pin::pin, task::Poll};

/// What became of work that was given so many polls.
#[derive(Debug, PartialEq, Eq)]
pub enum Cut<T> {
    /// It ended before.
    Done(T),
    /// It was dropped where it waited.
    Dropped,
}

/// Polls `work` at most `polls` times and drops it then.
pub async fn drop_after<F: Future>(polls: usize, work: F) -> Cut<F::Output> {
    let mut work = pin!(work);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(Cut::Dropped);
        }
        left -= 1;
        match work.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Cut::Done(output)),
            // The last poll is over: nobody would wake this for another one.
            Poll::Pending if left == 0 => Poll::Ready(Cut::Dropped),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
