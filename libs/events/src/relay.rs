//! Brings what was committed to the bus, and keeps the tables small.

mod options;

use std::{fmt, time::Duration};

use countersign_types::Timestamp;
use futures::{StreamExt, stream};
use sea_orm::DbBackend;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use self::options::RelayOptions;
use crate::{
    Backoff, Bus, Error, Event, Outbox, Receipt,
    backlog::Backlog,
    claim::{self, Claimed},
    lane, listen,
    meter::{RelayMeter, SweepMeter},
    prune,
    receipt::Refusal,
    sweep::{self, Sweep},
    turns::{HELD, Turns},
};

/// Waits while broker or database is away. A broker that comes back is noticed at once; one
/// that is there and takes nothing, is not.
const AWAY: Backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(5) };

/// How soon to look whether what the stream has lost is there again.
const SWEEP_SOON: Duration = Duration::from_millis(100);

/// Publishes one outbox on a bus: at least once each, the events of one
/// aggregate one after the other in their order, those of others beside them.
///
/// What is new goes first, then what outsiders cause ([`crate::Unit::append_bulk`]),
/// then what is published again; each has its share where the others are many.
///
/// It asks for rows that are not published, never for rows behind a cursor: a
/// transaction that commits late is not passed over. Relays of several
/// processes share an outbox: each claims rows for a time, and what a dead one
/// had in hand is taken over. An event may then be published twice, which the
/// stream and the inbox recognise; the order is kept all the same, as each
/// publishes an event only after its predecessor has arrived.
pub struct Relay {
    outbox: Outbox,
    bus: Bus,
    options: RelayOptions,
    claimant: Uuid,
    turns: Turns,
    meter: RelayMeter,
    sweep_meter: SweepMeter,
}

/// What one step came to.
#[derive(Default)]
struct Batch {
    handled: usize,
    retry_after: Option<Duration>,
    away: bool,
}

impl Relay {
    /// A relay from `outbox` to `bus`.
    #[must_use]
    pub fn new(outbox: Outbox, bus: Bus, options: RelayOptions) -> Self {
        let claimant = claim::claimant(outbox.db());
        if options.listen {
            outbox.notifier().turn_on();
        }
        let (meter, sweep_meter) = (RelayMeter::new(), SweepMeter::new(outbox.source()));
        let turns = Turns::default();
        Self { outbox, bus, options, claimant, turns, meter, sweep_meter }
    }

    /// Publishes the first due event of each aggregate, up to
    /// [`RelayOptions::batch`]. Returns how many it tried: 0 means that nothing
    /// is due, or that the broker is away. The future may be dropped at any
    /// point.
    ///
    /// # Errors
    /// [`Error::Database`]; what was not marked as published comes again.
    pub async fn step(&self) -> Result<usize, Error> {
        Ok(self.publish_batch(&CancellationToken::new()).await?.handled)
    }

