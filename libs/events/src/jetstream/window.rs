//! What the stream has, for the sweep that compares it with the outbox.

use std::{collections::HashSet, time::Duration};

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use countersign_types::Timestamp;
use futures::StreamExt;
use uuid::Uuid;

use super::JetStream;
use crate::Error;

/// Messages asked for at once.
const BATCH: usize = 1000;

/// The most time that one batch may take.
const BATCH_TIME: Duration = Duration::from_secs(5);

/// The stream as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// When the stream was made; another time is another stream.
    pub created: Timestamp,
    /// The oldest message that is there.
    pub first: i64,
    /// The number that was given out last.
    pub last: i64,
    /// How long a message is kept.
    pub max_age: Duration,
    /// Whether the stream may drop messages before their age, to stay small.
    pub bounded: bool,
}

impl JetStream {
    /// What the stream has.
    pub(crate) async fn window(&self) -> Result<Window, Error> {
        let info = self.info().await?;
        let created = info.created.unix_timestamp_nanos() / 1000;
        Ok(Window {
            created: Timestamp::from_micros(i64::try_from(created).unwrap_or(0)),
            first: i64::try_from(info.state.first_sequence).unwrap_or(i64::MAX),
            last: i64::try_from(info.state.last_sequence).unwrap_or(i64::MAX),
            max_age: info.config.max_age,
            bounded: info.config.max_bytes > 0 || info.config.max_messages > 0,
        })
    }

    /// The ids of the service's events between two sequences, both included.
    /// Reads headers only.
    pub(crate) async fn ids(
        &self,
        source: &str,
        first: i64,
        last: i64,
    ) -> Result<HashSet<Uuid>, Error> {
        self.on_one_connection(self.read_ids(source, first, last)).await?
    }

    async fn read_ids(&self, source: &str, first: i64, last: i64) -> Result<HashSet<Uuid>, Error> {
        let mut ids = HashSet::new();
        let last = u64::try_from(last).unwrap_or(0);
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: u64::try_from(first).unwrap_or(1).max(1),
            },
            ack_policy: AckPolicy::None,
            filter_subject: self.options.of_source(source),
            headers_only: true,
            inactive_threshold: Duration::from_secs(30),
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let stream = self.stream().await?;
        let reader = stream.create_consumer(config).await;
        let reader = reader.map_err(|error| Error::broker("the stream cannot be read", error))?;
        let mut left = reader.cached_info().num_pending;
        while left > 0 {
            let asked = usize::try_from(left).unwrap_or(BATCH).min(BATCH);
            let batch = reader.batch().max_messages(asked).expires(BATCH_TIME).messages().await;
            let mut batch = batch.map_err(|e| Error::broker("the stream cannot be read", e))?;
            let mut got = 0_u64;
            while let Some(message) = batch.next().await {
                let message = message.map_err(|e| Error::broker("the stream cannot be read", e))?;
                let info = message.info();
                let info = info.map_err(|e| Error::broker("no message of a stream", e))?;
                if info.stream_sequence > last {
                    return Ok(ids);
                }
                let headers = message.headers.as_ref();
                let id = headers.and_then(|headers| headers.get(super::envelope::ID));
                ids.extend(id.and_then(|id| id.as_str().parse::<Uuid>().ok()));
                got += 1;
                left = info.pending;
            }
            if got == 0 {
                return Err(Error::Away);
            }
        }
        Ok(ids)
    }
}
