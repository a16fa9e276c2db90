//! Walks the chain from its start and names the first entry that is not what it was.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use uuid::Uuid;

use crate::{
    Error,
    chain::{GENESIS, HEAD_ID, link},
    entity::{head, log},
};

const BATCH: u64 = 512;

/// What a walk along the chain came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Entries that are what they were when the chain took them.
    pub sound: u64,
    /// Entries that the chain has not taken yet; nothing can be said of them.
    pub loose: u64,
    /// Where the chain breaks; `None` where it is whole.
    pub broken: Option<Break>,
}

/// The first place at which the chain is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// The place in the chain, from 1.
    pub seq: i64,
    /// The entry that stands there, if any does.
    pub id: Option<Uuid>,
    /// What is wrong there.
    pub flaw: Flaw,
}

/// What is wrong with a place in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// No entry stands there: it was deleted.
    Missing,
    /// Another entry stands there than the chain took: it was changed, moved
    /// from another place, or put in.
    Altered,
    /// The chain never reached that place: the entry was put in.
    Surplus,
}

/// Checks every entry of the trail; it may run while entries are added.
///
/// # Errors
/// [`Error::Database`].
pub async fn verify(db: &impl ConnectionTrait) -> Result<Verdict, Error> {
    let (mut seq, mut hash) = (0_i64, GENESIS.to_vec());
    let mut from = i64::MIN;
    let broken = loop {
        let rows = rows_from(db, from).await?;
        if rows.is_empty() {
            // Read after the rows: what was added in between is ahead of us.
            let end = head::Entity::find_by_id(HEAD_ID).one(db).await?;
            let (end, end_hash) = end.map_or((0, Vec::new()), |end| (end.seq, end.hash));
            if end > seq && !rows_from(db, from).await?.is_empty() {
                continue;
            }
            break at_the_end(db, (seq, &hash), (end, &end_hash)).await?;
        }
        let mut broken = None;
        for row in rows {
            match check(&row, seq + 1, &hash) {
                Ok(linked) => (seq, hash) = (seq + 1, linked),
                Err(found) => {
                    broken = Some(found);
                    break;
                }
            }
        }
        if broken.is_some() {
            break broken;
        }
        from = seq + 1;
    };
    let loose = log::Entity::find().filter(log::Column::Seq.is_null()).count(db).await?;
    Ok(Verdict { sound: u64::try_from(seq).unwrap_or(0), loose, broken })
}

fn check(row: &log::Model, seq: i64, before: &[u8]) -> Result<Vec<u8>, Break> {
    let found = row.seq.unwrap_or(0);
    if found > seq {
        return Err(Break { seq, id: None, flaw: Flaw::Missing });
    }
    if found < seq {
        return Err(Break { seq: found, id: Some(row.id), flaw: Flaw::Surplus });
    }
    let linked = link(before, seq, row);
    if row.hash.as_deref() == Some(linked.as_slice()) {
        Ok(linked)
    } else {
        Err(Break { seq, id: Some(row.id), flaw: Flaw::Altered })
    }
}

/// All rows are linked: do they end where the chain ended?
async fn at_the_end(
    db: &impl ConnectionTrait,
    (seq, hash): (i64, &[u8]),
    (end, end_hash): (i64, &[u8]),
) -> Result<Option<Break>, DbErr> {
    let place = |seq, flaw| async move {
        let row = log::Entity::find().filter(log::Column::Seq.eq(seq)).one(db).await?;
        Ok(Some(Break { seq, id: row.map(|row| row.id), flaw }))
    };
    match end {
        end if end > seq => place(seq + 1, Flaw::Missing).await,
        end if end < seq => place(end + 1, Flaw::Surplus).await,
        _ if end_hash != hash => place(seq, Flaw::Altered).await,
        _ => Ok(None),
    }
}

async fn rows_from(db: &impl ConnectionTrait, seq: i64) -> Result<Vec<log::Model>, DbErr> {
    log::Entity::find()
        .filter(log::Column::Seq.gte(seq))
        .order_by_asc(log::Column::Seq)
        .limit(BATCH)
        .all(db)
        .await
}
