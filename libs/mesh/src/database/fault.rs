//! What a failed statement means to the client: whether it is worth another try,
//! and no more than that. The text of the database stays here.

use std::time::Duration;

use countersign_types::{Code, Fault};
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, SqlxSqliteError, sqlx};

use super::retry::part_of;

// Each client is told a time of its own, from the span to twice as much: those
// who were refused together must not come back together.
/// Another writer is at work, or every connection is taken.
const SOON: Duration = Duration::from_millis(100);
/// The database restarts, or another one takes its place.
const LATER: Duration = Duration::from_secs(2);
/// An operator has to come.
const MUCH_LATER: Duration = Duration::from_secs(30);

/// What kind of trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Busy,
    Away,
    Full,
    ReadOnly,
    Ours,
}

/// The fault of a failed statement: UNAVAILABLE with a time to try again when
/// the storage is busy, away, full or read-only, INTERNAL in all other cases.
/// Logs the code of the engine, and never its text, for that can hold values.
#[must_use]
pub fn fault(error: &DbErr) -> Fault {
    let trouble = trouble(error);
    let code = code(error);
    let code = code.as_deref().unwrap_or("none");
    if trouble == Trouble::Ours {
        tracing::error!(error.kind = kind(error), db.code = code, "a statement failed");
    } else {
        tracing::warn!(error.kind = kind(error), db.code = code, "the database is not available");
    }
    match trouble {
        Trouble::Busy => unavailable("STORAGE_BUSY", "the storage is busy", SOON),
        Trouble::Away => away(),
        Trouble::Full => unavailable("STORAGE_FULL", "the storage is full", MUCH_LATER),
        Trouble::ReadOnly => {
            unavailable("STORAGE_READ_ONLY", "the storage can not be written", MUCH_LATER)
        }
        Trouble::Ours => Fault::internal(),
    }
}

/// The fault of a call whose database is away.
pub(crate) fn away() -> Fault {
    unavailable("STORAGE_UNAVAILABLE", "the storage is not available", LATER)
}

fn unavailable(reason: &'static str, message: &'static str, span: Duration) -> Fault {
    Fault::new(Code::Unavailable, reason, message).retry_after(span + part_of(span))
}

/// Whether the engine undid a transaction because it could not be ordered
/// among others: a serialization failure (40001) or a deadlock (40P01). Nothing
/// of it took place, also where the commit failed so, and doing it all again is
/// right (PostgreSQL, section 13.5).
#[must_use]
pub fn is_conflict(error: &DbErr) -> bool {
    is_postgres(error, |code| matches!(code, "40001" | "40P01"))
}

/// Whether PostgreSQL, or an engine that speaks like it, said one of these codes.
pub(super) fn is_postgres(error: &DbErr, codes: impl Fn(&str) -> bool) -> bool {
    let Some(sqlx::Error::Database(database)) = driver(error) else { return false };
    database.try_downcast_ref::<SqlxSqliteError>().is_none()
        && database.code().is_some_and(|code| codes(&code))
}

pub(super) fn is_busy(error: &DbErr) -> bool {
    trouble(error) == Trouble::Busy
}

fn trouble(error: &DbErr) -> Trouble {
    if let DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) = error {
        return Trouble::Busy;
    }
    if let DbErr::ConnectionAcquire(_) = error {
        return Trouble::Away;
    }
    driver(error).map_or(Trouble::Ours, of_driver)
}

/// Whether an error of the driver says that the server is not there.
pub(super) fn is_away(error: &sqlx::Error) -> bool {
    of_driver(error) == Trouble::Away
}

fn of_driver(error: &sqlx::Error) -> Trouble {
    match error {
        sqlx::Error::PoolTimedOut => Trouble::Busy,
        // What breaks off in the middle of a message is not understood.
        sqlx::Error::Io(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => Trouble::Away,
        sqlx::Error::Database(database) => {
            let code = database.code();
            let code = code.as_deref().unwrap_or_default();
            if database.try_downcast_ref::<SqlxSqliteError>().is_some() {
                sqlite(code)
            } else {
                postgres(code)
            }
        }
        _ => Trouble::Ours,
    }
}

/// <https://www.sqlite.org/rescode.html>: the low byte is the primary code.
fn sqlite(code: &str) -> Trouble {
    match code.parse::<i32>().map(|code| code & 0xff) {
        Ok(5 | 6) => Trouble::Busy,
        Ok(8) => Trouble::ReadOnly,
        Ok(13) => Trouble::Full,
        // I/O error, can not open, locking protocol.
        Ok(10 | 14 | 15) => Trouble::Away,
        _ => Trouble::Ours,
    }
}

/// PostgreSQL, appendix A: error codes.
fn postgres(code: &str) -> Trouble {
    match code {
        // Serialization failure, deadlock, lock not available, too many connections.
        "40001" | "40P01" | "55P03" | "53300" => Trouble::Busy,
        "53100" => Trouble::Full,
        "25006" => Trouble::ReadOnly,
        // Out of memory, statement timeout, shutdowns and restarts, I/O error.
        "53200" | "57014" | "57P01" | "57P02" | "57P03" | "58030" => Trouble::Away,
        _ if code.starts_with("08") => Trouble::Away,
        _ => Trouble::Ours,
    }
}

fn driver(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(inner))
        | DbErr::Exec(RuntimeErr::SqlxError(inner))
        | DbErr::Query(RuntimeErr::SqlxError(inner)) => Some(inner),
        _ => None,
    }
}

fn code(error: &DbErr) -> Option<String> {
    match driver(error)? {
        sqlx::Error::Database(database) => database.code().map(Into::into),
        _ => None,
    }
}

fn kind(error: &DbErr) -> &'static str {
    match error {
        DbErr::ConnectionAcquire(_) => "acquire",
        DbErr::Conn(_) => "connection",
        DbErr::Exec(_) => "execution",
        DbErr::Query(_) => "query",
        DbErr::RecordNotFound(_) | DbErr::RecordNotInserted | DbErr::RecordNotUpdated => "record",
        DbErr::Type(_) | DbErr::TryIntoErr { .. } | DbErr::Json(_) => "type",
        _ => "other",
    }
}
