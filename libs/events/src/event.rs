//! An event as it travels: a protobuf message in an envelope (CloudEvents 1.0
//! `id`, `type`, `source`, `subject`, `sequence`, `time`, `traceparent`).

use countersign_types::{EventId, Timestamp, TraceParent};
use prost::{Message, Name};
use uuid::Uuid;

use crate::{
    Error,
    entity::{dead_letter, outbox},
};

/// The longest encoded event, in bytes: 64 KiB, well under what any broker carries.
pub const DATA_MAX: usize = 64 * 1024;

/// Something that happened, once and for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Consumers recognise a repeated delivery by it.
    pub id: EventId,
    /// Full name of the protobuf message, such as `countersign.events.v1.UserCreated`.
    pub kind: String,
    /// The service that it happened in.
    pub source: String,
    /// What it happened to; nil for an event without an order.
    pub aggregate: Uuid,
    /// Its place among the events of its aggregate, from 1; 0 where the aggregate is nil.
    pub sequence: i64,
    /// When it happened.
    pub time: Timestamp,
    /// The encoded message.
    pub data: Vec<u8>,
    /// The trace of the call or event that it comes from.
    pub trace: Option<TraceParent>,
}

impl Event {
    /// Whether the event is an `E`.
    #[must_use]
    pub fn is<E: Name>(&self) -> bool {
        self.kind == E::full_name()
    }

    /// The message.
    ///
    /// # Errors
    /// [`Error::Kind`] where the event is no `E`, [`Error::Decode`] where its
    /// data are damaged.
    pub fn decode<E: Message + Name + Default>(&self) -> Result<E, Error> {
        if !self.is::<E>() {
            return Err(Error::Kind { expected: E::full_name(), found: self.kind.clone() });
        }
        E::decode(self.data.as_slice())
            .map_err(|source| Error::Decode { kind: self.kind.clone(), source })
    }
}

impl Event {
    /// The same as part of a trace, given as its text; one that is damaged is none.
    pub(crate) fn in_trace(self, trace: Option<&str>) -> Self {
        Self { trace: trace.and_then(|text| text.parse().ok()), ..self }
    }
}

impl From<outbox::Model> for Event {
    fn from(row: outbox::Model) -> Self {
        Self {
            id: row.id.into(),
            kind: row.kind,
            source: row.source,
            aggregate: row.aggregate,
            sequence: row.sequence.unwrap_or(0),
            time: Timestamp::from_micros(row.create_time),
            data: row.data,
            trace: None,
        }
    }
}

impl From<dead_letter::Model> for Event {
    fn from(row: dead_letter::Model) -> Self {
        Self {
            id: row.event_id.into(),
            kind: row.kind,
            source: row.source,
            aggregate: row.aggregate,
            sequence: row.sequence,
            time: Timestamp::from_micros(row.create_time),
            data: row.data,
            trace: row.traceparent.and_then(|text| text.parse().ok()),
        }
    }
}
