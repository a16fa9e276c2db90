//! Goes along the chain, entry by entry, and says where it breaks.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};

use crate::{Break, Flaw, chain::link, entity::log, scope::Scope};

/// Entries that are read at once.
const BATCH: u64 = 512;

/// Somebody on the way along the chain: the last place that was sound.
pub(crate) struct Walk {
    seq: i64,
    hash: Vec<u8>,
}

/// What one look ahead found.
pub(crate) enum Step {
    /// These entries are what they were.
    Linked(Vec<log::Model>),
    /// There is nothing further.
    End,
    /// It breaks here.
    Broken(Break),
}

impl Walk {
    pub(crate) const fn from(seq: i64, hash: Vec<u8>) -> Self {
        Self { seq, hash }
    }

    pub(crate) const fn seq(&self) -> i64 {
        self.seq
    }

    pub(crate) fn hash(&self) -> &[u8] {
        &self.hash
    }

    /// Goes on over up to 512 entries, and no further than `last`.
    pub(crate) async fn step(
        &mut self,
        db: &impl ConnectionTrait,
        last: Option<i64>,
    ) -> Result<Step, DbErr> {
        let mut rows = log::Entity::find().filter(log::Column::Seq.gt(self.seq));
        if let Some(last) = last {
            rows = rows.filter(log::Column::Seq.lte(last));
        }
        let rows = rows.order_by_asc(log::Column::Seq).limit(BATCH).all(db).await?;
        if rows.is_empty() {
            return Ok(Step::End);
        }
        for row in &rows {
            match check(row, self.seq + 1, &self.hash) {
                Ok(linked) => (self.seq, self.hash) = (self.seq + 1, linked),
                Err(found) => return Ok(Step::Broken(found)),
            }
        }
        Ok(Step::Linked(rows))
    }
}

fn check(row: &log::Model, seq: i64, before: &[u8]) -> Result<Vec<u8>, Break> {
    if row.seq.unwrap_or(0) > seq {
        return Err(Break { seq, id: None, flaw: Flaw::Missing });
    }
    let linked = link(before, seq, row);
    let copied = Scope::of_detail(&row.detail).is_some_and(|scope| scope == Scope::of_row(row));
    if copied && row.hash.as_deref() == Some(linked.as_slice()) {
        Ok(linked)
    } else {
        Err(Break { seq, id: Some(row.id), flaw: Flaw::Altered })
    }
}
