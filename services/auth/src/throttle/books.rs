//! All counts together: an attempt is held against all that concern it before
//! it is counted in any.

use std::time::Duration;

use countersign_types::Timestamp;

use super::{
    counter::Counter,
    ledger::{Count, Ledger},
    rate::{Limit, Rate},
};
use crate::config::{Config, DelayConfig};

/// Where an attempt is counted. Keys are keyed hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Anybody, for an account.
    Open { account: u64, network: u64, pair: u64 },
    /// A device that has logged in to the account before.
    Known { owner: u64, network: u64, device: u64 },
}

/// The counts.
pub(super) struct Books {
    pairs: Ledger<Counter>,
    accounts: Ledger<Counter>,
    networks: Ledger<Counter>,
    devices: Ledger<Counter>,
    /// Hashes: on an account by anybody, on an account by its own devices, from a
    /// network, from everywhere.
    on_account: Ledger<Rate>,
    by_owner: Ledger<Rate>,
    from_network: Ledger<Rate>,
    overall: (Limit, Rate),
    registrations: Ledger<Rate>,
}

impl Books {
    pub(super) fn new(config: &Config) -> Self {
        let throttle = &config.throttle;
        let counters = |rule: &DelayConfig| Ledger::new(rule.clone(), throttle.capacity);
        let rates = |limit| Ledger::new(limit, throttle.capacity);
        let logins = Limit::per_minute(throttle.logins_per_minute);
        Self {
            pairs: counters(&throttle.account_and_network),
            accounts: counters(&throttle.account),
            networks: counters(&throttle.network),
            devices: counters(&throttle.device),
            on_account: rates(logins),
            by_owner: rates(logins),
            from_network: rates(Limit::per_second(config.network_per_second())),
            overall: (Limit::per_second(config.overall_per_second()), Rate::default()),
            registrations: rates(Limit::per_minute(throttle.registrations_per_minute)),
        }
    }

    /// How long a login has to wait. Nothing is counted.
    pub(super) fn wait(&mut self, lane: Lane, now: Timestamp) -> Duration {
        match lane {
            Lane::Open { account, network, pair } => self
                .wait_for_hash(network, now)
                .max(self.networks.wait(network, now))
                .max(self.on_account.wait(account, now))
                .max(self.accounts.wait(account, now))
                .max(self.pairs.wait(pair, now)),
            // Not held against network and overall: others have a hand in them.
            Lane::Known { owner, device, .. } => {
                self.by_owner.wait(owner, now).max(self.devices.wait(device, now))
            }
        }
    }

    /// Counts a login that is admitted.
    pub(super) fn enter(&mut self, lane: Lane, now: Timestamp) {
        match lane {
            Lane::Open { account, network, .. } => {
                self.count_hash(network, now);
                self.on_account.enter(account, |rate, limit| rate.count(limit, now));
            }
            Lane::Known { owner, network, .. } => {
                self.count_hash(network, now);
                self.by_owner.enter(owner, |rate, limit| rate.count(limit, now));
            }
        }
        for (ledger, key) in self.counters(lane) {
            ledger.enter(key, |counter, _| counter.enter());
        }
    }

    /// Ends an admitted login: `how` changes the failures of all that concern it.
    pub(super) fn leave(&mut self, lane: Lane, how: impl Fn(&mut Counter, &DelayConfig)) {
        for (ledger, key) in self.counters(lane) {
            ledger.update(key, |counter, rule| {
                counter.leave();
                how(counter, rule);
            });
        }
    }

    /// How long a registration has to wait; zero: it is admitted and counted.
    pub(super) fn register(&mut self, network: u64, now: Timestamp) -> Duration {
        let wait = self.wait_for_hash(network, now).max(self.registrations.wait(network, now));
        if wait.is_zero() {
            self.count_hash(network, now);
            self.registrations.enter(network, |rate, limit| rate.count(limit, now));
        }
        wait
    }

    fn wait_for_hash(&mut self, network: u64, now: Timestamp) -> Duration {
        let (limit, rate) = &mut self.overall;
        rate.settle(limit, now);
        rate.wait(limit, now).max(self.from_network.wait(network, now))
    }

    fn count_hash(&mut self, network: u64, now: Timestamp) {
        let (limit, rate) = &mut self.overall;
        rate.count(limit, now);
        if self.from_network.has_room(network, now) {
            self.from_network.enter(network, |rate, limit| rate.count(limit, now));
        }
    }

    fn counters(&mut self, lane: Lane) -> Vec<(&mut Ledger<Counter>, u64)> {
        match lane {
            Lane::Open { account, network, pair } => vec![
                (&mut self.pairs, pair),
                (&mut self.accounts, account),
                (&mut self.networks, network),
            ],
            Lane::Known { device, .. } => vec![(&mut self.devices, device)],
        }
    }
}
