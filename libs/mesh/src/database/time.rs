//! One time for all replicas on one database: its own.
//!
//! Sessions, keys and leases compare times that different replicas wrote. A
//! machine whose clock is wrong would take a repeated refresh for a stolen one,
//! or somebody's lease for one that ran out. So a replica on a server asks it
//! for the time, and goes by that where its own is off.

use std::time::Duration;

use countersign_types::{Clock, Timestamp};
use sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseConnection, DbErr, Statement};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::fault;

/// Clocks that agree within this are left alone: time should not jump for less
/// than an answer may take.
const TOLERANCE: Duration = Duration::from_millis(500);
/// An answer that took longer tells too little.
const SOON_ENOUGH: Duration = Duration::from_secs(1);
/// How often the time is asked for.
const INTERVAL: Duration = Duration::from_secs(60);

const NOW: &str = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS now";

/// Sets `clock` right, where the server of `database` says that it is off by
/// more than half a second. SQLite has no time of its own, and a clock that
/// cannot be corrected stays as it is.
///
/// # Errors
/// The database does not answer.
pub async fn keep_time(database: &DatabaseConnection, clock: &Clock) -> Result<(), DbErr> {
    if database.get_database_backend() != DatabaseBackend::Postgres {
        return Ok(());
    }
    let asked = Instant::now();
    let question = Statement::from_string(DatabaseBackend::Postgres, NOW);
    let Some(row) = database.query_one_raw(question).await? else { return Ok(()) };
    let took = asked.elapsed();
    // It was read somewhere between the question and the answer.
    let now = Timestamp::from_micros(row.try_get("", "now")?).plus(took / 2);
    let ours = clock.now();
    let off = now.since(ours).max(ours.since(now));
    if off > TOLERANCE && took < SOON_ENOUGH {
        clock.correct(now);
        let milliseconds = u64::try_from(off.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(
            clock.off_ms = milliseconds,
            "the clock of this machine differs from the database's, which counts: set it right"
        );
    }
    Ok(())
}

/// [`keep_time`] once a minute, until `cancel`.
pub async fn keep_time_until(
    cancel: CancellationToken,
    database: DatabaseConnection,
    clock: Clock,
) {
    let keeping = async {
        loop {
            sleep(INTERVAL).await;
            if let Err(error) = keep_time(&database, &clock).await {
                let reason = fault(&error).reason;
                tracing::debug!(reason, "the database does not tell the time");
            }
        }
    };
    cancel.run_until_cancelled(keeping).await;
}
