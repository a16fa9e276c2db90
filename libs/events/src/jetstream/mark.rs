//! Marks: by one of them a service says that this stream, which may be younger
//! than what happened, has all of its events that followers may need.
//!
//! A mark is an event of the stream like others, behind those that it speaks
//! of, and names the stream by the time at which it was made: one that was
//! meant for a former stream says nothing about this one.

use std::collections::BTreeSet;

use async_nats::{
    HeaderMap,
    jetstream::{Message, message::PublishMessage, stream::LastRawMessageErrorKind},
};
use countersign_types::{Clock, EventId, Timestamp};
use uuid::Uuid;

use super::{JetStream, envelope};
use crate::{Error, Event, Following, sweep::FOLLOWED};

/// The stream that the mark is for.
const STREAM_CREATED: &str = "countersign-stream-created";

/// The kind of a mark as an event.
const KIND: &str = "countersign.stream.v1.Complete";

/// How far the clocks of broker and replica may be apart.
const SKEW: std::time::Duration = std::time::Duration::from_mins(1);

/// What a follower waits for.
pub(super) struct Marks {
    created: Timestamp,
    /// When the stream is old enough to be complete without a mark.
    complete: Timestamp,
    missing: BTreeSet<String>,
    by_mark: bool,
}

impl JetStream {
    /// Whether the service has marked this stream.
    pub(crate) async fn is_marked(&self, source: &str, created: Timestamp) -> Result<bool, Error> {
        let stream = self.stream().await?;
        let subject = self.options.mark(source);
        let looking = stream.get_last_raw_message_by_subject(&subject);
        match self.on_one_connection(looking).await? {
            Ok(mark) => Ok(is_for(&mark.headers, created)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(false),
            Err(error) => Err(Error::broker("the stream cannot be read", error)),
        }
    }

    /// Marks the stream that was made then.
    pub(crate) async fn mark(&self, source: &str, created: Timestamp) -> Result<(), Error> {
        let event = Event {
            id: EventId::generate(),
            kind: KIND.to_owned(),
            source: source.to_owned(),
            aggregate: Uuid::nil(),
            sequence: 0,
            time: Clock::system().now(),
            data: Vec::new(),
            trace: None,
        };
        let mut headers = envelope::headers(&event, &self.options.stream, None);
        headers.insert(STREAM_CREATED, created.as_micros().to_string());
        let message = PublishMessage::build().headers(headers);
        let failed = |error| Error::broker("the stream cannot be marked", error);
        let marking = async {
            let sent = self.context.send_publish(self.options.mark(source), message).await;
            sent.map_err(failed)?.await.map_err(failed)
        };
        self.on_one_connection(marking).await??;
        tracing::info!(source, "the stream has what followers need");
        Ok(())
    }
}

impl Marks {
    /// What must be there before `following` knows everything.
    pub(super) async fn wanted(road: &JetStream, following: &Following) -> Result<Self, Error> {
        let subjects = following.sources().iter().map(|source| road.options.mark(source));
        let missing: BTreeSet<String> = subjects.collect();
        let created =
            if missing.is_empty() { Timestamp::EPOCH } else { road.window().await?.created };
        let horizon = following.horizon();
        let complete = created.plus(horizon + SKEW);
        Ok(Self { created, complete, missing, by_mark: horizon <= FOLLOWED })
    }

    /// Notes a message where it is a mark; false where it is something else.
    pub(super) fn take(&mut self, message: &Message) -> bool {
        let headers = message.headers.as_ref();
        let Some(headers) = headers.filter(|headers| headers.get(STREAM_CREATED).is_some()) else {
            return false;
        };
        if self.by_mark && is_for(headers, self.created) {
            self.missing.remove(message.subject.as_str());
        }
        true
    }

    /// Whether the stream is complete.
    pub(super) fn are_there(&self) -> bool {
        self.missing.is_empty() || Clock::system().now() >= self.complete
    }
}

fn is_for(headers: &HeaderMap, created: Timestamp) -> bool {
    let named = headers.get(STREAM_CREATED).and_then(|time| time.as_str().parse::<i64>().ok());
    named == Some(created.as_micros())
}
