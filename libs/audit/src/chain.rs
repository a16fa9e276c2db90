//! Numbers entries and links each to the one before by its hash.

use std::time::Duration;

use countersign_events::Outbox;
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    entity::{head, log},
};

/// The key of the only row that says where the chain ends.
pub(crate) const HEAD_ID: i32 = 1;
/// What the first entry is linked to.
pub(crate) const GENESIS: &[u8] = &[0; 32];

/// Entries taken in one transaction.
const BATCH: u64 = 256;
/// How often new entries are looked for.
const INTERVAL: Duration = Duration::from_secs(10);

/// The sequencer of one database's trail. Several may run on one database:
/// the lock on the chain's end lets one work at a time.
#[derive(Debug)]
pub struct Chain {
    outbox: Outbox,
}

impl Chain {
    /// The sequencer of the trail in the database of `outbox`.
    #[must_use]
    pub const fn new(outbox: Outbox) -> Self {
        Self { outbox }
    }

    /// Takes up to 256 entries that are not in the chain yet, earliest first;
    /// returns how many. 0 means that all are in the chain.
    ///
    /// # Errors
    /// [`Error`]; the entries stay as they were.
    pub async fn step(&self) -> Result<usize, Error> {
        // Looked for outside a transaction: an idle chain takes no lock.
        if loose().limit(1).one(self.outbox.db()).await?.is_none() {
            return Ok(0);
        }
        let unit = self.outbox.begin().await?;
        let end = head::Entity::find_by_id(HEAD_ID).lock_exclusive().one(&*unit).await?;
        let end = end.ok_or(DbErr::RecordNotFound("the end of the audit chain".to_owned()))?;
        let rows = loose().limit(BATCH).all(&*unit).await?;
        let (taken, mut seq, mut hash) = (rows.len(), end.seq, end.hash);
        for row in rows {
            seq += 1;
            hash = link(&hash, seq, &row);
            log::Entity::update_many()
                .col_expr(log::Column::Seq, Expr::value(seq))
                .col_expr(log::Column::Hash, Expr::value(hash.clone()))
                .filter(log::Column::Id.eq(row.id))
                .exec(&*unit)
                .await?;
        }
        head::Entity::update_many()
            .col_expr(head::Column::Seq, Expr::value(seq))
            .col_expr(head::Column::Hash, Expr::value(hash))
            .filter(head::Column::Id.eq(HEAD_ID))
            .exec(&*unit)
            .await?;
        unit.commit().await?;
        Ok(taken)
    }

    /// Takes entries up every 10 s until `cancel`.
    pub async fn run(self, cancel: CancellationToken) {
        while !cancel.is_cancelled() {
            match self.step().await {
                Ok(0) => {}
                Ok(_) => continue,
                Err(error) => {
                    tracing::warn!(error = %error, trail = ?self.outbox, "audit entries wait");
                }
            }
            tokio::select! {
                () = cancel.cancelled() => {}
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    }
}

fn loose() -> sea_orm::Select<log::Entity> {
    log::Entity::find().filter(log::Column::Seq.is_null()).order_by_asc(log::Column::Id)
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
