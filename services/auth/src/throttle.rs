//! Growing delays for those who guess, without a lock that they could turn on
//! somebody else (OWASP Authentication Cheat Sheet, "Login Throttling"; NIST
//! SP 800-63B-4, section 3.2.2).
//!
//! Failures are counted for an account seen from one network, for an account
//! from anywhere, and for a network. The first is strict: it can only hurt who
//! shares the network of the guesser. The second is mild, and neither it nor
//! the others hold for a network from which this account has logged in before:
//! a stranger can slow down a login from a new place by seconds, and one from
//! the usual place not at all.
//!
//! It keeps no address, only keyed hashes of them, in a bounded space that the
//! least recent leave first, and it knows the time from the clock alone.

mod counter;
mod network;
mod rate;

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use countersign_types::{Clock, Email, Timestamp};
use moka::{policy::EvictionPolicy, sync::Cache};
use parking_lot::Mutex;

use self::{counter::Counter, network::Network, rate::Rate};
use crate::{
    Error,
    config::{DelayConfig, ThrottleConfig},
};

/// Attempts at a time on one account before any delay is due.
const PARALLEL_ON_ACCOUNT: u32 = 64;
/// Attempts at a time from one network before any delay is due.
const PARALLEL_FROM_NETWORK: u32 = 256;
/// Nothing that is counted matters for longer.
const FORGET_AFTER: Duration = Duration::from_secs(48 * 60 * 60);

/// Counts attempts and says how long the next one has to wait.
pub(crate) struct Throttle {
    config: ThrottleConfig,
    clock: Clock,
    hash: RandomState,
    pairs: Counters<(u64, Network)>,
    accounts: Counters<u64>,
    networks: Counters<Network>,
    known: Cache<(u64, Network), ()>,
    registrations: Cache<Network, Arc<Mutex<Rate>>>,
    overall: Mutex<Rate>,
}

type Counters<K> = Cache<K, Arc<Mutex<Counter>>>;

/// Why an attempt was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// After which time the next attempt is looked at.
    pub(crate) retry_after: Duration,
    /// Whether it would have been admitted from a place that the account knows.
    pub(crate) unless_known: bool,
}

/// An admitted attempt. It counts as a failure from the start, and for good
/// where it is dropped: whoever hangs up learns nothing and saves nothing.
pub(crate) struct Attempt<'a> {
    throttle: &'a Throttle,
    place: (u64, Network),
    slots: [(Slot, &'a DelayConfig); 3],
    outcome: Outcome,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Failed,
    Succeeded,
    Void,
}

/// A place among the attempts in flight.
struct Slot(Arc<Mutex<Counter>>);

impl Throttle {
    pub(crate) fn new(config: &ThrottleConfig, clock: Clock) -> Self {
        let overall = Rate::per_second(config.overall_per_second);
        Self {
            config: config.clone(),
            clock,
            hash: RandomState::new(),
            pairs: cache(config.capacity),
            accounts: cache(config.capacity),
            networks: cache(config.capacity),
            known: cache(config.capacity),
            registrations: cache(config.capacity),
            overall: Mutex::new(overall),
        }
    }

    /// Admits a login, or says when to come back. A refused attempt counts for
    /// nothing: repeating it makes no delay longer.
    pub(crate) fn admit(
        &self,
        email: &Email,
        address: Option<IpAddr>,
    ) -> Result<Attempt<'_>, Refusal> {
        let now = self.clock.now();
        let place = self.place(email, address);
        let known = self.known.contains_key(&place);
        let config = &self.config;
        let take = |counter, rule, parallel, exempt, unless_known| {
            Slot::take(counter, rule, if exempt { u32::MAX } else { parallel }, exempt, now)
                .map(|slot| (slot, rule))
                .map_err(|retry_after| Refusal { retry_after, unless_known })
        };
        // A slot that was taken is given back where a later one is refused.
        let (account, from) = (PARALLEL_ON_ACCOUNT, PARALLEL_FROM_NETWORK);
        let pair = counter(&self.pairs, place);
        let pair = take(pair, &config.account_and_network, account, false, false)?;
        let anywhere =
            take(counter(&self.accounts, place.0), &config.account, account, known, true)?;
        let network = take(counter(&self.networks, place.1), &config.network, from, known, true)?;
        if !known {
            let admitted = self.overall.lock().admit(now);
            admitted.map_err(|retry_after| Refusal { retry_after, unless_known: true })?;
        }
        let slots = [pair, anywhere, network];
        Ok(Attempt { throttle: self, place, slots, outcome: Outcome::Failed })
    }

    /// Admits a registration.
    ///
    /// # Errors
    /// [`Error::Throttled`].
    pub(crate) fn admit_registration(&self, address: Option<IpAddr>) -> Result<(), Error> {
        let per_minute = self.config.registrations_per_minute;
        let rate = self
            .registrations
            .get_with(address.into(), || Arc::new(Mutex::new(Rate::per_minute(per_minute))));
        let admitted = rate.lock().admit(self.clock.now());
        admitted.map_err(|retry_after| Error::Throttled { retry_after })
    }

    /// Takes note that the account has logged in from there before.
    pub(crate) fn remember(&self, email: &Email, address: Option<IpAddr>) {
        self.known.insert(self.place(email, address), ());
    }

    fn place(&self, email: &Email, address: Option<IpAddr>) -> (u64, Network) {
        (self.hash.hash_one(email.as_str()), address.into())
    }
}

impl Attempt<'_> {
    /// The password was right: what failed before is forgotten, and the place is known.
    pub(crate) fn succeeded(mut self) {
        self.outcome = Outcome::Succeeded;
    }

    /// Nothing was learned about the password: the attempt does not count.
    pub(crate) fn void(mut self) {
        self.outcome = Outcome::Void;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let now = self.throttle.clock.now();
        match self.outcome {
            Outcome::Void => (),
            Outcome::Failed => {
                self.slots.iter().for_each(|(slot, rule)| slot.0.lock().fail(rule, now));
            }
            Outcome::Succeeded => {
                let [(pair, _), (account, _), _] = &self.slots;
                pair.0.lock().clear();
                account.0.lock().clear();
                self.throttle.known.insert(self.place, ());
            }
        }
    }
}

impl Slot {
    fn take(
        counter: Arc<Mutex<Counter>>,
        rule: &DelayConfig,
        parallel: u32,
        exempt: bool,
        now: Timestamp,
    ) -> Result<Self, Duration> {
        let mut held = counter.lock();
        if !exempt {
            held.admit(rule, parallel, now)?;
        }
        held.enter();
        drop(held);
        Ok(Self(counter))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.lock().leave();
    }
}

fn counter<K: std::hash::Hash + Eq + Send + Sync + 'static>(
    counters: &Counters<K>,
    key: K,
) -> Arc<Mutex<Counter>> {
    counters.get_with(key, Arc::default)
}

// Least recently used, not least frequently: a newcomer is always counted.
fn cache<K, V>(capacity: u64) -> Cache<K, V>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder()
        .max_capacity(capacity)
        .eviction_policy(EvictionPolicy::lru())
        .time_to_idle(FORGET_AFTER)
        .build()
}

#[cfg(test)]
#[path = "throttle/throttle_tests.rs"]
mod tests;
