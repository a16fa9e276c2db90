//! Checkpoints: the end of the chain, signed and published. Who has kept one
//! elsewhere can tell later whether the chain still goes through there.

use std::time::Duration;

use countersign_contracts::events::v1::AuditCheckpoint;
use countersign_types::Timestamp;
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, QueryOrder, Set, TryInsertResult};
use uuid::Uuid;

use crate::{
    Chain, Error,
    chain::HEAD_ID,
    entity::{checkpoint, head},
    mark::{Mark, Usage},
};

impl Chain {
    /// Signs the end of the chain, where it has grown and it is time. Whether it
    /// did: of several replicas one does.
    ///
    /// # Errors
    /// [`Error`]; there is no checkpoint then.
    pub async fn checkpoint(&self) -> Result<bool, Error> {
        self.sign(self.config.checkpoint_interval).await
    }

    /// The same, where the last one is at least so old.
    pub(crate) async fn sign(&self, interval: Duration) -> Result<bool, Error> {
        let Some(key) = &self.key else { return Ok(false) };
        let now = self.outbox.clock().now();
        let last = last(self.outbox.db()).await?;
        let end = end(self.outbox.db()).await?;
        let (grown, due) = match &last {
            None => (end.seq > 0, true),
            Some(last) => {
                let age = now.since(Timestamp::from_micros(last.create_time));
                (end.seq > last.seq, age >= interval)
            }
        };
        if !(grown && due) {
            return Ok(false);
        }
        let source = self.outbox.source().to_owned();
        let mark = Mark { source, seq: end.seq, hash: end.hash, time: now };
        let statement = mark.sign(Usage::Checkpoint, key.signing())?;
        let row = checkpoint::ActiveModel {
            seq: Set(mark.seq),
            create_time: Set(now.as_micros()),
            statement: Set(statement.clone()),
        };
        let unit = self.outbox.begin().await?;
        let insert =
            checkpoint::Entity::insert(row).on_conflict_do_nothing_on([checkpoint::Column::Seq]);
        let inserted = insert.exec_without_returning(&*unit).await?;
        if !matches!(inserted, TryInsertResult::Inserted(rows) if rows > 0) {
            unit.rollback().await?;
            return Ok(false);
        }
        let event = AuditCheckpoint {
            source: mark.source,
            place: mark.seq,
            hash: mark.hash,
            create_time: Some(crate::convert::time(now)),
            statement,
            public_key: key.signing().verification_key().paserk(),
        };
        // Each says what holds up to its place, whichever comes first.
        unit.append(Uuid::nil(), &event).await?;
        unit.commit().await?;
        Ok(true)
    }
}

async fn last(db: &impl ConnectionTrait) -> Result<Option<checkpoint::Model>, DbErr> {
    checkpoint::Entity::find().order_by_desc(checkpoint::Column::Seq).one(db).await
}

async fn end(db: &impl ConnectionTrait) -> Result<head::Model, DbErr> {
    let end = head::Entity::find_by_id(HEAD_ID).one(db).await?;
    end.ok_or_else(|| DbErr::RecordNotFound("the end of the audit chain".to_owned()))
}
