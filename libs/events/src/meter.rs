//! What an operator watches. Labels are the fixed names of this program's
//! consumers and sources, never ids.

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram},
};

const SCOPE: &str = "countersign.events";

/// Of a relay.
pub(crate) struct RelayMeter {
    published: Counter<u64>,
    deferred: Counter<u64>,
    lag: Histogram<f64>,
}

/// Of the road to a broker.
pub(crate) struct RoadMeter {
    away: Counter<u64>,
}

/// Of the comparison of outbox and stream.
pub(crate) struct SweepMeter {
    missing: Counter<u64>,
}

/// Of a consumer.
pub(crate) struct ConsumerMeter {
    failed: Counter<u64>,
    dead: Counter<u64>,
    label: [KeyValue; 1],
}

impl RoadMeter {
    pub(crate) fn new() -> Self {
        Self {
            away: global::meter(SCOPE)
                .u64_counter("countersign.events.away")
                .with_description("publishes that the broker did not take")
                .build(),
        }
    }

    pub(crate) fn away(&self) {
        self.away.add(1, &[]);
    }
}

impl SweepMeter {
    pub(crate) fn new() -> Self {
        Self {
            missing: global::meter(SCOPE)
                .u64_counter("countersign.events.missing")
                .with_description("published events that the stream has lost")
                .build(),
        }
    }

    pub(crate) fn missing(&self, source: &str, events: u64) {
        self.missing.add(events, &[KeyValue::new("source", source.to_owned())]);
    }
}

impl RelayMeter {
    pub(crate) fn new() -> Self {
        let meter = global::meter(SCOPE);
        Self {
            published: meter
                .u64_counter("countersign.events.published")
                .with_description("events that every consumer has settled")
                .build(),
            deferred: meter
                .u64_counter("countersign.events.deferred")
                .with_description("publishes that have to be repeated")
                .build(),
            lag: meter
                .f64_histogram("countersign.events.lag")
                .with_unit("s")
                .with_description("age of an event when it is published")
                .build(),
        }
    }

    pub(crate) fn published(&self, source: &str, age_seconds: f64) {
        let label = [KeyValue::new("source", source.to_owned())];
        self.published.add(1, &label);
        self.lag.record(age_seconds, &label);
    }

    pub(crate) fn deferred(&self, source: &str) {
        self.deferred.add(1, &[KeyValue::new("source", source.to_owned())]);
    }
}

impl ConsumerMeter {
    pub(crate) fn new(consumer: &'static str) -> Self {
        let meter = global::meter(SCOPE);
        Self {
            failed: meter
                .u64_counter("countersign.events.failed")
                .with_description("deliveries that a handler refused")
                .build(),
            dead: meter
                .u64_counter("countersign.events.dead")
                .with_description("events that went to the dead letters")
                .build(),
            label: [KeyValue::new("consumer", consumer)],
        }
    }

    pub(crate) fn failed(&self) {
        self.failed.add(1, &self.label);
    }

    pub(crate) fn dead(&self) {
        self.dead.add(1, &self.label);
    }
}
