//! The road through a broker: NATS JetStream. Nobody else knows async-nats.

mod complaint;
mod envelope;
mod follow;
mod lag;
mod lanes;
mod link;
mod mark;
mod options;
mod pull;
mod setup;
mod window;

use std::{
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::{
    Client,
    jetstream::{
        Context,
        context::{ContextBuilder, PublishErrorKind},
        message::PublishMessage,
        stream::{Info, Stream},
    },
};
use bytes::Bytes;
use tokio::{
    sync::{Mutex, Semaphore, watch},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use self::link::{Connection, Link};
pub use self::options::JetStreamOptions;
pub(crate) use self::window::Window;
use crate::{
    Backoff, Consumer, Error, Event, Following, Nack, Receipt, messaging::Way, meter::RoadMeter,
    receipt::Refusal,
};

/// Waits between tries of what needs the broker.
const RETRY: Backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(5) };

/// The most publishes whose acknowledgement is awaited at once.
const INFLIGHT: usize = 1024;

/// One process's connection, and what was agreed with the broker on it.
pub(crate) struct JetStream {
    options: JetStreamOptions,
    client: Client,
    context: Context,
    link: watch::Receiver<Link>,
    connected: watch::Receiver<bool>,
    /// The number of the connection on which the stream was last checked; 0 for none.
    checked: AtomicU64,
    checking: Mutex<Checking>,
    /// For each event that is being handled, whoever consumes it.
    hands: Arc<Semaphore>,
    meter: RoadMeter,
}

/// When the stream may be looked at again after a failure, on the same connection.
#[derive(Default)]
struct Checking {
    number: u64,
    failures: u32,
    not_before: Option<Instant>,
}

impl JetStream {
    pub(crate) async fn open(options: JetStreamOptions) -> Result<Self, Error> {
        let Connection { client, link, connected } = link::open(&options).await?;
        let context = ContextBuilder::new()
            .timeout(options.request_timeout)
            .ack_timeout(options.request_timeout)
            .max_ack_inflight(INFLIGHT)
            .backpressure_on_inflight(true)
            .build(client.clone());
        let hands = Arc::new(Semaphore::new(options.parallel.max(1)));
        Ok(Self {
            options,
            client,
            context,
            link,
            connected,
            checked: AtomicU64::new(0),
            checking: Mutex::default(),
            hands,
            meter: RoadMeter::new(),
        })
    }

    /// Publishes, again where it had a place `before`, and waits until the
    /// stream has it.
    pub(crate) async fn publish(
        &self,
        event: &Event,
        before: Option<i64>,
    ) -> Result<Receipt, Refusal> {
        self.check().await.map_err(|error| self.away(&error))?;
        let message = PublishMessage::build()
            .payload(Bytes::from(event.data.clone()))
            .headers(envelope::headers(event, &self.options.stream, before));
        let subject = self.options.subject(&event.source, &event.kind, event.aggregate);
        let publishing = async {
            match self.context.send_publish(subject, message).await {
                Ok(acknowledged) => acknowledged.await,
                Err(error) => Err(error),
            }
        };
        let published = self.on_one_connection(publishing).await;
        match published.map_err(|error| self.away(&error))? {
            Ok(ack) => Ok(Receipt {
                stream_sequence: i64::try_from(ack.sequence).ok(),
                duplicate: ack.duplicate,
            }),
            Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                tracing::warn!(event.id = %event.id, error = %error, "the broker refuses an event");
                Err(Refusal::Later(Nack { retry_after: None }))
            }
            Err(error) => {
                // It may be gone, or no leader there: look before the next one.
                self.checked.store(0, Ordering::Relaxed);
                Err(self.away(&error))
            }
        }
    }

    /// The way of such events, for spans and measures.
    pub(crate) fn way(&self, event: &Event) -> Way {
        let destination = self.options.destination(&event.source, &event.kind);
        Way { system: "nats", destination }
    }

    /// Tells whoever listens now; nobody waits, nothing is kept.
    pub(crate) async fn announce(&self, event: &Event) {
        if !self.link.borrow().connected {
            return;
        }
        let headers = envelope::headers(event, &self.options.stream, None);
        let subject = self.options.announced(&event.kind);
        let payload = Bytes::from(event.data.clone());
        let sending = self.client.publish_with_headers(subject, headers, payload);
        let sent = tokio::time::timeout(self.options.request_timeout, sending).await;
        if !matches!(sent, Ok(Ok(()))) {
            tracing::debug!(event.id = %event.id, "event was not announced");
        }
    }

    /// Pulls for all consumers and follows for all followers, each on a task
    /// of its own, until `cancel`.
    pub(crate) async fn run(
        self: Arc<Self>,
        consumers: Vec<Consumer>,
        followings: Vec<Following>,
        cancel: CancellationToken,
    ) {
        let mut tasks = JoinSet::new();
        for consumer in consumers {
            let (road, watched) = (Arc::clone(&self), consumer.clone());
            let watching = cancel.clone();
            tasks.spawn(async move { road.watch_lag(&watched, &watching).await });
            let (road, cancel) = (Arc::clone(&self), cancel.clone());
            tasks.spawn(async move {
                let pull = || road.pull(&consumer, &cancel);
                road.repeat(consumer.name(), &cancel, pull).await;
            });
        }
        for following in followings {
            let (road, cancel) = (Arc::clone(&self), cancel.clone());
            tasks.spawn(async move {
                let follow = || road.follow(&following, &cancel);
                road.repeat(following.name(), &cancel, follow).await;
            });
        }
        // Also where there is nobody to feed: a task that ends looks like a fault.
        cancel.cancelled().await;
        while tasks.join_next().await.is_some() {}
    }

    /// Whether there is a connection, now and from now on.
    pub(crate) fn connected(&self) -> watch::Receiver<bool> {
        self.connected.clone()
    }

    /// The stream as it is now.
    pub(crate) async fn info(&self) -> Result<Info, Error> {
        self.check().await?;
        let stream = self.stream().await?;
        let info = self.on_one_connection(stream.get_info()).await?;
        info.map_err(|error| Error::broker("the stream cannot be looked up", error))
    }

    /// Makes the work go on until `cancel`, with a wait after each failure.
    async fn repeat<F: Future<Output = Result<(), Error>>>(
        &self,
        name: &str,
        cancel: &CancellationToken,
        work: impl Fn() -> F,
    ) {
        let mut failures: u32 = 0;
        let mut connected = self.connected();
        while !cancel.is_cancelled() {
            let began = Instant::now();
            if let Err(error) = work().await {
                failures = if began.elapsed() > RETRY.max { 1 } else { failures.saturating_add(1) };
                tracing::warn!(consumer = name, error = %error, "events of the broker wait");
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                () = back(&mut connected) => failures = 0,
                () = tokio::time::sleep(RETRY.delay(failures)) => {}
            }
        }
    }

    /// What `work` comes to, unless the connection is lost meanwhile: then no
    /// answer comes any more, and there is no sense in waiting for it.
    async fn on_one_connection<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        let mut link = self.link.clone();
        let before = *link.borrow_and_update();
        tokio::select! {
            done = work => Ok(done),
            _ = link.wait_for(|now| *now != before) => Err(Error::Away),
        }
    }

    /// Makes sure that the stream is there, once for each connection.
    async fn check(&self) -> Result<(), Error> {
        let link = *self.link.borrow();
        if !link.connected {
            return Err(Error::Away);
        }
        if self.checked.load(Ordering::Relaxed) == link.number {
            return Ok(());
        }
        let mut checking = self.checking.lock().await;
        if self.checked.load(Ordering::Relaxed) == link.number {
            return Ok(());
        }
        if checking.number != link.number {
            *checking = Checking { number: link.number, ..Checking::default() };
        }
        if checking.not_before.is_some_and(|time| time > Instant::now()) {
            return Err(Error::Away);
        }
        let setup = setup::stream(&self.context, &self.client, &self.options);
        match self.on_one_connection(setup).await.flatten() {
            Ok(_) => {
                *checking = Checking::default();
                self.checked.store(link.number, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                checking.failures = checking.failures.saturating_add(1);
                checking.not_before = Some(Instant::now() + RETRY.delay(checking.failures));
                Err(error)
            }
        }
    }

    async fn stream(&self) -> Result<Stream, Error> {
        let looking = self.context.get_stream(&self.options.stream);
        self.on_one_connection(looking).await?.map_err(|error| {
            self.checked.store(0, Ordering::Relaxed);
            Error::broker("the stream cannot be looked up", error)
        })
    }

    fn away(&self, error: &dyn std::error::Error) -> Refusal {
        self.meter.away();
        tracing::debug!(error = %error, "the broker did not take an event");
        Refusal::Away
    }
}

/// The connection was away, and is there again; not for everybody at once.
async fn back(connected: &mut watch::Receiver<bool>) {
    let away = connected.wait_for(|connected| !connected).await.is_ok();
    if !away || connected.wait_for(|connected| *connected).await.is_err() {
        std::future::pending::<()>().await;
    }
    let together = Duration::from_millis(200);
    tokio::time::sleep(Backoff { first: together, max: together }.delay(1)).await;
}

impl fmt::Debug for JetStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JetStream({})", self.options.stream)
    }
}
