//! All replicas of a target: gives a call to the less busy one of two that are
//! drawn from those that are available (tower's balancer).

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use tokio::{
    sync::{Mutex, Notify, mpsc},
    time::{Instant, timeout_at},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::{BoxError, Service, ServiceExt, balance::p2c::Balance};

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
    balance: Mutex<Balance<ReceiverStream<News>, Outgoing>>,
    registry: Registry,
    ready_timeout: Duration,
    pub(super) meter: Arc<Meter>,
    _end: DropGuard,
}

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
        let patience = Instant::now() + self.ready_timeout;
        let until = deadline.map_or(patience, |deadline| deadline.min(patience));
        let given = timeout_at(until, async {
            // Who waits here waits in a row, and leaves it when its time is over.
            let mut balance = self.balance.lock().await;
            let ready = balance.ready().await;
            ready.map(|balance| balance.call(outgoing))
        });
        let attempt = given.await.ok()?.ok()?;
        Some(Box::pin(async move { attempt.await.map_err(failure) }))
    }
}

/// What the balancer has wrapped.
fn failure(error: BoxError) -> Failure {
    match error.downcast::<Failure>() {
        Ok(failure) => *failure,
        Err(error) => Failure::Broken(error.to_string()),
    }
}