    /// Removes a batch of rows that are older than the retention; returns how
    /// many. Events that are not published are never removed.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn prune_step(&self) -> Result<u64, Error> {
        let now = self.outbox.clock().now();
        Ok(prune::step(self.outbox.db(), self.options.retention, now).await?)
    }

    /// Compares published rows with the stream, and has those published again
    /// that it has lost. One replica at a time does; the others, and a bus in
    /// memory, have nothing to do.
    ///
    /// # Errors
    /// [`Error::Database`]; [`Error::Broker`] or [`Error::Away`] where the
    /// stream cannot be read.
    pub async fn sweep_step(&self) -> Result<Sweep, Error> {
        let Some(broker) = self.bus.broker() else { return Ok(Sweep::default()) };
        if !*self.bus.connected().borrow() {
            return Err(Error::Away);
        }
        // It reads the stream in between, and renews nothing.
        let lease = self.options.lease * 3;
        let swept = sweep::step(&self.outbox, broker, self.claimant, lease).await?;
        if swept.missing > 0 {
            self.sweep_meter.missing(self.outbox.source(), swept.missing);
            self.outbox.wake();
        }
        Ok(swept)
    }

    /// Measures what waits in the outbox: how much, and for how long.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn sample_step(&self) -> Result<(), Error> {
        let backlog = Backlog::of(self.outbox.db()).await?;
        let (source, now) = (self.outbox.source(), self.outbox.clock().now());
        self.meter.backlog(source, backlog.count(|_| true), backlog.age(now));
        self.bus.lags_behind(source, &backlog);
        Ok(())
    }

    /// Publishes, prunes, sweeps and samples until `cancel`, then ends with the events in hand.
    pub async fn run(self, cancel: CancellationToken) {
        let postgres = self.outbox.db().get_database_backend() == DbBackend::Postgres;
        tokio::select! {
            () = self.publish_all(&cancel) => {}
            () = listen::run(&self.outbox), if postgres && self.options.listen => {}
            () = self.sample_all() => {}
        }
        if let Err(error) = claim::release(self.outbox.db(), self.claimant).await {
            tracing::debug!(error = %error, relay = ?self.outbox, "claims run out by themselves");
        }
    }

    /// Beside the rest: what hangs there shall be seen.
    async fn sample_all(&self) {
        let mut due = tokio::time::interval(self.options.sample_interval);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            if let Err(error) = self.sample_step().await {
                tracing::debug!(error = %error, relay = ?self.outbox, "nobody knows what waits");
            }
        }
    }

    async fn publish_all(&self, cancel: &CancellationToken) {
        let mut next_prune = Instant::now();
        let mut next_sweep = Instant::now();
        let mut next_retry: Option<Instant> = None;
        let mut failures: u32 = 0;
        let mut connected = self.bus.connected();
        while !cancel.is_cancelled() {
            connected.mark_unchanged();
            let now = Instant::now();
            next_retry = next_retry.filter(|&time| time > now);
            let (busy, retry_after) = match self.publish_batch(cancel).await {
                Ok(batch) if !batch.away => {
                    failures = 0;
                    (batch.handled > 0, batch.retry_after)
                }
                Ok(_) => {
                    failures = failures.saturating_add(1);
                    (false, Some(AWAY.delay(failures)))
                }
                Err(error) => {
                    tracing::warn!(error = %error, relay = ?self.outbox, "events wait");
                    failures = failures.saturating_add(1);
                    (false, Some(AWAY.delay(failures)))
                }
            };
            let retry = retry_after.map(|wait| Instant::now() + wait);
            next_retry = [next_retry, retry].into_iter().flatten().min();

            let more_to_prune = now >= next_prune && self.prune_some().await;
            if now >= next_prune && !more_to_prune {
                next_prune = now + self.options.prune_interval;
            }
            if now >= next_sweep {
                next_sweep = now + self.sweep_some().await;
            }
            if busy || more_to_prune || next_sweep <= now {
                continue;
            }
            let poll = Instant::now() + jittered(self.options.poll_interval);
            let wake =
                [next_retry, Some(next_sweep)].into_iter().flatten().fold(poll, Instant::min);
            tokio::select! {
                () = cancel.cancelled() => {}
                () = self.outbox.woken(), if failures == 0 => {}
                Ok(()) = connected.changed() => {
                    // Not all at once, when the broker is back.
                    tokio::time::sleep(jittered(Duration::from_millis(200))).await;
                    // What it has lost is missed from now on.
                    next_sweep = Instant::now();
                }
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// One batch of each table; true when there may be more.
    async fn prune_some(&self) -> bool {
        match self.prune_step().await {
            Ok(removed) => removed >= prune::BATCH,
            Err(error) => {
                tracing::warn!(error = %error, relay = ?self.outbox, "old events stay");
                false
            }
        }
    }

    /// One comparison; when the next is due.
    async fn sweep_some(&self) -> Duration {
        match self.sweep_step().await {
            Ok(swept) if swept.more => Duration::ZERO,
            Ok(swept) if swept.refilling => SWEEP_SOON,
            Ok(swept) if swept.elsewhere => jittered(self.options.lease),
            Ok(_) => jittered(self.options.sweep_interval),
            Err(Error::Away) => jittered(AWAY.max),
            Err(error) => {
                tracing::warn!(error = %error, relay = ?self.outbox, "the stream was not compared");
                jittered(AWAY.max)
            }
        }
    }

    async fn publish_batch(&self, cancel: &CancellationToken) -> Result<Batch, Error> {
        let mut batch = Batch::default();
        if !*self.bus.connected().borrow() {
            batch.away = true;
            return Ok(batch);
        }
        let now = self.outbox.clock().now();
        let options = &self.options;
        let rows = self.claim(now).await?;
        // In memory the consumers' databases are the limit, and one after the
        // other keeps the order of all events.
        let parallel = if self.bus.broker().is_some() { options.parallel.max(1) } else { 1 };
        let rows = rows.into_iter().take_while(|_| !cancel.is_cancelled());
        let publishing = stream::iter(rows).map(|row| self.publish(row)).buffered(parallel);
        // Whatever has arrived together is marked together.
        let mut publishing = std::pin::pin!(publishing.ready_chunks(parallel));
        let third = options.lease / 3;
        let mut renewal = tokio::time::interval_at(Instant::now() + third, third);
        // In memory nobody else claims, and a consumer may be in a transaction
        // of the database that would be written here.
        let shared = self.bus.broker().is_some();
        loop {
            let outcomes = tokio::select! {
                outcomes = publishing.next() => outcomes,
                _ = renewal.tick(), if shared => {
                    let now = self.outbox.clock().now();
                    claim::renew(self.outbox.db(), self.claimant, now, options.lease).await?;
                    continue;
                }
            };
            let Some(outcomes) = outcomes else { break };
            let mut arrived = Vec::with_capacity(outcomes.len());
            for (event, failures, outcome) in outcomes {
                match outcome {
                    Ok(receipt) => arrived.push((event, receipt)),
                    Err(Refusal::Later(nack)) => {
                        let wait = nack.retry_after;
                        let wait = wait.unwrap_or_else(|| options.backoff.delay(failures));
                        self.deferred(&event, failures, wait).await?;
                        let least = batch.retry_after.map_or(wait, |least| least.min(wait));
                        batch.retry_after = Some(least);
                        batch.handled += 1;
                    }
                    Err(Refusal::Away) => batch.away = true,
                }
            }
            batch.handled += arrived.len();
            self.published(&arrived).await?;
            if batch.away {
                break;
            }
        }
        if batch.away || cancel.is_cancelled() {
            claim::release(self.outbox.db(), self.claimant).await?;
        } else if let Some(broker) = self.bus.broker().filter(|_| self.turns.replays()) {
            let lag = broker.lag().await;
            let lag = lag.inspect_err(|error| tracing::debug!(error = %error, "a replay waits"));
            if self.turns.holds(lag.unwrap_or(u64::MAX)) {
                let least = batch.retry_after.map_or(HELD, |least| least.min(HELD));
                batch.retry_after = Some(least);
            }
        }
        Ok(batch)
    }

    /// Takes the next rows in hand.
    async fn claim(&self, now: Timestamp) -> Result<Vec<Claimed>, Error> {
        loop {
            let choice = self.turns.choose(self.options.batch);
            let (db, lease) = (self.outbox.db(), self.options.lease);
            let rows = claim::claim(db, self.claimant, now, lease, choice).await?;
            self.turns.took(choice, &rows);
            if !rows.is_empty() || choice.from_lane == lane::FRESH {
                return Ok(rows);
            }
            // There is nothing but what is new, whose turn it is next.
        }
    }

    async fn publish(&self, row: Claimed) -> (Event, u32, Result<Receipt, Refusal>) {
        let outcome = self.bus.carry(&row.event, row.stream_sequence).await;
        (row.event, row.attempts.saturating_add(1), outcome)
    }

    async fn published(&self, arrived: &[(Event, Receipt)]) -> Result<(), Error> {
        let now = self.outbox.clock().now();
        let rows =
            arrived.iter().map(|(event, receipt)| (event.id.into(), receipt.stream_sequence));
        claim::published(self.outbox.db(), &rows.collect::<Vec<_>>(), now).await?;
        for (event, _) in arrived {
            self.meter.published(&event.source, now.since(event.time).as_secs_f64());
        }
        Ok(())
    }

    async fn deferred(&self, event: &Event, failures: u32, wait: Duration) -> Result<(), Error> {
        let next = self.outbox.clock().now().plus(wait);
        claim::deferred(self.outbox.db(), event.id.into(), failures, next).await?;
        self.meter.deferred(&event.source);
        Ok(())
    }
}

/// Between half of the time and all of it.
fn jittered(time: Duration) -> Duration {
    Backoff { first: time, max: time }.delay(1)
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Relay({:?})", self.outbox)
    }
}
