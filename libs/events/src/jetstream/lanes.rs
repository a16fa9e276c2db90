//! Order among the events that one replica holds for one consumer: an
//! aggregate's events are handled one after the other, those of different
//! aggregates beside each other.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use async_nats::jetstream::{Message, message::Acker};
use tokio::time::Instant;
use uuid::Uuid;

use super::envelope::{self, Malformed};
use crate::Event;

/// How much longer later events wait than the one that they wait for.
const BEHIND: Duration = Duration::from_millis(20);

/// For how long an event that is due again may fail to come before the later
/// ones go on without it: another replica has it, or has settled it.
const GRACE: Duration = Duration::from_secs(2);

/// An event from the broker that waits for its answer.
pub(super) struct Delivery {
    pub event: Event,
    /// Why this is no event.
    pub malformed: Option<String>,
    /// How often the broker has delivered it, from 1.
    pub delivered: u32,
    pub acker: Acker,
    lane: Uuid,
    sequence: u64,
}

/// What a replica holds for one consumer.
#[derive(Default)]
pub(super) struct Lanes {
    waiting: HashMap<Uuid, VecDeque<Arc<Delivery>>>,
    /// Lanes with an event that can be taken, in the order of arrival.
    free: VecDeque<Uuid>,
    busy: BTreeSet<Uuid>,
    away: HashMap<Uuid, Away>,
    all: HashMap<u64, Arc<Delivery>>,
}

/// The events of an aggregate that were sent back to the broker, by their
/// sequence, and when each is due again. The broker does not keep their order:
/// a later one may come first.
type Away = BTreeMap<i64, Instant>;

impl Delivery {
    /// Reads a message of the broker.
    ///
    /// # Errors
    /// Where it did not come from a stream.
    pub(super) fn new(message: Message) -> Result<Self, async_nats::Error> {
        let info = message.info()?;
        let (sequence, delivered) = (info.stream_sequence, info.delivered);
        // Unique even where another stream of this name gave the same number.
        let published = u64::try_from(info.published.unix_timestamp_nanos()).unwrap_or(0);
        let fallback = Uuid::from_u64_pair(published, sequence);
        let (message, acker) = message.split();
        let read = envelope::event(message.headers.as_ref(), &message.payload, fallback);
        let (event, malformed) = match read {
            Ok(event) => (event, None),
            Err(malformed) => {
                let Malformed { event, reason } = *malformed;
                (event, Some(reason))
            }
        };
        let lane = if event.aggregate.is_nil() { event.id.as_uuid() } else { event.aggregate };
        let delivered = u32::try_from(delivered).unwrap_or(1);
        Ok(Self { event, malformed, delivered, acker, lane, sequence })
    }
}

impl Lanes {
    /// How many events there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// All events that wait for their answer.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Delivery>> {
        self.all.values()
    }

    /// Takes an event in.
    ///
    /// # Errors
    /// Gives it back, with the wait, where it would overtake one that failed.
    pub(super) fn arrive(&mut self, delivery: Delivery) -> Result<(), (Arc<Delivery>, Duration)> {
        let delivery = Arc::new(delivery);
        let lane = delivery.lane;
        if let Some(due) = self.missing_before(&delivery) {
            let now = Instant::now();
            let wait = due.saturating_duration_since(now) + BEHIND;
            self.send_away(&delivery, now + wait);
            return Err((delivery, wait));
        }
        // The same again, after a wait that was too long: the newer answers.
        self.all.insert(delivery.sequence, Arc::clone(&delivery));
        let queue = self.waiting.entry(lane).or_default();
        let place = queue.partition_point(|other| other.event.sequence <= delivery.event.sequence);
        queue.insert(place, delivery);
        if queue.len() == 1 && !self.busy.contains(&lane) {
            self.free.push_back(lane);
        }
        Ok(())
    }

    /// The next event to handle; its lane is busy until it is settled or failed.
    pub(super) fn next(&mut self) -> Option<Arc<Delivery>> {
        let lane = self.free.pop_front()?;
        let queue = self.waiting.get_mut(&lane)?;
        let delivery = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&lane);
        }
        self.busy.insert(lane);
        delivery
    }

    /// The event was answered.
    pub(super) fn settled(&mut self, delivery: &Delivery) {
        self.all.remove(&delivery.sequence);
        self.busy.remove(&delivery.lane);
        if self.waiting.contains_key(&delivery.lane) {
            self.free.push_back(delivery.lane);
        }
    }

    /// The event comes again after `wait`. Returns those that must come after
    /// it, and when.
    pub(super) fn failed(
        &mut self,
        delivery: &Delivery,
        wait: Duration,
    ) -> (Vec<Arc<Delivery>>, Duration) {
        self.all.remove(&delivery.sequence);
        self.busy.remove(&delivery.lane);
        let now = Instant::now();
        self.away.retain(|_, away| away.values().any(|due| *due + GRACE > now));
        self.send_away(delivery, now + wait);
        let behind: Vec<_> = self.waiting.remove(&delivery.lane).unwrap_or_default().into();
        for delivery in &behind {
            self.all.remove(&delivery.sequence);
            self.send_away(delivery, now + wait + BEHIND);
        }
        (behind, wait + BEHIND)
    }

    fn send_away(&mut self, delivery: &Delivery, due: Instant) {
        // Without a sequence there is no order.
        if delivery.event.sequence > 0 {
            self.away.entry(delivery.lane).or_default().insert(delivery.event.sequence, due);
        }
    }

    /// The event is here again. When the last of those before it that are
    /// still to come is due.
    fn missing_before(&mut self, delivery: &Delivery) -> Option<Instant> {
        let now = Instant::now();
        let away = self.away.get_mut(&delivery.lane)?;
        away.remove(&delivery.event.sequence);
        away.retain(|_, due| *due + GRACE > now);
        let last = away.range(..delivery.event.sequence).map(|(_, due)| *due).max();
        if away.is_empty() {
            self.away.remove(&delivery.lane);
        }
        last
    }

    /// The events that nobody has begun with.
    pub(super) fn drain(&mut self) -> Vec<Arc<Delivery>> {
        self.free.clear();
        let waiting: Vec<_> = self.waiting.drain().flat_map(|(_, queue)| queue).collect();
        for delivery in &waiting {
            self.all.remove(&delivery.sequence);
        }
        waiting
    }
}
