//! How far the consumers that are there are behind.

use async_nats::jetstream::stream::Stream;
use futures::TryStreamExt;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{JetStream, setup};
use crate::{Consumer, Error};

impl JetStream {
    /// The most events that any durable consumer has still to settle. One that
    /// nobody reads for does not count: it may be away for long.
    pub(crate) async fn lag(&self) -> Result<u64, Error> {
        let stream = self.stream().await?;
        self.on_one_connection(most(&stream)).await?
    }

    /// Tells how far this consumer is behind until `cancel`; while the broker is
    /// away, what was told last stays.
    pub(super) async fn watch_lag(&self, consumer: &Consumer, cancel: &CancellationToken) {
        let mut look = interval(self.options.sample_interval);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while cancel.run_until_cancelled(look.tick()).await.is_some() {
            if !*self.connected.borrow() {
                continue;
            }
            match cancel.run_until_cancelled(self.lag_of(consumer)).await {
                Some(Ok(events)) => consumer.lags(None, events),
                Some(Err(error)) => tracing::debug!(error = %error, "nobody knows how far behind"),
                None => return,
            }
        }
    }

    async fn lag_of(&self, consumer: &Consumer) -> Result<u64, Error> {
        let stream = self.stream().await?;
        let name = setup::durable(consumer);
        let info = self.on_one_connection(stream.consumer_info(name)).await?;
        let info = info.map_err(|e| Error::broker("the consumer cannot be looked up", e))?;
        let unsettled = u64::try_from(info.num_ack_pending).unwrap_or(u64::MAX);
        Ok(info.num_pending.saturating_add(unsettled))
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
