//! Finds the replicas of a target, again and again, and tells the balancer what
//! has changed.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::discover::Change;

use super::{
    Target,
    address::Address,
    keeper::{Keeping, keep, scattered},
    member::Member,
    replica::State,
};
use crate::config::ChannelConfig;

/// The least time between two lookups.
const SPACING: Duration = Duration::from_secs(1);
/// How long a lookup may take; what it finds later is found by the next.
const LOOKUP: Duration = Duration::from_secs(10);

/// What the balancer is told.
pub(super) type News = Result<Change<Address, Member>, Infallible>;

/// All replicas there are.
#[derive(Clone, Default)]
pub(super) struct Registry(Arc<Mutex<BTreeMap<Address, Kept>>>);

/// A replica, and the end of its keeper.
struct Kept {
    state: Arc<State>,
    _end: DropGuard,
}

/// Finds replicas.
pub(super) struct Resolver {
    pub target: Target,
    pub registry: Registry,
    pub keeping: Arc<Keeping>,
    pub news: mpsc::Sender<News>,
    interval: Duration,
    max_replicas: usize,
    max_calls: usize,
}

impl Registry {
    /// Every replica.
    pub(super) fn all(&self) -> Vec<Arc<State>> {
        self.table().values().map(|kept| Arc::clone(&kept.state)).collect()
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<Address, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver {
    pub(super) fn new(
        target: Target,
        config: &ChannelConfig,
        keeping: Arc<Keeping>,
        news: mpsc::Sender<News>,
    ) -> Self {
        let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Self {
            target,
            registry: Registry::default(),
            keeping,
            news,
            interval: config.resolve_interval,
            max_replicas: size(config.max_replicas),
            max_calls: size(config.max_calls_per_replica),
        }
    }

    /// Until it is dropped; for ever, since it holds the ends of the keepers.
    pub(super) async fn run(self) {
        let mut failing = false;
        loop {
            let asked = Instant::now();
            let found = timeout(LOOKUP, self.target.addresses()).await;
            let found = found.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
            match found {
                Ok(found) if !found.is_empty() => {
                    failing = false;
                    self.take(found).await;
                }
                // A resolver that fails says nothing about who is there: all stay.
                Ok(_) | Err(_) if failing => {}
                Ok(_) => {
                    failing = true;
                    tracing::warn!(target.name = self.target.name(), "a name has no addresses");
                }
                Err(error) => {
                    failing = true;
                    tracing::warn!(target.name = self.target.name(), error.message = %error, "a name cannot be resolved");
                }
            }
            if !self.target.can_change() {
                return futures::future::pending().await;
            }
            let wait = if failing { SPACING } else { self.interval };
            tokio::select! {
                () = sleep(scattered(wait, 10)) => {}
                () = self.keeping.trouble.notified() => sleep_until(asked + SPACING).await,
            }
        }
    }

    async fn take(&self, mut found: Vec<Address>) {
        found.sort();
        // One that has several names is still one replica.
        found.dedup_by(|one, other| one.place == other.place);
        if found.len() > self.max_replicas {
            tracing::warn!(
                target.name = self.target.name(),
                addresses = found.len(),
                "more addresses than replicas are allowed"
            );
            found.truncate(self.max_replicas);
        }
        // Whoever comes is there before somebody goes.
        for address in &found {
            if !self.registry.table().contains_key(address) {
                let member = self.add(address.clone());
                self.tell(Change::Insert(address.clone(), member)).await;
            }
        }
        let gone: Vec<_> = {
            let table = self.registry.table();
            table.keys().filter(|address| !found.contains(address)).cloned().collect()
        };
        for address in gone {
            if let Some(kept) = self.registry.table().remove(&address) {
                kept.state.left();
            }
            self.tell(Change::Remove(address)).await;
        }
    }

    fn add(&self, address: Address) -> Member {
        let state = Arc::new(State::new(address.clone()));
        let end = CancellationToken::new();
        let keeper = keep(Arc::clone(&state), Arc::clone(&self.keeping));
        tokio::spawn(end.clone().run_until_cancelled_owned(keeper));
        let origin = self.keeping.connector.origin(&address);
        let member = Member::new(Arc::clone(&state), origin, self.max_calls);
        self.registry.table().insert(address, Kept { state, _end: end.drop_guard() });
        member
    }

    async fn tell(&self, change: Change<Address, Member>) {
        // The balancer is gone only with the channel, and this task with it.
        let _ = self.news.send(Ok(change)).await;
    }
}
