//! How much hashing the machine is trusted with where nothing is set.

use std::thread;

use super::{Config, HashingConfig};

/// Hashes a second of one core at the default cost: about two thirds of what a
/// core of 2020 manages, so that other calls find some of it left.
const PER_CORE: u64 = 40;
/// The default cost of a hash: memory in KiB times passes over it.
const COST: u64 = 19_456 * 2;
/// The part of everything that one network may have.
const SHARE: u32 = 4;

impl Config {
    /// Hashes a second from everywhere.
    pub(crate) fn overall_per_second(&self) -> u32 {
        match self.throttle.overall_per_second {
            0 => self.hashing.per_second(cores()),
            set => set,
        }
    }

    /// Hashes a second from one network.
    pub(crate) fn network_per_second(&self) -> u32 {
        match self.throttle.network_per_second {
            0 => (self.overall_per_second() / SHARE).max(1),
            set => set,
        }
    }
}

impl HashingConfig {
    /// Threads that hash.
    pub(crate) fn workers(&self) -> usize {
        if self.workers == 0 { cores() } else { self.workers }
    }

    /// Waiting hashes of one network.
    pub(crate) fn network_queue(&self) -> usize {
        match self.network_queue {
            0 => (self.queue / SHARE as usize).max(1),
            set => set,
        }
    }

    fn per_second(&self, cores: usize) -> u32 {
        let busy = u64::try_from(self.workers().min(cores)).unwrap_or(u64::MAX);
        let cost = u64::from(self.memory_kib).saturating_mul(self.iterations.into()).max(1);
        let count = busy.saturating_mul(PER_CORE * COST) / cost;
        u32::try_from(count).unwrap_or(u32::MAX).clamp(1, 100_000)
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dearer_hashes_and_fewer_threads_mean_fewer_of_them() {
        let config = HashingConfig { workers: 2, ..HashingConfig::default() };
        assert_eq!(config.per_second(4), 80);
        assert_eq!(config.per_second(1), 40);
        let dearer = HashingConfig { iterations: 8, ..config };
        assert_eq!(dearer.per_second(4), 20);
    }

    #[test]
    fn a_network_has_a_quarter_unless_something_else_is_set() {
        let mut config = Config::default();
        config.throttle.overall_per_second = 100;
        assert_eq!(config.network_per_second(), 25);
        assert_eq!(config.hashing.network_queue(), 16);
        config.throttle.network_per_second = 100;
        config.hashing.network_queue = 64;
        assert_eq!(config.network_per_second(), 100);
        assert_eq!(config.hashing.network_queue(), 64);
    }
}
