//! The road from a relay to the consumers.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    Consumer, Error, Event, Follower, Following, JetStreamOptions, Nack, Receipt,
    backlog::Backlog,
    jetstream::JetStream,
    messaging::{MessagingMeter, Way},
    meter,
    receipt::Refusal,
};

/// Carries events within this process or through a broker. Clones are the same bus.
#[derive(Clone)]
pub struct Bus(Arc<Inner>);

struct Inner {
    road: Road,
    consumers: RwLock<Vec<Consumer>>,
    followings: RwLock<Vec<Following>>,
    meter: MessagingMeter,
}

enum Road {
    /// The sender keeps the channel open that says it is always there.
    Memory(watch::Sender<bool>),
    JetStream(Arc<JetStream>),
}

impl Bus {
    /// A bus in memory: a publish delivers, and resolves when everybody has
    /// settled the event. It keeps nothing; what it was not able to deliver
    /// stays in the outbox.
    #[must_use]
    pub fn memory() -> Self {
        Self::on(Road::Memory(watch::Sender::new(true)))
    }

    /// A bus through NATS JetStream: a publish resolves when the stream has
    /// the event, and [`Bus::run`] delivers. It starts while the broker is
    /// away, and connects when it comes.
    ///
    /// # Errors
    /// [`Error::Setup`]: an address, file or certificate cannot be used.
    pub async fn jetstream(options: JetStreamOptions) -> Result<Self, Error> {
        Ok(Self::on(Road::JetStream(Arc::new(JetStream::open(options).await?))))
    }

    fn on(road: Road) -> Self {
        let (consumers, followings) = (RwLock::default(), RwLock::default());
        Self(Arc::new(Inner { road, consumers, followings, meter: MessagingMeter::new() }))
    }

    /// Adds a consumer. All consumers of a process subscribe before its relays
    /// start and before [`Bus::run`]: in memory, an event published earlier
    /// counts as published without them.
    pub fn subscribe(&self, consumer: Consumer) {
        self.0.consumers.write().unwrap_or_else(PoisonError::into_inner).push(consumer);
    }

    /// Adds a follower, before [`Bus::run`]. Every process that follows gets
    /// every event.
    pub fn follow(&self, follower: Follower) -> Following {
        let following = Following::new(follower, matches!(self.0.road, Road::Memory(_)));
        meter::watch_staleness(&following);
        let mut followings = self.0.followings.write().unwrap_or_else(PoisonError::into_inner);
        followings.push(following.clone());
        following
    }

    /// Publishes the event. In memory, it goes to each consumer of its kind,
    /// one after the other, also behind one that fails.
    ///
    /// # Errors
    /// [`Nack`] where at least one has not settled it, with the longest wait
    /// that any asked for, or where the stream does not have it. Who has
    /// settled it recognises it the next time.
    pub async fn publish(&self, event: &Event) -> Result<Receipt, Nack> {
        self.carry(event, None).await.map_err(|refusal| match refusal {
            Refusal::Later(nack) => nack,
            Refusal::Away => Nack { retry_after: None },
        })
    }

    /// Tells the followers of a committed event at once, ahead of the relay.
    /// Nothing is promised: the relay publishes the event all the same.
    /// Consumers are not told, so that their order stays.
    pub async fn announce(&self, event: &Event) {
        match &self.0.road {
            Road::Memory(_) => self.apply(event),
            Road::JetStream(jetstream) => jetstream.announce(event).await,
        }
    }

    /// Feeds consumers and followers until `cancel`, then ends with the events
    /// in hand. One task of a process for each bus; in memory it only waits.
    pub async fn run(self, cancel: CancellationToken) {
        match &self.0.road {
            Road::Memory(_) => cancel.cancelled().await,
            Road::JetStream(jetstream) => {
                let consumers = self.consumers(|_| true);
                Arc::clone(jetstream).run(consumers, self.followings(), cancel).await;
            }
        }
    }

    /// Whether the road is open, now and from now on: for a readiness that
    /// tells, and for nothing that would stop a registration or a login.
    #[must_use]
    pub fn connected(&self) -> watch::Receiver<bool> {
        match &self.0.road {
            Road::Memory(always) => always.subscribe(),
            Road::JetStream(jetstream) => jetstream.connected(),
        }
    }

    /// As [`Bus::publish`]; `before` is its place in the stream, where it is
    /// published again.
    pub(crate) async fn carry(
        &self,
        event: &Event,
        before: Option<i64>,
    ) -> Result<Receipt, Refusal> {
        let way = match &self.0.road {
            Road::Memory(_) => Way::within(event),
            Road::JetStream(jetstream) => jetstream.way(event),
        };
        let sending = self.0.meter.send(&way, event);
        let event = sending.stamped(event);
        let carrying = async {
            match &self.0.road {
                Road::Memory(_) => {
                    self.apply(&event);
                    self.deliver(&event).await.map_err(Refusal::Later)?;
                    Ok(Receipt::default())
                }
                Road::JetStream(jetstream) => jetstream.publish(&event, before).await,
            }
        };
        let carried = sending.scope(carrying).await;
        sending.end(carried.as_ref().err().map(Refusal::word));
        carried
    }

    /// In memory, an event that waits in an outbox is what its consumers lag
    /// behind: nothing is kept on the way.
    pub(crate) fn lags_behind(&self, source: &'static str, backlog: &Backlog) {
        if matches!(self.0.road, Road::Memory(_)) {
            for consumer in self.consumers(|_| true) {
                let waiting = backlog.count(|kind| consumer.takes(kind));
                consumer.lags(Some(source), waiting);
            }
        }
    }

    /// The broker, if there is one.
    pub(crate) fn broker(&self) -> Option<&JetStream> {
        match &self.0.road {
            Road::Memory(_) => None,
            Road::JetStream(jetstream) => Some(jetstream),
        }
    }

    async fn deliver(&self, event: &Event) -> Result<(), Nack> {
        let mut result: Result<(), Nack> = Ok(());
        for consumer in self.consumers(|consumer| consumer.takes(&event.kind)) {
            if let Err(nack) = consumer.deliver(event).await {
                result = Err(match result {
                    Ok(()) => nack,
                    Err(before) => Nack { retry_after: before.retry_after.max(nack.retry_after) },
                });
            }
        }
        result
    }

    fn apply(&self, event: &Event) {
        for following in self.followings() {
            following.apply(event);
        }
    }

    fn consumers(&self, wanted: impl Fn(&Consumer) -> bool) -> Vec<Consumer> {
        let all = self.0.consumers.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|consumer| wanted(consumer)).cloned().collect()
    }

    fn followings(&self) -> Vec<Following> {
        self.0.followings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Default for Bus {
    /// A bus in memory.
    fn default() -> Self {
        Self::memory()
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.road {
            Road::Memory(_) => f.write_str("Bus(memory)"),
            Road::JetStream(jetstream) => write!(f, "Bus({jetstream:?})"),
        }
    }
}
