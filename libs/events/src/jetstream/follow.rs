//! One follower of this process: every event of its kinds since a time, by a
//! consumer of its own that the broker forgets with it.
//!
//! It always starts by time, never by a sequence: a stream that was lost and
//! made again counts from 1.

use std::time::Duration;

use async_nats::jetstream::{
    Message,
    consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
};
use countersign_types::{Clock, Timestamp};
use futures::{StreamExt, future::try_join_all, stream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{JetStream, envelope, mark::Marks};
use crate::{Error, Event, Following};

/// How long a request stays with the broker; its answer is the heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// An answer that is later than this did not come from the broker.
const LATE: Duration = Duration::from_secs(4);

/// How far the clocks of broker and replica may be apart.
const SKEW: Duration = Duration::from_mins(1);

/// How long the broker keeps the consumer of a process that died.
const FORGET: Duration = Duration::from_mins(1);

/// Messages asked for at once.
const BATCH: usize = 512;

/// How far a follower has come.
struct Reading<'a> {
    following: &'a Following,
    marks: Marks,
    /// Messages that are still to come.
    pending: u64,
    /// The number of the last one.
    last: u64,
}

impl JetStream {
    /// Feeds `following` until `cancel`, or until something may have been missed.
    pub(super) async fn follow(
        &self,
        following: &Following,
        cancel: &CancellationToken,
    ) -> Result<(), Error> {
        let followed = self.follow_on(following, cancel).await;
        following.lost();
        followed
    }

    async fn follow_on(
        &self,
        following: &Following,
        cancel: &CancellationToken,
    ) -> Result<(), Error> {
        let mut link = self.link.clone();
        let number = link.borrow_and_update().number;
        self.check().await?;
        // Before the backlog is read, so that nothing falls between.
        let subjects = following.kinds().map(|kind| self.options.announced(kind));
        let listening = subjects.map(|subject| self.client.subscribe(subject));
        let listening = try_join_all(listening).await;
        let listening = listening.map_err(|error| Error::broker("no announcements", error))?;
        let mut announced = stream::select_all(listening);

        let marks = Marks::wanted(self, following).await?;
        let now = Clock::system().now();
        let own = self.consumer_since(following, following.start(now).minus(SKEW)).await?;
        let mut reading =
            Reading { following, marks, pending: own.cached_info().num_pending, last: 0 };
        reading.look();
        loop {
            let asked = Instant::now();
            let batch = own.batch().max_messages(BATCH).expires(HEARTBEAT).messages().await;
            let mut batch = batch.map_err(|error| Error::broker("no events come", error))?;
            loop {
                tokio::select! {
                    () = cancel.cancelled() => return Ok(()),
                    changed = link.changed() => {
                        let now = *link.borrow_and_update();
                        if changed.is_err() || !now.connected || now.number != number {
                            return Err(Error::Away);
                        }
                    }
                    Some(message) = announced.next() => {
                        if let Some(event) = read(message.headers.as_ref(), &message.payload) {
                            following.apply(&event);
                        }
                    }
                    message = batch.next() => match message {
                        Some(Ok(message)) => reading.take(&message)?,
                        Some(Err(error)) => return Err(Error::broker("no events come", error)),
                        None if asked.elapsed() > LATE => return Err(Error::Away),
                        None => break,
                    }
                }
            }
            reading.look();
            following.heard_now();
        }
    }

    async fn consumer_since(
        &self,
        following: &Following,
        start: Timestamp,
    ) -> Result<PullConsumer, Error> {
        let subjects = following.kinds().map(|kind| self.options.of_kind(kind));
        let marks = following.sources().iter().map(|source| self.options.mark(source));
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartTime { start_time: envelope::date_time(start) },
            ack_policy: AckPolicy::None,
            filter_subjects: subjects.chain(marks).collect(),
            inactive_threshold: FORGET,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let stream = self.stream().await?;
        let own = self.on_one_connection(stream.create_consumer(config)).await?;
        own.map_err(|error| Error::broker("a follower cannot be made", error))
    }
}

impl Reading<'_> {
    /// Applies the next message of the stream.
    fn take(&mut self, message: &Message) -> Result<(), Error> {
        let info = message.info();
        let info = info.map_err(|error| Error::broker("no message of a stream", error))?;
        if info.consumer_sequence != self.last + 1 {
            let follower = self.following.name();
            tracing::warn!(follower, "events were missed: reading them again");
            return Err(Error::Away);
        }
        if !self.marks.take(message)
            && let Some(event) = read(message.headers.as_ref(), &message.payload)
        {
            self.following.apply(&event);
        }
        (self.last, self.pending) = (info.consumer_sequence, info.pending);
        self.look();
        Ok(())
    }

    /// Looks whether everything is known.
    fn look(&mut self) {
        if self.pending == 0 && self.marks.are_there() {
            self.following.caught_up_now();
        }
    }
}

fn read(headers: Option<&async_nats::HeaderMap>, data: &[u8]) -> Option<Event> {
    // What is no event is buried by those who consume it.
    envelope::event(headers, data, Uuid::nil()).ok()
}
