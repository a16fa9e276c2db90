//! A bounded number of counts by key. Whoever has to wait is never forgotten;
//! of the others, the least recent are.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    time::Duration,
};

use countersign_types::Timestamp;

/// Entries that are looked at to find room for one more.
const LOOKS: usize = 64;
/// Entries that are looked at for each new one, so that nothing stays for ever.
const SWEPT: usize = 2;
/// When to come back where nobody can be forgotten.
const FULL: Duration = Duration::from_secs(1);

/// What is counted under one key, by a rule that is the same for all keys.
pub(super) trait Count: Default {
    /// What the count is held against.
    type Rule;

    /// Takes in the time, which may have been set back.
    fn settle(&mut self, rule: &Self::Rule, now: Timestamp);

    /// How long the next attempt has to wait; zero: not at all. The time was taken in before.
    fn wait(&self, rule: &Self::Rule, now: Timestamp) -> Duration;

    /// Whether forgetting it now would let somebody in too early.
    fn is_pending(&self, now: Timestamp) -> bool;

    /// Whether it says no more than a new one. The time was taken in before.
    fn is_spent(&self, now: Timestamp) -> bool;
}

/// Counts by key. Keys are keyed hashes.
pub(super) struct Ledger<C: Count> {
    rule: C::Rule,
    capacity: usize,
    counts: HashMap<u64, C>,
    /// Every key once, in the order in which they are looked at.
    order: VecDeque<u64>,
}

impl<C: Count> Ledger<C> {
    pub(super) fn new(rule: C::Rule, capacity: usize) -> Self {
        Self { rule, capacity, counts: HashMap::new(), order: VecDeque::new() }
    }

    /// How long an attempt under this key has to wait; zero: not at all, and
    /// [`Ledger::enter`] finds room. Nothing is counted.
    pub(super) fn wait(&mut self, key: u64, now: Timestamp) -> Duration {
        if let Some(count) = self.counts.get_mut(&key) {
            count.settle(&self.rule, now);
            return count.wait(&self.rule, now);
        }
        if self.has_room(key, now) { Duration::ZERO } else { FULL }
    }

    /// Whether the key has its place, or a new one can be had.
    pub(super) fn has_room(&mut self, key: u64, now: Timestamp) -> bool {
        if self.counts.contains_key(&key) {
            return true;
        }
        self.sweep(now);
        self.counts.len() < self.capacity
    }

    /// The count of an attempt that is admitted.
    pub(super) fn enter(&mut self, key: u64, count: impl FnOnce(&mut C, &C::Rule)) {
        let entry = match self.counts.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                self.order.push_back(key);
                entry.insert(C::default())
            }
        };
        count(entry, &self.rule);
    }

    /// Changes what is counted already; nothing where it was forgotten.
    pub(super) fn update(&mut self, key: u64, change: impl FnOnce(&mut C, &C::Rule)) {
        if let Some(count) = self.counts.get_mut(&key) {
            change(count, &self.rule);
        }
    }

    /// Forgets what says nothing any more and, where room is short, what nobody waits for.
    fn sweep(&mut self, now: Timestamp) {
        for look in 0..LOOKS {
            let is_full = self.counts.len() >= self.capacity;
            if look >= SWEPT && !is_full {
                break;
            }
            let Some(key) = self.order.pop_front() else { break };
            let Some(count) = self.counts.get_mut(&key) else { continue };
            count.settle(&self.rule, now);
            if count.is_spent(now) || (is_full && !count.is_pending(now)) {
                self.counts.remove(&key);
            } else {
                self.order.push_back(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::rate::{Limit, Rate},
        *,
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn ledger() -> Ledger<Rate> {
        Ledger::new(Limit::per_second(1), 3)
    }

    fn admit(ledger: &mut Ledger<Rate>, key: u64, now: Timestamp) -> bool {
        let admitted = ledger.wait(key, now).is_zero();
        if admitted {
            ledger.enter(key, |rate, limit| rate.count(limit, now));
        }
        admitted
    }

    #[test]
    fn who_has_to_wait_is_not_forgotten_for_somebody_new() {
        let mut ledger = ledger();
        for key in 0..3 {
            assert!(admit(&mut ledger, key, NOW) && admit(&mut ledger, key, NOW));
            assert!(!admit(&mut ledger, key, NOW));
        }
        for stranger in 3..100 {
            assert_eq!(ledger.wait(stranger, NOW), FULL);
        }
        assert!(!admit(&mut ledger, 0, NOW));
        assert!(admit(&mut ledger, 3, NOW.plus(Duration::from_secs(2))));
    }

    #[test]
    fn a_refused_attempt_takes_no_room() {
        let mut ledger = ledger();
        for key in 0..100 {
            assert!(ledger.wait(key, NOW).is_zero());
        }
        assert!(ledger.counts.is_empty() && ledger.order.is_empty());
    }

    #[test]
    fn what_says_nothing_any_more_goes() {
        let mut ledger = Ledger::new(Limit::per_second(1), 1_000);
        for key in 0..1_000 {
            let now = NOW.plus(Duration::from_secs(10 * key));
            assert!(admit(&mut ledger, key, now));
            assert!(ledger.counts.len() <= 3 && ledger.order.len() == ledger.counts.len());
        }
    }
}
