//! Brings what was committed to the bus, and keeps the tables small.

use std::{fmt, time::Duration};

use countersign_types::Timestamp;
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Alias, Expr, Query},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Backoff, Bus, Error, Event, Outbox, entity::outbox, meter::RelayMeter, prune};

/// How a relay works.
#[derive(Clone, Copy, Debug)]
pub struct RelayOptions {
    /// Rows taken in one step.
    pub batch: u64,
    /// How often to look where nothing woke the relay: finds what another
    /// process committed, requeued or replayed.
    pub poll_interval: Duration,
    /// Waits after a publish that failed, where no consumer named one.
    pub backoff: Backoff,
    /// How long a published row is kept for a replay; inbox entries are kept
    /// twice as long.
    pub retention: Duration,
    /// How often old rows are looked for.
    pub prune_interval: Duration,
}

impl Default for RelayOptions {
    /// 128 rows, a look every 5 s, rows kept for 7 days and pruned every 10
    /// minutes. With 15 s of [`crate::ConsumerOptions::redelivery_interval`] an
    /// idle process of two services stays under one query a second.
    fn default() -> Self {
        Self {
            batch: 128,
            poll_interval: Duration::from_secs(5),
            backoff: Backoff::default(),
            retention: Duration::from_hours(7 * 24),
            prune_interval: Duration::from_mins(10),
        }
    }
}

/// Publishes one outbox on a bus: at least once each, the events of one
/// aggregate one after the other in their order.
///
/// It asks for rows that are not published, never for rows behind a cursor: a
/// transaction that commits late is not passed over. Two relays on one outbox
/// lose nothing and keep the order; they publish some events twice, which the
/// inbox recognises.
pub struct Relay {
    outbox: Outbox,
    bus: Bus,
    options: RelayOptions,
    meter: RelayMeter,
}

/// What one step came to.
struct Batch {
    handled: usize,
    retry_after: Option<Duration>,
}

impl Relay {
    /// A relay from `outbox` to `bus`.
    #[must_use]
    pub fn new(outbox: Outbox, bus: Bus, options: RelayOptions) -> Self {
        Self { outbox, bus, options, meter: RelayMeter::new() }
    }

    /// Publishes the first due event of each aggregate, up to
    /// [`RelayOptions::batch`]. Returns how many it tried: 0 means that nothing
    /// is due. The future may be dropped at any point.
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

    /// Publishes and prunes until `cancel`, then ends with the event in hand.
    pub async fn run(self, cancel: CancellationToken) {
        let mut next_prune = Instant::now();
        let mut next_retry: Option<Instant> = None;
        let mut failures: u32 = 0;
        while !cancel.is_cancelled() {
            let now = Instant::now();
            next_retry = next_retry.filter(|&time| time > now);
            let (busy, retry_after) = match self.publish_batch(&cancel).await {
                Ok(batch) => {
                    failures = 0;
                    (batch.handled > 0, batch.retry_after)
                }
                Err(error) => {
                    tracing::warn!(error = %error, relay = ?self.outbox, "events wait");
                    failures = failures.saturating_add(1);
                    (false, Some(self.options.backoff.delay(failures)))
                }
            };
            let retry = retry_after.map(|wait| Instant::now() + wait);
            next_retry = [next_retry, retry].into_iter().flatten().min();

            let more_to_prune = now >= next_prune && self.prune_some().await;
            if now >= next_prune && !more_to_prune {
                next_prune = now + self.options.prune_interval;
            }
            if busy || more_to_prune {
                continue;
            }
            let poll = Instant::now() + self.options.poll_interval;
            tokio::select! {
                () = cancel.cancelled() => {}
                () = self.outbox.woken() => {}
                () = tokio::time::sleep_until(next_retry.map_or(poll, |retry| retry.min(poll))) => {}
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

    async fn publish_batch(&self, cancel: &CancellationToken) -> Result<Batch, Error> {
        let now = self.outbox.clock().now();
        let rows = due(now, self.options.batch).all(self.outbox.db()).await?;
        let mut batch = Batch { handled: 0, retry_after: None };
        for row in rows {
            if cancel.is_cancelled() {
                break;
            }
            let failures = u32::try_from(row.attempts).unwrap_or(0).saturating_add(1);
            let event = Event::from(row);
            match self.bus.publish(&event).await {
                Ok(()) => self.published(&event).await?,
                Err(nack) => {
                    let wait = nack.retry_after;
                    let wait = wait.unwrap_or_else(|| self.options.backoff.delay(failures));
                    self.deferred(&event, failures, wait).await?;
                    batch.retry_after =
                        Some(batch.retry_after.map_or(wait, |least| least.min(wait)));
                }
            }
            batch.handled += 1;
        }
        Ok(batch)
    }

    async fn published(&self, event: &Event) -> Result<(), DbErr> {
        let now = self.outbox.clock().now();
        outbox::Entity::update_many()
            .col_expr(outbox::Column::PublishedTime, Expr::value(now.as_micros()))
            .filter(outbox::Column::Id.eq(Uuid::from(event.id)))
            .exec(self.outbox.db())
            .await?;
        self.meter.published(&event.source, now.since(event.time).as_secs_f64());
        Ok(())
    }

    async fn deferred(&self, event: &Event, failures: u32, wait: Duration) -> Result<(), DbErr> {
        let next = self.outbox.clock().now().plus(wait);
        let attempts = i32::try_from(failures).unwrap_or(i32::MAX);
        outbox::Entity::update_many()
            .col_expr(outbox::Column::NextAttemptTime, Expr::value(next.as_micros()))
            .col_expr(outbox::Column::Attempts, Expr::value(attempts))
            .filter(outbox::Column::Id.eq(Uuid::from(event.id)))
            .exec(self.outbox.db())
            .await?;
        self.meter.deferred(&event.source);
        Ok(())
    }
}

/// Unpublished rows whose time has come and whose aggregate has no earlier one.
fn due(now: Timestamp, batch: u64) -> Select<outbox::Entity> {
    use outbox::Column;
    let earlier = Alias::new("earlier");
    let predecessor = Query::select()
        .expr(Expr::value(1))
        .from_as(outbox::Entity, earlier.clone())
        .and_where(
            Expr::col((earlier.clone(), Column::Aggregate))
                .equals((outbox::Entity, Column::Aggregate)),
        )
        .and_where(Expr::col((earlier.clone(), Column::PublishedTime)).is_null())
        .and_where(
            Expr::col((earlier, Column::Sequence))
                .lt(Expr::col((outbox::Entity, Column::Sequence))),
        )
        .take();
    outbox::Entity::find()
        .filter(Column::PublishedTime.is_null())
        .filter(Column::NextAttemptTime.lte(now.as_micros()))
        .filter(Expr::exists(predecessor).not())
        .order_by_asc(Column::Id)
        .limit(batch)
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Relay({:?})", self.outbox)
    }
}
