//! Both services on files, and a look at the broker behind their backs.

use async_nats::jetstream::{self, consumer::pull};
use countersign_events::{JetStreamOptions, Outbox};
use tempfile::TempDir;

use crate::{process::sqlite, stage::Plans};

pub struct Town {
    folder: TempDir,
    pub plans: Plans,
}

impl Town {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), plans: Plans::default() }
    }

    pub async fn producer(&self) -> Outbox {
        sqlite(&self.folder.path().join("producer.db"), "producer").await
    }

    pub async fn consumer(&self) -> Outbox {
        sqlite(&self.folder.path().join("consumer.db"), "consumer").await
    }
}

pub async fn server(options: &JetStreamOptions) -> jetstream::Context {
    jetstream::new(async_nats::connect(options.urls.as_slice()).await.unwrap())
}

/// How many events of these tests the stream has; marks do not count.
pub async fn stream_length(options: &JetStreamOptions) -> u64 {
    let stream = server(options).await.get_stream("COUNTERSIGN").await.unwrap();
    let filter_subject = "countersign.events.*.test.v1.*.*".to_owned();
    let config = pull::Config { filter_subject, ..pull::Config::default() };
    stream.create_consumer(config).await.unwrap().cached_info().num_pending
}
