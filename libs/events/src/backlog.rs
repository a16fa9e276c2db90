//! What waits in an outbox to be published for the first time: how much, and for
//! how long. What is published again is none of it: its age would tell nothing.

use std::{collections::BTreeMap, time::Duration};

use countersign_types::Timestamp;
use sea_orm::ConnectionTrait;
use sea_orm::{
    ColumnTrait, Condition, DatabaseConnection, DbErr, EntityTrait, ExprTrait, Order, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait,
    sea_query::{Alias, Expr, Query},
};

use crate::{entity::outbox, lane};

/// Rows that are looked at, of those that are due and of those that were put
/// off: so a look costs as much after an hour without a broker as after a day.
const MOST: u64 = 10_000;

/// What waits.
#[derive(Default)]
pub(crate) struct Backlog {
    /// How many events of each kind.
    kinds: BTreeMap<String, u64>,
    oldest: Option<Timestamp>,
}

impl Backlog {
    /// Looks into the outbox, along its index.
    pub(crate) async fn of(db: &DatabaseConnection) -> Result<Self, DbErr> {
        let mut backlog = Self::default();
        let lane = outbox::Column::NextAttemptTime;
        for part in [lane.lt(lane::AGAIN), lane.gt(lane::AGAIN)] {
            backlog.add(db, part).await?;
        }
        Ok(backlog)
    }

    /// How many of these kinds wait.
    pub(crate) fn count(&self, of: impl Fn(&str) -> bool) -> u64 {
        self.kinds.iter().filter(|(kind, _)| of(kind)).map(|(_, count)| count).sum()
    }

    /// How long the oldest has waited.
    pub(crate) fn age(&self, now: Timestamp) -> Duration {
        self.oldest.map_or(Duration::ZERO, |oldest| now.since(oldest))
    }

    async fn add(&mut self, db: &DatabaseConnection, part: Expr) -> Result<(), DbErr> {
        use outbox::Column::{
            CreateTime, Id, Kind, NextAttemptTime, PublishedTime, StreamSequence,
        };
        let never =
            Condition::all().add(PublishedTime.is_null()).add(StreamSequence.is_null()).add(part);
        let waiting = outbox::Entity::find()
            .select_only()
            .columns([Kind, CreateTime])
            .filter(never)
            .order_by(NextAttemptTime, Order::Asc)
            .order_by(Id, Order::Asc)
            .limit(MOST)
            .into_query();
        let oldest = Alias::new("oldest");
        let sums = Query::select()
            .column(Kind)
            .expr_as(Expr::col(Kind).count(), Alias::new("events"))
            .expr_as(Expr::col(CreateTime).min(), oldest)
            .from_subquery(waiting, Alias::new("waiting"))
            .group_by_col(Kind)
            .take();
        for row in db.query_all(&sums).await? {
            let events: i64 = row.try_get("", "events")?;
            let oldest = Timestamp::from_micros(row.try_get("", "oldest")?);
            *self.kinds.entry(row.try_get("", "kind")?).or_default() +=
                u64::try_from(events).unwrap_or_default();
            self.oldest = Some(self.oldest.map_or(oldest, |before| before.min(oldest)));
        }
        Ok(())
    }
}
