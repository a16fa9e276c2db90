//! One consumer of events: its effect, its inbox entry and its own events are
//! one transaction.

use std::{collections::BTreeSet, fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use countersign_types::{Code, Fault, Timestamp};
use futures::{FutureExt as _, future::BoxFuture};
use sea_orm::DbBackend;
use tokio_util::sync::CancellationToken;

use crate::{
    Backoff, Error, Event, Nack, Outbox, Unit, dead, inbox,
    messaging::{MessagingMeter, Way},
    meter::ConsumerMeter,
};

/// Requeued dead letters taken in one step.
const REDELIVERY_BATCH: u64 = 16;

/// What a service does about an event.
pub trait Handler: Send + Sync + 'static {
    /// Makes the effect in `unit`, and appends the events that follow from it.
    /// It must have no effect elsewhere: it runs again where its transaction
    /// did not commit. It returns each error of a statement and goes on after
    /// none: PostgreSQL undoes a transaction with a failed statement in it.
    ///
    /// # Errors
    /// [`Code::Unavailable`] means that the handler could not work (the
    /// database is away, the disk is full): the event comes again until it
    /// can. Any other fault counts as a try; after
    /// [`ConsumerOptions::max_deliveries`] the event is a dead letter.
    fn handle<'a>(&'a self, unit: &'a Unit, event: &'a Event) -> BoxFuture<'a, Result<(), Fault>>;
}

/// How patient a consumer is.
#[derive(Clone, Copy, Debug)]
pub struct ConsumerOptions {
    /// Tries before an event becomes a dead letter; at least 1.
    pub max_deliveries: u32,
    /// Waits between the tries.
    pub backoff: Backoff,
    /// How often requeued dead letters are looked for.
    pub redelivery_interval: Duration,
}

impl Default for ConsumerOptions {
    /// 8 tries over about 13 s; requeued letters within 15 s.
    fn default() -> Self {
        Self {
            max_deliveries: 8,
            backoff: Backoff::default(),
            redelivery_interval: Duration::from_secs(15),
        }
    }
}

/// Delivers events to a handler, each with one effect. Clones are the same consumer.
///
/// An event that becomes a dead letter is settled: it no longer holds up the
/// later events of its aggregate, which therefore may meet a handler that has
/// missed one. Handlers commute, or look at [`Event::sequence`].
#[derive(Clone)]
pub struct Consumer(Arc<Inner>);

struct Inner {
    name: &'static str,
    kinds: BTreeSet<String>,
    outbox: Outbox,
    handler: Box<dyn Handler>,
    options: ConsumerOptions,
    meter: ConsumerMeter,
    messaging: MessagingMeter,
}

/// Why one try came to nothing.
enum Failure {
    /// Nobody can tell anything about the event: the database, or what the handler needs, is away.
    Away { retry_after: Option<Duration>, reason: String },
    /// The handler refused the event.
    Refused(String),
}

impl Consumer {
    /// A consumer of the given kinds (full names of messages). `name` is its
    /// identity in the database and must never change or be used twice;
    /// `outbox` belongs to the consuming service.
    pub fn new(
        name: &'static str,
        kinds: &[&str],
        outbox: Outbox,
        handler: impl Handler,
        options: ConsumerOptions,
    ) -> Self {
        Self(Arc::new(Inner {
            name,
            kinds: kinds.iter().map(|&kind| kind.to_owned()).collect(),
            outbox,
            handler: Box::new(handler),
            options,
            meter: ConsumerMeter::new(name),
            messaging: MessagingMeter::new(),
        }))
    }

    /// The consumer's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// Whether the consumer wants events of this kind.
    #[must_use]
    pub fn takes(&self, kind: &str) -> bool {
        self.0.kinds.contains(kind)
    }

