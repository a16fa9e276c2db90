//! The trail as lines of JSON, one an entry, in the order of the chain; what
//! the chain has not taken yet comes last.

use std::io;

use countersign_types::Timestamp;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Error, convert, entity::log, mark::hex};

/// Entries that are read at once.
const BATCH: u64 = 512;

/// Hands each entry that was recorded at `since` or later to `write`, as a line
/// without its line feed; returns how many. It holds no more than 512 at a time.
///
/// # Errors
/// [`Error::Database`]; [`Error::Output`] is what `write` says.
pub async fn export(
    db: &impl ConnectionTrait,
    service: &str,
    since: Timestamp,
    mut write: impl FnMut(String) -> io::Result<()>,
) -> Result<u64, Error> {
    let mut count = 0;
    let mut after = i64::MIN;
    loop {
        let rows = chained(db, since, after).await?;
        let Some(last) = rows.last().and_then(|row| row.seq) else { break };
        after = last;
        for row in &rows {
            write(line(service, row))?;
            count += 1;
        }
    }
    // What is chained meanwhile is in both, rather than in none.
    let mut after = None;
    loop {
        let rows = loose(db, since, after).await?;
        let Some(last) = rows.last() else { return Ok(count) };
        after = Some(last.id);
        for row in &rows {
            write(line(service, row))?;
            count += 1;
        }
    }
}

async fn chained(
    db: &impl ConnectionTrait,
    since: Timestamp,
    after: i64,
) -> Result<Vec<log::Model>, Error> {
    let rows = log::Entity::find()
        .filter(log::Column::RecordTime.gte(since.as_micros()))
        .filter(log::Column::Seq.gt(after))
        .order_by_asc(log::Column::Seq);
    Ok(rows.limit(BATCH).all(db).await?)
}

async fn loose(
    db: &impl ConnectionTrait,
    since: Timestamp,
    after: Option<Uuid>,
) -> Result<Vec<log::Model>, Error> {
    let further = after.map(|id| log::Column::Id.gt(id));
    let rows = log::Entity::find()
        .filter(log::Column::RecordTime.gte(since.as_micros()))
        .filter(log::Column::Seq.is_null())
        .filter(Condition::all().add_option(further))
        .order_by_asc(log::Column::Id);
    Ok(rows.limit(BATCH).all(db).await?)
}

fn line(service: &str, row: &log::Model) -> String {
    let id = |id: Option<Uuid>| id.map(|id| id.to_string());
    // What cannot be read any more is shown as the text that it is.
    let detail = serde_json::from_str(&row.detail).unwrap_or_else(|_| json!(row.detail));
    let line: Value = json!({
        "service": service,
        "place": row.seq,
        "hash": row.hash.as_deref().map(hex),
        "id": row.id.to_string(),
        "time": convert::time(Timestamp::from_micros(row.record_time)).to_string(),
        "type": row.action,
        "outcome": row.outcome,
        "actor": id(row.actor),
        "subject": id(row.subject),
        "address": row.address,
        "detail": detail,
    });
    line.to_string()
}
