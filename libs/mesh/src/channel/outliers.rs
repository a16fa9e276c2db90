//! Takes replicas out that answer badly, and back in after a time that grows
//! with how often they were out (gRFC A50).

use std::{collections::BTreeMap, sync::Arc};

use tokio::time::{Instant, sleep};

use super::{
    address::Address,
    meter::Meter,
    replica::State,
    resolver::Registry,
    statistics::{Sample, outliers},
};
use crate::config::OutlierConfig;

/// The sweep over all replicas of a channel.
pub(super) struct Outliers {
    pub config: OutlierConfig,
    pub registry: Registry,
    pub meter: Arc<Meter>,
    records: BTreeMap<Address, Record>,
}

/// What a replica has behind it.
#[derive(Clone, Copy, Debug, Default)]
struct Record {
    /// Since when it is out.
    out: Option<Instant>,
    /// How often it was, lately.
    times: u32,
}

impl Record {
    /// When it comes back.
    fn back(&self, config: &OutlierConfig) -> Option<Instant> {
        let longest = config.max_ejection_time.max(config.base_ejection_time);
        let time = config.base_ejection_time.saturating_mul(self.times).min(longest);
        self.out.map(|out| out + time)
    }
}

impl Outliers {
    pub(super) fn new(config: &OutlierConfig, registry: Registry, meter: Arc<Meter>) -> Self {
        Self { config: config.clone(), registry, meter, records: BTreeMap::new() }
    }

    /// Sweeps once in each interval, until it is dropped.
    pub(super) async fn run(mut self) {
        loop {
            sleep(self.config.interval).await;
            self.sweep(&self.registry.all(), Instant::now());
        }
    }

    fn sweep(&mut self, replicas: &[Arc<State>], now: Instant) {
        // Who is gone is forgotten: the table is no larger than the target.
        self.records.retain(|address, _| replicas.iter().any(|r| r.address == *address));
        let sample = |replica: &Arc<State>| {
            let (good, bad) = replica.take_counts();
            Sample { good, bad }
        };
        let samples: Vec<_> = replicas.iter().map(sample).collect();
        for place in outliers(&self.config, &samples) {
            if let Some(replica) = replicas.get(place) {
                self.eject(replica, replicas.len(), now);
            }
        }
        for replica in replicas {
            let record = self.records.entry(replica.address.clone()).or_default();
            match record.back(&self.config) {
                None => record.times = record.times.saturating_sub(1),
                Some(back) if back <= now => {
                    record.out = None;
                    replica.set_ejected(false);
                    tracing::info!(replica.address = %replica.address, "a replica is back in");
                }
                Some(_) => {}
            }
        }
    }

    fn eject(&mut self, replica: &State, all: usize, now: Instant) {
        let out = self.records.values().filter(|record| record.out.is_some()).count();
        let enough =
            out * 100 >= all * usize::try_from(self.config.max_ejection_percent).unwrap_or(100);
        let record = self.records.entry(replica.address.clone()).or_default();
        if record.out.is_some() || enough || out + 1 >= all {
            return;
        }
        *record = Record { out: Some(now), times: record.times.saturating_add(1) };
        replica.set_ejected(true);
        self.meter.ejected();
        tracing::warn!(replica.address = %replica.address, "a replica answers badly and is taken out");
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::Duration};

    use super::{super::address::Place, *};

    fn replicas(number: u16) -> Vec<Arc<State>> {
        let address = |port| Address {
            place: Place::Tcp(SocketAddr::from(([127, 0, 0, 1], port))),
            authority: "test:1".into(),
        };
        (0..number).map(|port| Arc::new(State::new(address(port)))).collect()
    }

    fn outliers(config: OutlierConfig) -> Outliers {
        Outliers::new(&config, Registry::default(), Arc::new(Meter::new("test")))
    }

    /// Ten calls at each, which the first so many answer badly.
    fn calls(replicas: &[Arc<State>], bad: usize) {
        for (place, replica) in replicas.iter().enumerate() {
            (0..10).for_each(|_| replica.count(place < bad));
        }
    }

    fn out(replicas: &[Arc<State>]) -> usize {
        replicas.iter().filter(|replica| replica.is_ejected()).count()
    }

    #[test]
    fn no_more_are_out_than_may_be_and_never_the_last() {
        for (number, percent, bad, expected) in
            [(10, 30, 9, 3), (10, 100, 10, 9), (2, 10, 2, 1), (1, 100, 1, 0), (3, 30, 1, 1)]
        {
            let replicas = replicas(number);
            let config = OutlierConfig {
                max_ejection_percent: percent,
                failure_percentage_minimum_hosts: 1,
                ..Default::default()
            };
            calls(&replicas, bad);
            outliers(config).sweep(&replicas, Instant::now());
            assert_eq!(out(&replicas), expected, "{bad} of {number}, {percent} percent");
        }
    }

    #[test]
    fn a_replica_comes_back_and_stays_out_longer_each_time() {
        let replicas = replicas(3);
        let config = OutlierConfig::default();
        let (base, second) = (config.base_ejection_time, Duration::from_secs(1));
        let mut outliers = outliers(config);
        let mut now = Instant::now();
        for times in 1..4 {
            calls(&replicas, 1);
            outliers.sweep(&replicas, now);
            assert_eq!(out(&replicas), 1);
            now += base * times - second;
            outliers.sweep(&replicas, now);
            assert_eq!(out(&replicas), 1, "not yet");
            now += second;
            outliers.sweep(&replicas, now);
            assert_eq!(out(&replicas), 0);
        }
    }
}
