//! Numbers entries and links each to the one before by its hash; signs the end
//! of the chain now and then, and deletes what is too old.

use std::time::Duration;

use countersign_events::Outbox;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseBackend, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Select, Statement, Value, sea_query::Expr,
};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::{
    AuditKey, Config, Error,
    entity::{head, log},
};

/// The key of the only row that says where the chain ends.
pub(crate) const HEAD_ID: i32 = 1;
/// The key of the only row that says where it begins.
pub(crate) const FLOOR_ID: i32 = 1;
/// What the first entry is linked to.
pub(crate) const GENESIS: &[u8] = &[0; 32];

/// Entries taken in one transaction, and by one statement: three values each,
/// of the 32,766 that SQLite takes and the 65,535 of PostgreSQL.
const BATCH: u64 = 1000;
/// How often new entries are looked for.
const INTERVAL: Duration = Duration::from_secs(10);
/// Of so many rounds one looks for entries that are too old.
const ROUNDS: u64 = 6;

/// The sequencer of one database's trail. Several may run on one database:
/// the lock on the chain's end lets one work at a time.
#[derive(Clone, Debug)]
pub struct Chain {
    pub(crate) outbox: Outbox,
    pub(crate) config: Config,
    /// Nothing is signed or deleted without one.
    pub(crate) key: Option<AuditKey>,
}

impl Chain {
    /// The sequencer of the trail in the database of `outbox`. Without a key its
    /// end is never signed, and entries are kept for ever.
    #[must_use]
    pub const fn new(outbox: Outbox, config: Config, key: Option<AuditKey>) -> Self {
        Self { outbox, config, key }
    }

    /// Takes up to 1,000 entries that are not in the chain yet, earliest first;
    /// returns how many. 0 means that all are in the chain.
    ///
    /// # Errors
    /// [`Error`]; the entries stay as they were.
    pub async fn step(&self) -> Result<usize, Error> {
        // Looked for outside a transaction: an idle chain takes no lock.
        if loose(self.outbox.db()).limit(1).one(self.outbox.db()).await?.is_none() {
            return Ok(0);
        }
        let unit = self.outbox.begin().await?;
        let end = head::Entity::find_by_id(HEAD_ID).lock_exclusive().one(&*unit).await?;
        let end = end.ok_or(DbErr::RecordNotFound("the end of the audit chain".to_owned()))?;
        let rows = loose(&*unit).limit(BATCH).all(&*unit).await?;
        if rows.is_empty() {
            // Another sequencer was faster.
            unit.rollback().await?;
            return Ok(0);
        }
        let (taken, mut seq, mut hash) = (rows.len(), end.seq, end.hash);
        let mut places = Vec::with_capacity(taken * 3);
        for row in rows {
            seq += 1;
            hash = link(&hash, seq, &row);
            places.extend([row.id.into(), seq.into(), hash.clone().into()]);
        }
        put(&*unit, places).await?;
        head::Entity::update_many()
            .col_expr(head::Column::Seq, Expr::value(seq))
            .col_expr(head::Column::Hash, Expr::value(hash))
            .filter(head::Column::Id.eq(HEAD_ID))
            .exec(&*unit)
            .await?;
        unit.commit().await?;
        Ok(taken)
    }

    /// Takes entries up every 10 s until `cancel`, and does what else is due;
    /// at the end, signs what there is.
    pub async fn run(self, cancel: CancellationToken) {
        for round in 0_u64.. {
            if cancel.is_cancelled() {
                break;
            }
            match self.round(round % ROUNDS == 0).await {
                Ok(false) => {}
                Ok(true) => continue,
                Err(error @ Error::Changed(_)) => {
                    tracing::error!(error = %error, trail = ?self.outbox, "audit entries stay");
                }
                Err(error) => {
                    tracing::warn!(error = %error, trail = ?self.outbox, "audit entries wait");
                }
            }
            tokio::select! {
                () = cancel.cancelled() => {}
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
        if let Err(error) = self.conclude().await {
            tracing::warn!(error = %error, trail = ?self.outbox, "audit entries wait");
        }
    }

    /// Whether there may be more to do.
    async fn round(&self, prunes: bool) -> Result<bool, Error> {
        if self.step().await? > 0 {
            return Ok(true);
        }
        self.checkpoint().await?;
        Ok(prunes && self.prune().await? > 0)
    }

    /// What is not signed when a server stops would wait for its next start.
    async fn conclude(&self) -> Result<(), Error> {
        while self.step().await? > 0 {}
        self.sign(Duration::ZERO).await.map(drop)
    }
}

/// Writes the places of a batch: id, number and hash of each entry, one after
/// the other. One statement, whose text both engines understand.
async fn put(db: &impl ConnectionTrait, places: Vec<Value>) -> Result<(), DbErr> {
    let rows: Vec<_> =
        (1..=places.len()).step_by(3).map(|n| format!("(${n}, ${}, ${})", n + 1, n + 2)).collect();
    let sql = format!(
        "WITH place (id, seq, hash) AS (VALUES {}) \
         UPDATE audit_log SET seq = place.seq, hash = place.hash \
         FROM place WHERE audit_log.id = place.id",
        rows.join(", ")
    );
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, places);
    db.execute_raw(statement).await.map(drop)
}

/// What the chain has not taken yet, in an order that an index has on each
/// engine, however much it is: that of ids, and on SQLite, whose planner finds
/// these rows by their missing place, that in which they were written.
fn loose(db: &impl ConnectionTrait) -> Select<log::Entity> {
    let loose = log::Entity::find().filter(log::Column::Seq.is_null());
    match db.get_database_backend() {
        DatabaseBackend::Sqlite => loose.order_by_asc(Expr::cust("rowid")),
        _ => loose.order_by_asc(log::Column::Id),
    }
}

/// The hash of an entry in its place: SHA-256 over the hash before it and each
/// field with its length in front, so that no two entries encode alike.
pub(crate) fn link(before: &[u8], seq: i64, row: &log::Model) -> Vec<u8> {
    let mut hash = Sha256::new();
    let mut field = |bytes: Option<&[u8]>| match bytes {
        None => hash.update([0]),
        Some(bytes) => {
            hash.update([1]);
            hash.update(bytes.len().to_be_bytes());
            hash.update(bytes);
        }
    };
    field(Some(b"countersign audit 1"));
    field(Some(before));
    field(Some(&seq.to_be_bytes()));
    field(Some(row.id.as_bytes()));
    field(Some(&row.record_time.to_be_bytes()));
    field(row.actor.as_ref().map(|id| id.as_bytes().as_slice()));
    field(Some(row.action.as_bytes()));
    field(row.subject.as_ref().map(|id| id.as_bytes().as_slice()));
    field(Some(row.outcome.as_bytes()));
    field(row.address.as_deref().map(str::as_bytes));
    field(Some(row.detail.as_bytes()));
    hash.finalize().to_vec()
}
