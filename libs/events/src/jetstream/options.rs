//! Where the broker is, and how the stream on it is kept.

use std::{path::PathBuf, time::Duration};

use uuid::Uuid;

/// The road through NATS JetStream.
///
/// The broker should run with `sync_interval: always`. By default it writes to
/// disk every two minutes, and Jepsen (NATS 2.12.1, 2025) has seen it lose
/// acknowledged messages at a power cut. Nothing is lost here even then: the
/// outbox keeps each event for its retention time, and the relay's sweep
/// publishes again what the stream has forgotten.
#[derive(Clone, Debug)]
pub struct JetStreamOptions {
    /// Servers of one cluster, such as `tls://nats-0.nats:4222`; at least one.
    pub urls: Vec<String>,
    /// A credentials file as `nsc` writes it: user JWT and seed.
    pub credentials_file: Option<PathBuf>,
    /// PEM file with the authorities that sign the servers' certificates; the
    /// system's where there is none.
    pub ca_file: Option<PathBuf>,
    /// PEM files with the client's certificate and its key.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// The stream; one for all services of an environment.
    pub stream: String,
    /// What the subjects of the stream begin with. Two environments on one
    /// account need two.
    pub subject_prefix: String,
    /// Copies of the stream. `None` follows the cluster: 3 where it has three
    /// servers or more, otherwise 1.
    pub replicas: Option<usize>,
    /// How long the broker recognises a repeated publish. Later ones are
    /// stored again, and recognised by the consumers.
    pub duplicate_window: Duration,
    /// How long the stream keeps an event: at least as long as the longest
    /// absence of a consumer, and as the horizon of a follower.
    pub max_age: Duration,
    /// How long a replica may be silent about an event that it has got before
    /// another gets it. One that lives says three times as often that it is
    /// at work, so this is how long the events in hand of a dead one wait.
    pub ack_wait: Duration,
    /// The most events that a replica holds for one consumer.
    pub batch: usize,
    /// The most events that a replica handles at once, of different
    /// aggregates, each on a connection of the service's pool: well under what
    /// the pool has, so that calls find one, too.
    /// On SQLite, which has one writer, it is always 1.
    pub parallel: usize,
    /// Whether a stream or consumer that is configured otherwise is corrected;
    /// in any case it is reported.
    pub reconcile: bool,
    /// The most time that one request to the broker may take.
    pub request_timeout: Duration,
    /// How often the broker is asked how far each consumer is behind, which is
    /// measured.
    pub sample_interval: Duration,
}

impl JetStreamOptions {
    /// The given servers, without credentials; stream `COUNTERSIGN` on
    /// `countersign.events.>`, events kept for 14 days.
    #[must_use]
    pub fn new(urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            urls: urls.into_iter().map(Into::into).collect(),
            credentials_file: None,
            ca_file: None,
            client_certificate: None,
            stream: "COUNTERSIGN".to_owned(),
            subject_prefix: "countersign".to_owned(),
            replicas: None,
            duplicate_window: Duration::from_mins(2),
            max_age: Duration::from_hours(14 * 24),
            ack_wait: Duration::from_secs(5),
            batch: 256,
            parallel: 4,
            reconcile: false,
            request_timeout: Duration::from_secs(5),
            sample_interval: Duration::from_secs(10),
        }
    }

    /// The stream's subjects.
    pub(crate) fn subjects(&self) -> String {
        format!("{}.events.>", self.subject_prefix)
    }

    /// The subject of one aggregate's events of a kind.
    pub(crate) fn subject(&self, source: &str, kind: &str, aggregate: Uuid) -> String {
        format!("{}.{aggregate}", self.destination(source, kind))
    }

    /// Where a service's events of a kind go, whatever they happened to.
    pub(crate) fn destination(&self, source: &str, kind: &str) -> String {
        format!("{}.events.{source}.{kind}", self.subject_prefix)
    }

    /// The subjects of all events of a kind.
    pub(crate) fn of_kind(&self, kind: &str) -> String {
        format!("{}.events.*.{kind}.*", self.subject_prefix)
    }

    /// The subjects of all events of a service.
    pub(crate) fn of_source(&self, source: &str) -> String {
        format!("{}.events.{source}.>", self.subject_prefix)
    }

    /// Where a service says that the stream has all of its recent events.
    pub(crate) fn mark(&self, source: &str) -> String {
        format!("{}.events.{source}.complete", self.subject_prefix)
    }

    /// Where events of a kind are announced, outside of the stream.
    pub(crate) fn announced(&self, kind: &str) -> String {
        format!("{}.announced.{kind}", self.subject_prefix)
    }
}
