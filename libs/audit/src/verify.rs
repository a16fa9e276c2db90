//! Holds the trail against its hashes and its signed checkpoints, and names the
//! first entry that is not what it was.

use countersign_tokens::{KeyId, VerificationKey};
use countersign_types::Timestamp;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use uuid::Uuid;

use crate::{
    Error,
    chain::{GENESIS, HEAD_ID},
    entity::{checkpoint, floor, head, log},
    mark::{Mark, Usage},
    retention::begin,
    walk::{Step, Walk},
};

/// How often it starts again because entries were deleted beneath it.
const TRIES: u32 = 3;

/// What a trail is held against besides itself.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The audit keys that are trusted: whatever is signed has to be signed by
    /// one of these. `None`: signatures are not looked at.
    pub keys: Option<Vec<VerificationKey>>,
    /// Statements of checkpoints that were kept elsewhere.
    pub checkpoints: Vec<String>,
}

/// What a walk along the chain came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The last place whose entry was deleted because its time was over; 0 where none was.
    pub begin: i64,
    /// Entries that are what they were when the chain took them.
    pub sound: u64,
    /// Entries that the chain has not taken yet; nothing can be said of them.
    pub loose: u64,
    /// The last checkpoint that holds.
    pub signed: Option<Signed>,
    /// Where the chain breaks; `None` where it is whole.
    pub broken: Option<Break>,
}

/// A checkpoint that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The last place that it covers.
    pub seq: i64,
    /// When it was made.
    pub time: Timestamp,
    /// Who has signed it.
    pub key: KeyId,
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
    /// No entry stands there: it was deleted, or the chain was cut off there.
    Missing,
    /// Another entry stands there than the chain took: it was changed, moved
    /// from another place, or put in.
    Altered,
    /// The chain never reached that place: the entry was put in.
    Surplus,
    /// A signed checkpoint says something else: there or between there and the
    /// checkpoint before, an entry was changed, and all later ones chained anew.
    Rewritten,
    /// The checkpoint at that place was not signed by a trusted key.
    Forged,
    /// That everything up to that place was deleted in its time was not signed
    /// by a trusted key.
    Beginning,
}

/// Checks every entry of the trail of the service `source`, such as `auth`; it may run while entries are added and
/// deleted.
///
/// # Errors
/// [`Error::Database`]; [`Error::Tokens`] and [`Error::Statement`] for a
/// checkpoint of `evidence` that no trusted key has signed.
pub async fn verify(
    db: &impl ConnectionTrait,
    source: &str,
    evidence: &Evidence,
) -> Result<Verdict, Error> {
    let mut tries = 0;
    loop {
        let begins = begin(db).await?;
        let verdict = look(db, source, &begins, evidence).await?;
        tries += 1;
        if verdict.broken.is_none() || tries == TRIES || begin(db).await?.seq == begins.seq {
            return Ok(verdict);
        }
    }
}

async fn look(
    db: &impl ConnectionTrait,
    source: &str,
    begins: &floor::Model,
    Evidence { keys, checkpoints }: &Evidence,
) -> Result<Verdict, Error> {
    let keys = keys.as_deref();
    let mut outside = Vec::new();
    for statement in checkpoints {
        outside.push(Mark::read(statement, Usage::Checkpoint, keys.unwrap_or_default())?);
    }
    // One of another service says nothing of this one.
    outside.retain(|(mark, _)| mark.source == source);
    // Read first: what is made from now on may be ahead of the walk.
    let latest = checkpoint::Entity::find()
        .order_by_desc(checkpoint::Column::Seq)
        .one(db)
        .await?
        .map_or(0, |row| row.seq);
    let mut walk = Walk::from(begins.seq, begins.hash.clone());
    let mut signed = None;
    let mut broken = beginning(begins, keys);
    if broken.is_none() {
        broken = surplus(db).await?;
    }
    while broken.is_none() {
        match walk.step(db, None).await? {
            Step::Broken(found) => broken = Some(found),
            Step::Linked(rows) => {
                let marks = match marks_among(db, source, &rows, keys, &outside).await? {
                    Ok(marks) => marks,
                    Err(forged) => {
                        broken = Some(forged);
                        break;
                    }
                };
                broken = hold(db, &rows, marks, begins.seq, &mut signed).await?;
            }
            Step::End => {
                // Read after the rows: what was added in between is ahead of us.
                let end = head::Entity::find_by_id(HEAD_ID).one(db).await?;
                let end = end.map_or((0, Vec::new()), |end| (end.seq, end.hash));
                if end.0 > walk.seq() && has_more(db, walk.seq()).await? {
                    continue;
                }
                broken = at_the_end(db, &walk, end).await?;
                let ahead = outside.iter().map(|(mark, _)| mark.seq).chain([latest]).max();
                if broken.is_none() && ahead > Some(walk.seq()) {
                    let seq = walk.seq() + 1;
                    broken = Some(Break { seq, id: None, flaw: Flaw::Missing });
                }
                break;
            }
        }
    }
    let loose = log::Entity::find().filter(log::Column::Seq.is_null()).count(db).await?;
    let sound = match &broken {
        None => walk.seq(),
        Some(found) => found.seq.saturating_sub(1).clamp(begins.seq, walk.seq().max(begins.seq)),
    };
    let sound = u64::try_from(sound - begins.seq).unwrap_or(0);
    Ok(Verdict { begin: begins.seq, sound, loose, signed, broken })
}

