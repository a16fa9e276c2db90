//! What an operator watches. Labels are the fixed names of this program's
//! consumers and sources, never ids.

use std::time::Duration;

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Gauge, Histogram},
};

use crate::Following;

const SCOPE: &str = "countersign.events";

/// Of a relay.
pub(crate) struct RelayMeter {
    published: Counter<u64>,
    deferred: Counter<u64>,
    lag: Histogram<f64>,
    waiting: Gauge<u64>,
    age: Gauge<f64>,
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
    letters: Gauge<u64>,
    lag: Gauge<u64>,
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
    pub(crate) fn new(source: &str) -> Self {
        let missing = global::meter(SCOPE)
            .u64_counter("countersign.events.missing")
            .with_description("published events that the stream has lost")
            .build();
        // There from the start: an increase is seen from the first one on.
        missing.add(0, &[KeyValue::new("source", source.to_owned())]);
        Self { missing }
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
            waiting: meter
                .u64_gauge("countersign.events.outbox.waiting")
                .with_unit("{event}")
                .with_description("events that were never published; 20000 means more")
                .build(),
            age: meter
                .f64_gauge("countersign.events.outbox.age")
                .with_unit("s")
                .with_description("how long the oldest of them has waited")
                .build(),
        }
    }

    pub(crate) fn backlog(&self, source: &str, events: u64, age: Duration) {
        let label = [KeyValue::new("source", source.to_owned())];
        self.waiting.record(events, &label);
        self.age.record(age.as_secs_f64(), &label);
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
            letters: meter
                .u64_gauge("countersign.events.dead_letters")
                .with_unit("{event}")
                .with_description("events that lie in the dead letters; 1000 means more")
                .build(),
            lag: meter
                .u64_gauge("countersign.events.consumer.lag")
                .with_unit("{event}")
                .with_description("events that a consumer has still to settle")
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

    pub(crate) fn letters(&self, lying: u64) {
        self.letters.record(lying, &self.label);
    }

    /// Of all services, or of one.
    pub(crate) fn lag(&self, source: Option<&'static str>, events: u64) {
        let source = source.map(|source| KeyValue::new("source", source));
        let labels: Vec<_> = self.label.iter().cloned().chain(source).collect();
        self.lag.record(events, &labels);
    }
}

/// Tells of a follower how old its news are, whenever somebody looks.
pub(crate) fn watch_staleness(following: &Following) {
    let following = following.clone();
    let label = [KeyValue::new("follower", following.name())];
    global::meter(SCOPE)
        .f64_observable_gauge("countersign.events.staleness")
        .with_unit("s")
        .with_description(
            "age of the newest sign of life of the stream; before it, since the start",
        )
        .with_callback(move |gauge| gauge.observe(following.silence().as_secs_f64(), &label))
        .build();
}