    /// The kinds of events that the consumer wants.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &str> {
        self.0.kinds.iter().map(String::as_str)
    }

    /// The service that the consumer belongs to.
    pub(crate) fn source(&self) -> &'static str {
        self.0.outbox.source()
    }

    /// Whether the consumer's database lets one transaction write at a time.
    pub(crate) fn one_writer(&self) -> bool {
        self.0.outbox.db().get_database_backend() == DbBackend::Sqlite
    }

    /// Delivers an event. `Ok` means settled: the effect is committed, now or
    /// at an earlier delivery, or the event is a dead letter. The future may be
    /// dropped at any point; nothing is lost, and nothing happens twice.
    ///
    /// # Errors
    /// [`Nack`]: deliver it again.
    pub async fn deliver(&self, event: &Event) -> Result<(), Nack> {
        self.deliver_by(&Way::within(event), event).await
    }

    /// As [`Consumer::deliver`], for an event that came by this way.
    pub(crate) async fn deliver_by(&self, way: &Way, event: &Event) -> Result<(), Nack> {
        let processing = self.0.messaging.process(way, self.0.name, event);
        let settling = async {
            let tried = self.try_once(event).await;
            processing.end(tried.as_ref().err().map(Failure::word));
            self.settle(event, tried).await
        };
        processing.scope(settling).await
    }

    async fn settle(&self, event: &Event, tried: Result<(), Failure>) -> Result<(), Nack> {
        let refusal = match tried {
            Ok(()) => return Ok(()),
            Err(Failure::Refused(refusal)) => refusal,
            Err(Failure::Away { retry_after, reason }) => {
                self.warn(event, &reason, "event cannot be handled now");
                return Err(Nack { retry_after });
            }
        };
        self.0.meter.failed();
        self.warn(event, &refusal, "event handler failed");
        match self.count(event, &refusal).await {
            Ok(settled) => settled,
            Err(error) => {
                self.warn(event, &error.to_string(), "failed event cannot be counted");
                Err(Nack { retry_after: None })
            }
        }
    }

    /// So many events, of this service where they are of one alone, are still to
    /// be settled.
    pub(crate) fn lags(&self, source: Option<&'static str>, events: u64) {
        self.0.meter.lag(source, events);
    }

    /// Gives up at once what cannot be delivered: it becomes a dead letter.
    ///
    /// # Errors
    /// [`Nack`]: bring it again.
    pub(crate) async fn bury(&self, event: &Event, reason: &str) -> Result<(), Nack> {
        let buried = async {
            let unit = self.0.outbox.begin().await?;
            let buried = dead::bury(&*unit, self.0.name, event, reason, 1, self.now()).await?;
            unit.commit().await?;
            Ok::<_, Error>(buried)
        };
        match buried.await {
            Ok(true) => {
                self.0.meter.dead();
                self.warn(event, reason, "what came is no event for this consumer");
                Ok(())
            }
            Ok(false) => Ok(()),
            Err(error) => {
                self.warn(event, &error.to_string(), "a dead letter cannot be written");
                Err(Nack { retry_after: None })
            }
        }
    }

    /// Delivers the dead letters of this consumer that an operator has
    /// requeued, once each: they are gone, or dead again with the new error.
    /// Returns how many it settled one way or the other.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn redeliver_step(&self) -> Result<usize, Error> {
        let db = self.0.outbox.db();
        let mut settled = 0;
        for event in dead::requeued(db, self.0.name, REDELIVERY_BATCH).await? {
            let processing = self.0.messaging.process(&Way::within(&event), self.0.name, &event);
            let redelivering = async {
                let tried = self.redeliver(&event).await;
                processing.end(tried.as_ref().err().map(Failure::word));
                self.settle_again(&event, tried).await
            };
            settled += usize::from(processing.scope(redelivering).await?);
        }
        self.0.meter.letters(dead::lying(db, self.0.name).await?);
        Ok(settled)
    }

    /// What becomes of a letter that was delivered again; whether it is settled.
    async fn settle_again(&self, event: &Event, tried: Result<(), Failure>) -> Result<bool, Error> {
        let (db, name) = (self.0.outbox.db(), self.0.name);
        match tried {
            Ok(()) => Ok(true),
            Err(Failure::Refused(refusal)) => {
                self.0.meter.failed();
                self.warn(event, &refusal, "requeued event failed again");
                dead::failed_again(db, name, event.id, &refusal, self.now()).await?;
                Ok(true)
            }
            Err(Failure::Away { reason, .. }) => {
                self.warn(event, &reason, "requeued event cannot be handled now");
                // To the end of the queue: it must not hold up the others.
                dead::requeue(db, name, event.id, self.now()).await?;
                Ok(false)
            }
        }
    }

    /// Looks for requeued dead letters every
    /// [`ConsumerOptions::redelivery_interval`] until `cancel`: one task of
    /// the service for each of its consumers.
    pub async fn run_redelivery(self, cancel: CancellationToken) {
        loop {
            match self.redeliver_step().await {
                Ok(0) => {}
                Ok(_) => continue,
                Err(error) => tracing::warn!(
                    consumer = self.0.name,
                    error = %error,
                    "requeued events cannot be read"
                ),
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(self.0.options.redelivery_interval) => {}
            }
        }
    }

    async fn try_once(&self, event: &Event) -> Result<(), Failure> {
        let unit = self.0.outbox.begin().await?;
        if inbox::claim(&*unit, self.0.name, event.id, self.now()).await.map_err(Error::from)? {
            self.handle(&unit, event).await?;
        } else {
            inbox::touch(&*unit, self.0.name, event.id, self.now()).await.map_err(Error::from)?;
        }
        Ok(unit.commit().await?)
    }

    async fn redeliver(&self, event: &Event) -> Result<(), Failure> {
        let unit = self.0.outbox.begin().await?;
        if !dead::take(&*unit, self.0.name, event.id).await.map_err(Error::from)? {
            return Ok(());
        }
        // The entry from when it died may be pruned by now, or about to be.
        if !inbox::claim(&*unit, self.0.name, event.id, self.now()).await.map_err(Error::from)? {
            inbox::touch(&*unit, self.0.name, event.id, self.now()).await.map_err(Error::from)?;
        }
        self.handle(&unit, event).await?;
        Ok(unit.commit().await?)
    }

    async fn handle(&self, unit: &Unit, event: &Event) -> Result<(), Failure> {
        // A panic must not end the relay that delivers to everybody.
        let handling = self.0.handler.handle(unit, event);
        let handled = AssertUnwindSafe(handling).catch_unwind().await;
        match handled {
            Ok(Ok(())) => Ok(()),
            Ok(Err(fault)) if fault.code == Code::Unavailable => {
                Err(Failure::Away { retry_after: fault.retry_after, reason: fault.to_string() })
            }
            Ok(Err(fault)) => Err(Failure::Refused(fault.to_string())),
            Err(_) => Err(Failure::Refused("PANIC: the handler panicked".to_owned())),
        }
    }

    async fn count(&self, event: &Event, refusal: &str) -> Result<Result<(), Nack>, Error> {
        let (name, now) = (self.0.name, self.now());
        let unit = self.0.outbox.begin().await?;
        let tries = dead::count(&*unit, name, event.id, refusal, now).await?;
        if tries < self.0.options.max_deliveries {
            unit.commit().await?;
            return Ok(Err(Nack { retry_after: Some(self.0.options.backoff.delay(tries)) }));
        }
        let buried = dead::bury(&*unit, name, event, refusal, tries, now).await?;
        unit.commit().await?;
        if buried {
            self.0.meter.dead();
            self.warn(event, refusal, "event became a dead letter");
        }
        Ok(Ok(()))
    }

    fn now(&self) -> Timestamp {
        self.0.outbox.clock().now()
    }

    fn warn(&self, event: &Event, reason: &str, message: &'static str) {
        tracing::warn!(
            consumer = self.0.name,
            event.id = %event.id,
            event.kind = event.kind,
            error = reason,
            "{message}"
        );
    }
}

impl Failure {
    /// As measures and spans name it (`error.type`).
    const fn word(&self) -> &'static str {
        match self {
            Self::Away { .. } => "unavailable",
            Self::Refused(_) => "refused",
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Away { retry_after: None, reason: error.to_string() }
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Consumer({})", self.0.name)
    }
}
