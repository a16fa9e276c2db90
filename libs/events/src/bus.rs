//! The road from a relay to the consumers.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use crate::{Consumer, Event};

/// The event is not settled everywhere: publish it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nack {
    /// When the consumer wants it again; `None` leaves it to the publisher.
    pub retry_after: Option<Duration>,
}

/// Carries events within this process. Clones are the same bus.
#[derive(Clone, Default)]
pub struct Bus(Arc<RwLock<Vec<Consumer>>>);

impl Bus {
    /// A bus in memory: a publish delivers, and resolves when everybody has
    /// settled the event. It keeps nothing; what it was not able to deliver
    /// stays in the outbox.
    #[must_use]
    pub fn memory() -> Self {
        Self::default()
    }

    /// Adds a consumer. All consumers of a process subscribe before its relays
    /// start: an event published earlier counts as published without them.
    pub fn subscribe(&self, consumer: Consumer) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(consumer);
    }

    /// Delivers the event to each consumer of its kind, one after the other,
    /// also behind one that fails.
    ///
    /// # Errors
    /// [`Nack`] where at least one has not settled it, with the longest wait
    /// that any asked for. Who has settled it recognises it the next time.
    pub async fn publish(&self, event: &Event) -> Result<(), Nack> {
        let consumers: Vec<Consumer> = {
            let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
            all.iter().filter(|consumer| consumer.takes(&event.kind)).cloned().collect()
        };
        let mut result: Result<(), Nack> = Ok(());
        for consumer in consumers {
            if let Err(nack) = consumer.deliver(event).await {
                result = Err(match result {
                    Ok(()) => nack,
                    Err(before) => Nack { retry_after: before.retry_after.max(nack.retry_after) },
                });
            }
        }
        result
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bus(memory)")
    }
}
