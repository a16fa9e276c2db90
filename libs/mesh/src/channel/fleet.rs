//! All replicas of a target: gives a call to the less busy one of two that are
//! drawn from those that are available (tower's balancer).

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures::future::{BoxFuture, poll_fn};
use tokio::{
    sync::{Mutex as Row, Notify, mpsc},
    time::{Instant, timeout_at},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::{BoxError, Service, balance::p2c::Balance};

use super::{
    Target,
    connector::Connector,
    exchange::{Answer, Outgoing},
    failure::Failure,
    keeper::Keeping,
    meter::Meter,
    outliers::Outliers,
    resolver::{News, Registry, Resolver},
};
use crate::{Error, config::ChannelConfig};

/// Changes that the balancer has not looked at yet; whoever finds them waits.
const MAX_NEWS: usize = 16;

/// The replicas of a target.
pub(super) struct Fleet {
    name: String,
    /// Held for moments, and never over an await.
    balance: Mutex<Balancer>,
    /// Who found no replica; one of them at a time is told when there is one.
    row: Row<()>,
    /// How many stand in the row.
    waiting: AtomicUsize,
    registry: Registry,
    ready_timeout: Duration,
    pub(super) meter: Arc<Meter>,
    _end: DropGuard,
}

type Balancer = Balance<ReceiverStream<News>, Outgoing>;

/// Somebody in the row, until it is dropped.
struct Standing<'a>(&'a AtomicUsize);

/// An attempt under way.
pub(super) type Attempt = BoxFuture<'static, Result<Answer, Failure>>;

impl Fleet {
    /// Begins to find replicas and to connect to them.
    pub(super) fn start(target: Target, config: &ChannelConfig) -> Result<Self, Error> {
        let name = target.name().to_owned();
        let meter = Arc::new(Meter::new(&name));
        let keeping = Arc::new(Keeping {
            connector: Connector::new(config, &target)?,
            max_age: config.max_connection_age,
            health_service: config.health_service.clone(),
            trouble: Notify::new(),
        });
        let (news, heard) = mpsc::channel(MAX_NEWS);
        let resolver = Resolver::new(target, config, keeping, news);
        let registry = resolver.registry.clone();
        let outliers = Outliers::new(&config.outliers, registry.clone(), Arc::clone(&meter));
        let end = CancellationToken::new();
        tokio::spawn(end.clone().run_until_cancelled_owned(resolver.run()));
        tokio::spawn(end.clone().run_until_cancelled_owned(outliers.run()));
        Ok(Self {
            name,
            balance: Mutex::new(Balance::new(ReceiverStream::new(heard))),
            row: Row::default(),
            waiting: AtomicUsize::new(0),
            registry,
            ready_timeout: config.ready_timeout,
            meter,
            _end: end.drop_guard(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How many replicas take calls now.
    pub(super) fn available(&self) -> usize {
        self.registry.all().iter().filter(|replica| replica.is_available()).count()
    }

    /// Why one of them cannot be connected to, where one cannot.
    pub(super) fn trouble(&self) -> Option<String> {
        self.registry.all().iter().find_map(|replica| replica.trouble())
    }

    /// Gives a call to a replica; `None` where none takes it in time.
    pub(super) async fn give(&self, outgoing: Outgoing) -> Option<Attempt> {
        let deadline = outgoing.deadline;
        let mut outgoing = Some(outgoing);
        if let Poll::Ready(attempt) = self.at_once(&mut outgoing) {
            return attempt;
        }
        let patience = Instant::now() + self.ready_timeout;
        let until = deadline.map_or(patience, |deadline| deadline.min(patience));
        let standing = Standing::of(&self.waiting);
        // Who waits here waits in a row, and leaves it when its time is over.
        let given = timeout_at(until, async {
            let _first = self.row.lock().await;
            poll_fn(|cx| poll_give(&mut self.balance(), &mut outgoing, cx)).await
        });
        let attempt = given.await.ok()?;
        drop(standing);
        attempt
    }

    /// The usual case: nobody waits, and there is a replica. A row of its own for
    /// every call would cost each a turn of the scheduler.
    fn at_once(&self, outgoing: &mut Option<Outgoing>) -> Poll<Option<Attempt>> {
        let mut balance = self.balance();
        // The balancer tells the last who asked: nobody asks over the head of the row.
        match self.waiting.load(Ordering::Acquire) {
            0 => poll_give(&mut balance, outgoing, &mut Context::from_waker(Waker::noop())),
            _ => Poll::Pending,
        }
    }

    fn balance(&self) -> MutexGuard<'_, Balancer> {
        self.balance.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Standing<'a> {
    fn of(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::AcqRel);
        Self(waiting)
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Gives a call, which is taken, to a replica where one is ready.
fn poll_give(
    balance: &mut Balancer,
    outgoing: &mut Option<Outgoing>,
    cx: &mut Context<'_>,
) -> Poll<Option<Attempt>> {
    let ready = std::task::ready!(balance.poll_ready(cx));
    let given = ready.ok().and_then(|()| outgoing.take()).map(|outgoing| balance.call(outgoing));
    Poll::Ready(
        given.map(|attempt| -> Attempt { Box::pin(async move { attempt.await.map_err(failure) }) }),
    )
}

/// What the balancer has wrapped.
fn failure(error: BoxError) -> Failure {
    match error.downcast::<Failure>() {
        Ok(failure) => *failure,
        Err(error) => Failure::Broken(error.to_string()),
    }
}
