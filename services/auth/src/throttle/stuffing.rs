//! Notices who tries many accounts from one network, as with addresses and
//! passwords that were stolen elsewhere (OWASP Credential Stuffing Prevention
//! Cheat Sheet). It only tells; the throttle slows down.
//!
//! It keeps keyed hashes alone, in a bounded space: so many networks, and of
//! each as many accounts as are needed to tell.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use countersign_types::Timestamp;

/// The time within which failures belong together.
const SPAN: Duration = Duration::from_secs(10 * 60);
/// Networks that are watched at a time. Where there are more, those that have
/// failed with one account alone make room.
const NETWORKS: usize = 10_000;

/// Watches networks.
pub(super) struct Stuffing {
    /// So many accounts are too many.
    limit: usize,
    networks: HashMap<u64, Tried>,
}

struct Tried {
    since: Timestamp,
    accounts: HashSet<u64>,
    told: bool,
}

/// Many accounts failed from one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Suspicion {
    /// How many.
    pub(crate) accounts: i32,
    /// When the first one did.
    pub(crate) since: Timestamp,
}

impl Stuffing {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit: usize::try_from(limit).unwrap_or(usize::MAX), networks: HashMap::new() }
    }

    /// A login to an account failed. Told once for each network and span.
    pub(super) fn failed(
        &mut self,
        network: u64,
        account: u64,
        now: Timestamp,
    ) -> Option<Suspicion> {
        if self.networks.len() >= NETWORKS && !self.networks.contains_key(&network) {
            self.networks.retain(|_, tried| !tried.is_over(now));
            if self.networks.len() >= NETWORKS {
                self.networks.retain(|_, tried| tried.accounts.len() > 1);
            }
            if self.networks.len() >= NETWORKS {
                return None;
            }
        }
        let tried = self.networks.entry(network).or_insert_with(|| Tried::from(now));
        if tried.is_over(now) {
            *tried = Tried::from(now);
        }
        tried.accounts.insert(account);
        if tried.told || tried.accounts.len() < self.limit {
            return None;
        }
        tried.told = true;
        // There is nothing further to count until the span is over.
        let accounts = std::mem::take(&mut tried.accounts).len();
        let accounts = i32::try_from(accounts).unwrap_or(i32::MAX);
        Some(Suspicion { accounts, since: tried.since })
    }
}

impl Tried {
    fn from(now: Timestamp) -> Self {
        Self { since: now, accounts: HashSet::new(), told: false }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.since) > SPAN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    #[test]
    fn many_accounts_from_one_network_are_told_once_in_a_while() {
        let mut stuffing = Stuffing::new(3);
        let mut told = |network, account, seconds| {
            stuffing.failed(network, account, NOW.plus(Duration::from_secs(seconds)))
        };
        assert_eq!([told(1, 1, 0), told(1, 1, 1), told(1, 2, 2), told(2, 3, 3)], [None; 4]);
        assert_eq!(told(1, 3, 4), Some(Suspicion { accounts: 3, since: NOW }));
        assert_eq!([told(1, 4, 5), told(1, 5, 6), told(1, 6, 600)], [None; 3]);
        assert_eq!([told(1, 7, 700), told(1, 8, 701)], [None; 2]);
        assert!(told(1, 9, 702).is_some());
        // Who is slower than that is not told of.
        assert_eq!([told(2, 4, 601), told(2, 5, 1300), told(2, 6, 2000)], [None; 3]);
    }

    #[test]
    fn its_space_is_bounded_and_who_tries_much_is_not_forgotten() {
        let mut stuffing = Stuffing::new(3);
        assert_eq!([stuffing.failed(0, 1, NOW), stuffing.failed(0, 2, NOW)], [None; 2]);
        for network in 1..30_000 {
            stuffing.failed(network, 1, NOW);
        }
        assert!(stuffing.networks.len() <= NETWORKS);
        assert!(stuffing.failed(0, 3, NOW).is_some());
    }
}