/// What was deleted in its time is signed for.
fn beginning(begins: &floor::Model, keys: Option<&[VerificationKey]>) -> Option<Break> {
    let flaw = Break { seq: begins.seq, id: None, flaw: Flaw::Beginning };
    if begins.seq == 0 {
        return (begins.hash != GENESIS).then_some(flaw);
    }
    let keys = keys?;
    let signed = Mark::read(&begins.statement, Usage::Floor, keys);
    let holds = signed.is_ok_and(|(mark, _)| mark.seq == begins.seq && mark.hash == begins.hash);
    (!holds).then_some(flaw)
}

/// No entry stands before the first place.
async fn surplus(db: &impl ConnectionTrait) -> Result<Option<Break>, DbErr> {
    let first = log::Entity::find().filter(log::Column::Seq.lte(0));
    let found = first.order_by_asc(log::Column::Seq).one(db).await?;
    let seq = |row: &log::Model| row.seq.unwrap_or(0);
    Ok(found.map(|row| Break { seq: seq(&row), id: Some(row.id), flaw: Flaw::Surplus }))
}

/// The checkpoints that lie among these entries, in their order; or the first
/// that nobody who is trusted has signed.
async fn marks_among(
    db: &impl ConnectionTrait,
    source: &str,
    rows: &[log::Model],
    keys: Option<&[VerificationKey]>,
    outside: &[(Mark, KeyId)],
) -> Result<Result<Vec<(Mark, KeyId)>, Break>, Error> {
    let place = |row: Option<&log::Model>| row.and_then(|row| row.seq).unwrap_or(0);
    let (first, last) = (place(rows.first()), place(rows.last()));
    let here = outside.iter().filter(|(mark, _)| (first..=last).contains(&mark.seq));
    let mut marks: Vec<_> = here.cloned().collect();
    if let Some(keys) = keys {
        let stored = checkpoint::Entity::find()
            .filter(checkpoint::Column::Seq.between(first, last))
            .order_by_asc(checkpoint::Column::Seq)
            .all(db)
            .await?;
        for row in stored {
            match Mark::read(&row.statement, Usage::Checkpoint, keys) {
                Ok(signed) if signed.0.seq == row.seq && signed.0.source == source => {
                    marks.push(signed);
                }
                _ => return Ok(Err(Break { seq: row.seq, id: None, flaw: Flaw::Forged })),
            }
        }
    }
    marks.sort_by_key(|(mark, _)| mark.seq);
    Ok(Ok(marks))
}

/// Holds entries that are linked against the checkpoints among them.
async fn hold(
    db: &impl ConnectionTrait,
    rows: &[log::Model],
    marks: Vec<(Mark, KeyId)>,
    begins: i64,
    signed: &mut Option<Signed>,
) -> Result<Option<Break>, Error> {
    for (mark, key) in marks {
        let row = rows.iter().find(|row| row.seq == Some(mark.seq));
        if row.and_then(|row| row.hash.as_ref()) != Some(&mark.hash) {
            let seq = signed.as_ref().map_or(begins, |before| before.seq) + 1;
            return Ok(Some(Break { seq, id: id_at(db, seq).await?, flaw: Flaw::Rewritten }));
        }
        *signed = Some(Signed { seq: mark.seq, time: mark.time, key });
    }
    Ok(None)
}

/// All rows are linked: do they end where the chain ended?
async fn at_the_end(
    db: &impl ConnectionTrait,
    walk: &Walk,
    (end, end_hash): (i64, Vec<u8>),
) -> Result<Option<Break>, DbErr> {
    let (seq, flaw) = match end {
        end if end > walk.seq() => (walk.seq() + 1, Flaw::Missing),
        end if end < walk.seq() => (end + 1, Flaw::Surplus),
        _ if end_hash != walk.hash() => (walk.seq(), Flaw::Altered),
        _ => return Ok(None),
    };
    Ok(Some(Break { seq, id: id_at(db, seq).await?, flaw }))
}

async fn id_at(db: &impl ConnectionTrait, seq: i64) -> Result<Option<Uuid>, DbErr> {
    let row = log::Entity::find().filter(log::Column::Seq.eq(seq)).one(db).await?;
    Ok(row.map(|row| row.id))
}

async fn has_more(db: &impl ConnectionTrait, seq: i64) -> Result<bool, DbErr> {
    let more = log::Entity::find().filter(log::Column::Seq.gt(seq)).limit(1).one(db).await?;
    Ok(more.is_some())
}
