//! How far the consumers that are there are behind.

use async_nats::jetstream::stream::Stream;
use futures::TryStreamExt;

use super::JetStream;
use crate::Error;

impl JetStream {
    /// The most events that any durable consumer has still to settle. One that
    /// nobody reads for does not count: it may be away for long.
    pub(crate) async fn lag(&self) -> Result<u64, Error> {
        let stream = self.stream().await?;
        self.on_one_connection(most(&stream)).await?
    }
}

async fn most(stream: &Stream) -> Result<u64, Error> {
    let mut consumers = stream.consumers();
    let mut most = 0;
    while let Some(consumer) = consumers
        .try_next()
        .await
        .map_err(|error| Error::broker("the consumers cannot be looked up", error))?
    {
        let durable = consumer.config.durable_name.is_some();
        if durable && (consumer.num_waiting > 0 || consumer.num_ack_pending > 0) {
            let unsettled = u64::try_from(consumer.num_ack_pending).unwrap_or(u64::MAX);
            most = most.max(consumer.num_pending.saturating_add(unsettled));
        }
    }
    Ok(most)
}
