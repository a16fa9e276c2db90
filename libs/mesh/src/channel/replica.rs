//! One replica, as the balancer sees it: ready while it is connected, healthy
//! and not taken out.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use futures::{future::BoxFuture, task::AtomicWaker};
use http::Uri;
use tokio::{sync::Notify, time::timeout_at};
use tonic::Code;

use super::{
    address::Address,
    connector::Link,
    exchange::{self, Answer, Outgoing},
    failure::Failure,
};
use crate::server::Tail;

/// Strikes that count; more would take long to be forgotten.
const MAX_STRIKES: usize = 64;

/// A replica to send calls to.
pub(super) struct Replica {
    state: Arc<State>,
    origin: Uri,
}

/// What is known of a replica. Its keeper, the sweep for outliers and its calls
/// write it.
pub(super) struct State {
    pub address: Address,
    link: Mutex<Option<(u64, Link)>>,
    healthy: AtomicBool,
    ejected: AtomicBool,
    /// Why it could not be connected to, the last time.
    trouble: Mutex<Option<String>>,
    waker: AtomicWaker,
    /// Told when a call has found that the connection takes no more.
    pub lost: Notify,
    good: AtomicU32,
    bad: AtomicU32,
    open: AtomicUsize,
    /// Calls that ended badly in a row; halved in each interval, so that it is tried again.
    strikes: AtomicUsize,
}

/// An open call; it counts until it is dropped.
struct Open(Arc<State>);

impl State {
    pub(super) fn new(address: Address) -> Self {
        Self {
            address,
            link: Mutex::default(),
            healthy: AtomicBool::new(false),
            ejected: AtomicBool::new(false),
            trouble: Mutex::default(),
            waker: AtomicWaker::new(),
            lost: Notify::new(),
            good: AtomicU32::new(0),
            bad: AtomicU32::new(0),
            open: AtomicUsize::new(0),
            strikes: AtomicUsize::new(0),
        }
    }

    pub(super) fn is_available(&self) -> bool {
        !self.ejected.load(Ordering::Acquire)
            && self.healthy.load(Ordering::Acquire)
            && self.link().is_some()
    }

    /// Calls go over this connection from now on; the one before ends when its
    /// calls have.
    pub(super) fn connected(&self, number: u64, link: Link) {
        *self.link() = Some((number, link));
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.waker.wake();
    }

    /// There is no connection, for this reason.
    pub(super) fn unreachable(&self, reason: String) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    /// Why it cannot be connected to, where it cannot.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The connection of this number takes no more calls. Says whether calls went
    /// over it until now.
    pub(super) fn disconnected(&self, number: u64) -> bool {
        let mut link = self.link();
        let current = link.as_ref().is_some_and(|(current, _)| *current == number);
        if current {
            *link = None;
        }
        current
    }

    /// Nobody keeps it any more.
    pub(super) fn left(&self) {
        *self.link() = None;
    }

    pub(super) fn set_healthy(&self, healthy: bool) {
        self.healthy.store(healthy, Ordering::Release);
        self.waker.wake();
    }

    pub(super) fn set_ejected(&self, ejected: bool) {
        self.ejected.store(ejected, Ordering::Release);
        self.waker.wake();
    }

    #[cfg(test)]
    pub(super) fn is_ejected(&self) -> bool {
        self.ejected.load(Ordering::Acquire)
    }

    /// How busy it is.
    pub(super) fn load(&self) -> usize {
        self.open.load(Ordering::Relaxed) + self.strikes.load(Ordering::Relaxed)
    }

    /// How many calls ended well and badly in the interval that ends now.
    pub(super) fn take_counts(&self) -> (u32, u32) {
        self.change_strikes(|strikes| strikes / 2);
        (self.good.swap(0, Ordering::Relaxed), self.bad.swap(0, Ordering::Relaxed))
    }

    /// A call ended, badly or well.
    pub(super) fn count(&self, bad: bool) {
        let counter = if bad { &self.bad } else { &self.good };
        counter.fetch_add(1, Ordering::Relaxed);
        self.change_strikes(|strikes| if bad { (strikes + 1).min(MAX_STRIKES) } else { 0 });
    }

    fn change_strikes(&self, to: impl Fn(usize) -> usize) {
        let changed = |strikes| Some(to(strikes));
        // It always changes.
        let _ = self.strikes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed);
    }

    fn link(&self) -> MutexGuard<'_, Option<(u64, Link)>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call(self: Arc<Self>, mut outgoing: Outgoing, origin: Uri) -> Result<Answer, Failure> {
        let Some((number, mut link)) = self.link().clone() else { return Err(Failure::Unsent) };
        let end = outgoing.begin();
        let exchange = outgoing.over(&mut link.sender, &origin);
        let answer = match end {
            Some(end) => timeout_at(end, exchange).await.unwrap_or(Err(Failure::TimedOut)),
            None => exchange.await,
        };
        match answer {
            Err(Failure::Unsent) => {
                if self.disconnected(number) {
                    self.lost.notify_one();
                }
                Err(Failure::Unsent)
            }
            Err(failure) => {
                if failure.is_held_against() {
                    self.count(true);
                }
                Err(failure)
            }
            Ok(mut answer) => {
                match answer.code {
                    Some(code) => self.count(is_held_against(code)),
                    None => {
                        answer.response = answer.response.map(|body| {
                            Tail::body(body, move |trailers| {
                                self.count(is_held_against(exchange::code(trailers)));
                            })
                        });
                    }
                }
                Ok(answer)
            }
        }
    }
}

/// Whether an answer speaks against the replica. A client's mistake does not, and
/// RESOURCE_EXHAUSTED does not either: to take a busy replica out would make the
/// others busier.
pub(super) const fn is_held_against(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Unknown
            | Code::Internal
            | Code::DataLoss
    )
}

impl Open {
    fn new(state: Arc<State>) -> Self {
        state.open.fetch_add(1, Ordering::Relaxed);
        Self(state)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Replica {
    pub(super) const fn new(state: Arc<State>, origin: Uri) -> Self {
        Self { state, origin }
    }
}

impl tower::Service<Outgoing> for Replica {
    type Response = Answer;
    type Error = Failure;
    type Future = BoxFuture<'static, Result<Answer, Failure>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        // First to be told, then to look: a change in between is not missed.
        self.state.waker.register(cx.waker());
        if self.state.is_available() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn call(&mut self, outgoing: Outgoing) -> Self::Future {
        let open = Open::new(Arc::clone(&self.state));
        let call = Arc::clone(&self.state).call(outgoing, self.origin.clone());
        Box::pin(async move {
            let _open = open;
            call.await
        })
    }
}
