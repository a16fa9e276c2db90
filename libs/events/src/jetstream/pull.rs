//! One consumer of this process, fed from its durable consumer at the broker.
//!
//! Within a replica an aggregate's events come in order, also behind one that
//! failed. Two replicas of a service share one durable consumer: there, an
//! event may overtake an earlier one of its aggregate that failed or that the
//! other replica still has in hand. Handlers commute, or look at the sequence.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{AckKind, consumer::pull::Batch, message::Acker};
use futures::StreamExt;
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use super::{
    JetStream, RETRY,
    lanes::{Delivery, Lanes},
    setup,
};
use crate::{Consumer, Error, Nack, messaging::Way};

/// How long a request for events stays with the broker.
const PULL_EXPIRES: Duration = Duration::from_secs(20);

/// The wait of an event that this version does not know: a newer one may.
const UNKNOWN_WAIT: Duration = Duration::from_secs(1);

/// Deliveries of an event that no version knows before it is a dead letter.
const UNKNOWN_DELIVERIES: u32 = 300;

/// The most time that the events in hand get at the end.
const END: Duration = Duration::from_secs(5);

/// An event that was handled, and the wait after which it comes again, if it does.
type Handled = (Arc<Delivery>, Option<Duration>);

impl JetStream {
    /// Delivers to `consumer` until `cancel`, or until the connection or the
    /// consumer at the broker is gone.
    pub(super) async fn pull(
        &self,
        consumer: &Consumer,
        cancel: &CancellationToken,
    ) -> Result<(), Error> {
        let mut link = self.link.clone();
        let number = link.borrow_and_update().number;
        self.check().await?;
        let stream = self.stream().await?;
        let durable = setup::consumer(&stream, &self.options, consumer);
        let durable = self.on_one_connection(durable).await??;
        let parallel = if consumer.one_writer() { 1 } else { self.options.parallel.max(1) };
        let most = self.options.batch.max(1);

        let mut lanes = Lanes::default();
        let mut running: JoinSet<Handled> = JoinSet::new();
        let mut batch: Option<Batch> = None;
        let mut failures: u32 = 0;
        let mut pull_after = Instant::now();
        let mut progress = tokio::time::interval(self.options.ack_wait / 3);
        progress.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while running.len() < parallel
                && let Some(delivery) = lanes.next()
            {
                let (hands, way) = (Arc::clone(&self.hands), self.way(&delivery.event));
                running.spawn(handle(hands, consumer.clone(), way, delivery));
            }
            // Half empty is worth a request; with a batch open it never exceeds `most`.
            if batch.is_none() && lanes.len() <= most / 2 && Instant::now() >= pull_after {
                let pulled = durable.batch().max_messages(most - lanes.len()).expires(PULL_EXPIRES);
                let pulled = pulled.messages().await;
                batch = Some(pulled.map_err(|error| Error::broker("no events come", error))?);
            }
            let idle = batch.is_none() && running.is_empty();
            tokio::select! {
                () = cancel.cancelled() => break,
                changed = link.changed() => {
                    let now = *link.borrow_and_update();
                    if changed.is_err() || !now.connected || now.number != number {
                        return Err(Error::Away);
                    }
                }
                message = next(&mut batch) => match message {
                    None => batch = None,
                    Some(Err(error)) => return Err(Error::broker("no events come", error)),
                    Some(Ok(message)) => match Delivery::new(message) {
                        Ok(delivery) => if let Err((early, wait)) = lanes.arrive(delivery) {
                            nak(&early.acker, wait).await;
                        },
                        Err(error) => return Err(Error::broker("no message of a stream", error)),
                    },
                },
                Some(handled) = running.join_next() => match handled
                    .map_err(|error| Error::broker("an event was not handled", error))?
                {
                    (delivery, None) => {
                        failures = 0;
                        lanes.settled(&delivery);
                    }
                    (delivery, Some(wait)) => {
                        // Where everything fails, the next ones would, too.
                        failures = failures.saturating_add(1);
                        if failures > 8 {
                            pull_after = Instant::now() + RETRY.delay(failures - 8);
                        }
                        let (behind, wait) = lanes.failed(&delivery, wait);
                        for delivery in behind {
                            nak(&delivery.acker, wait).await;
                        }
                    }
                },
                _ = progress.tick() => for delivery in lanes.all() {
                    drop(delivery.acker.ack_with(AckKind::Progress).await);
                },
                () = tokio::time::sleep_until(pull_after), if idle => {}
            }
        }
        for delivery in lanes.drain() {
            nak(&delivery.acker, Duration::ZERO).await;
        }
        // What is in hand goes on to its end; what does not, comes again.
        drop(
            tokio::time::timeout(END, async { while running.join_next().await.is_some() {} }).await,
        );
        Ok(())
    }
}

/// Delivers one event and answers the broker.
async fn handle(
    hands: Arc<Semaphore>,
    consumer: Consumer,
    way: Way,
    delivery: Arc<Delivery>,
) -> Handled {
    // It is never closed.
    let hand = hands.acquire().await;
    let event = &delivery.event;
    let outcome = match &delivery.malformed {
        Some(reason) => consumer.bury(event, reason).await,
        None if consumer.takes(&event.kind) => consumer.deliver_by(&way, event).await,
        None if delivery.delivered < UNKNOWN_DELIVERIES => {
            Err(Nack { retry_after: Some(UNKNOWN_WAIT) })
        }
        None => consumer.bury(event, "UNKNOWN: nobody here takes this kind").await,
    };
    drop(hand);
    let wait = match outcome {
        Ok(()) => {
            // Without an answer it comes again, and is recognised.
            if let Err(error) = delivery.acker.double_ack().await {
                tracing::debug!(error = %error, "an acknowledgement was not confirmed");
            }
            None
        }
        Err(nack) => {
            let wait = nack.retry_after.unwrap_or_else(|| RETRY.delay(delivery.delivered));
            nak(&delivery.acker, wait).await;
            Some(wait)
        }
    };
    (delivery, wait)
}

/// The next message of the open request; never, where none is open.
async fn next(
    batch: &mut Option<Batch>,
) -> Option<Result<async_nats::jetstream::Message, async_nats::Error>> {
    match batch {
        Some(batch) => batch.next().await,
        None => std::future::pending().await,
    }
}

async fn nak(acker: &Acker, wait: Duration) {
    if let Err(error) = acker.ack_with(AckKind::Nak(Some(wait))).await {
        tracing::debug!(error = %error, "the broker was not told to deliver again");
    }
}
