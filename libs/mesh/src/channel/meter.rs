//! What an operator watches of a channel. Its one label is the target as it
//! stands in the configuration.

use opentelemetry::{KeyValue, global, metrics::Counter};

/// Counts what a channel does about failures.
pub(super) struct Meter {
    retries: Counter<u64>,
    throttled: Counter<u64>,
    ejections: Counter<u64>,
    target: [KeyValue; 1],
}

impl Meter {
    pub(super) fn new(target: &str) -> Self {
        let meter = global::meter("countersign.mesh");
        let counter = |name: &'static str, what: &'static str| {
            meter.u64_counter(name).with_description(what).build()
        };
        Self {
            retries: counter("countersign.client.retries", "attempts after the first"),
            throttled: counter(
                "countersign.client.retries_throttled",
                "calls that were not tried again because too many had failed",
            ),
            ejections: counter(
                "countersign.client.ejections",
                "replicas that were taken out because they answered badly",
            ),
            target: [KeyValue::new("target", target.to_owned())],
        }
    }

    pub(super) fn retried(&self) {
        self.retries.add(1, &self.target);
    }

    pub(super) fn throttled(&self) {
        self.throttled.add(1, &self.target);
    }

    pub(super) fn ejected(&self) {
        self.ejections.add(1, &self.target);
    }
}
