//! Entries whose time is over are deleted from the oldest on, up to a
//! checkpoint: what that checkpoint says is signed once more as the beginning of
//! what is left, so that the rest can still be verified.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    sea_query::{Expr, Query},
};

use crate::{
    Chain, Error,
    chain::FLOOR_ID,
    entity::{checkpoint, floor, log},
    mark::{Mark, Usage},
    walk::{Step, Walk},
};

/// Entries that one statement deletes: others can write in between.
const BATCH: u64 = 500;

impl Chain {
    /// Deletes up to 500 entries whose time is over; returns how many. Until it
    /// is 0 there may be more.
    ///
    /// # Errors
    /// [`Error::Changed`] where the chain up to there is not what it was:
    /// nothing is deleted then, for it is evidence. [`Error::Database`].
    pub async fn prune(&self) -> Result<u64, Error> {
        let begins = begin(self.outbox.db()).await?;
        if begins.seq > 0 {
            let done = self.delete_below(begins.seq).await?;
            if done > 0 {
                return Ok(done);
            }
        }
        match self.raise(&begins).await? {
            Some(seq) => self.delete_below(seq).await,
            None => Ok(0),
        }
    }

    /// Moves the beginning to the latest checkpoint that is old enough: no entry
    /// before it is younger than itself. Where to, if anywhere.
    async fn raise(&self, begins: &floor::Model) -> Result<Option<i64>, Error> {
        let Some(key) = &self.key else { return Ok(None) };
        let db = self.outbox.db();
        let now = self.outbox.clock().now();
        let oldest = now.minus(self.config.retention);
        let due = checkpoint::Entity::find()
            .filter(checkpoint::Column::CreateTime.lt(oldest.as_micros()))
            .filter(checkpoint::Column::Seq.gt(begins.seq))
            .order_by_desc(checkpoint::Column::Seq)
            .one(db)
            .await?;
        let Some(due) = due else { return Ok(None) };
        // One that is not ours is no reason to delete anything: the next one is.
        let signed = Mark::read(&due.statement, Usage::Checkpoint, key.trusted());
        let Ok((mark, _)) = signed else { return Ok(None) };
        let is_it = mark.seq == due.seq && mark.source == self.outbox.source();
        if !is_it || mark.time >= oldest {
            return Ok(None);
        }
        // What is deleted was whole when it was deleted.
        let mut walk = Walk::from(begins.seq, begins.hash.clone());
        while walk.seq() < mark.seq {
            match walk.step(db, Some(mark.seq)).await? {
                Step::Linked(_) => {}
                Step::End => return Err(Error::Changed(walk.seq() + 1)),
                Step::Broken(found) => return Err(Error::Changed(found.seq)),
            }
        }
        if mark.hash != walk.hash() {
            return Err(Error::Changed(mark.seq));
        }
        let mark = Mark { time: now, ..mark };
        let statement = mark.sign(Usage::Floor, key.signing())?;
        let seq = mark.seq;
        let unit = self.outbox.begin().await?;
        floor::Entity::update_many()
            .col_expr(floor::Column::Seq, Expr::value(seq))
            .col_expr(floor::Column::Hash, Expr::value(mark.hash))
            .col_expr(floor::Column::Statement, Expr::value(statement))
            .filter(floor::Column::Id.eq(FLOOR_ID))
            .filter(floor::Column::Seq.lt(seq))
            .exec(&*unit)
            .await?;
        checkpoint::Entity::delete_many()
            .filter(checkpoint::Column::Seq.lt(seq))
            .exec(&*unit)
            .await?;
        unit.commit().await?;
        Ok(Some(seq))
    }

    async fn delete_below(&self, seq: i64) -> Result<u64, Error> {
        let some = Query::select()
            .column(log::Column::Id)
            .from(log::Entity)
            .and_where(log::Column::Seq.lte(seq))
            .order_by(log::Column::Seq, sea_orm::Order::Asc)
            .limit(BATCH)
            .take();
        let delete = log::Entity::delete_many().filter(log::Column::Id.in_subquery(some));
        Ok(delete.exec(self.outbox.db()).await?.rows_affected)
    }
}

/// Where the chain begins.
pub(crate) async fn begin(db: &impl ConnectionTrait) -> Result<floor::Model, DbErr> {
    let begin = floor::Entity::find_by_id(FLOOR_ID).one(db).await?;
    begin.ok_or_else(|| DbErr::RecordNotFound("the beginning of the audit chain".to_owned()))
}
