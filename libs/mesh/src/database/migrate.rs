//! Brings the schema up to date, one process at a time, beside processes of the
//! version before.
//!
//! A migration and the row that notes it are one transaction, and the row is
//! written first: whoever comes second waits for it and finds the work done. The
//! primary key is the lock, on every engine, with no lease that could expire
//! and no advisory lock that an engine may lack. What a later version has noted
//! is left alone: migrations only add, so this version runs on it.

use std::{collections::BTreeSet, time::Duration};

use sea_orm::{
    ConnectionTrait, DatabaseBackend, DatabaseConnection, DbErr, EntityTrait, Set,
    SqliteTransactionMode, TransactionOptions, TransactionTrait, TryInsertResult,
};
use sea_orm_migration::{
    MigrationTrait, MigratorTrait, SchemaManager,
    seaql_migrations::{ActiveModel, Column, Entity},
};
use tokio::time::Instant;

use super::{
    fault::{is_busy, is_conflict, is_postgres},
    retry::{part_of, retry},
};
use crate::Error;

/// How long another process may hold one migration before this one gives up.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// The longest wait between two tries.
const WAIT: Duration = Duration::from_millis(500);
/// A migration takes as long as it takes. Its locks it gets soon or tries again:
/// a statement that queues for a table holds up all readers behind it.
const LIMITS: &str = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '3s'";
/// Codes of PostgreSQL where two make one table at once, `IF NOT EXISTS` or not.
const MADE_TWICE: [&str; 4] = ["42P07", "42710", "23505", "XX000"];

/// What a migration is doing, for whoever watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// Another process is at work on this one.
    Waits(&'a str),
    /// It begins.
    Begins(&'a str),
    /// It is done, and took so long.
    Done(&'a str, Duration),
}

/// Applies the migrations of `M` that are not applied yet, in their order. Any
/// number of processes may do so at once.
///
/// # Errors
/// [`Error::Migrate`] when one fails, [`Error::MigrationHeld`] when another
/// process does not come to an end.
pub async fn migrate<M: MigratorTrait>(database: &DatabaseConnection) -> Result<(), Error> {
    migrate_telling::<M>(database, &mut log).await
}

/// As [`migrate`]; `tell` hears of each step.
///
/// # Errors
/// As [`migrate`].
pub async fn migrate_telling<M: MigratorTrait>(
    database: &DatabaseConnection,
    tell: &mut (dyn FnMut(Progress<'_>) + Send),
) -> Result<(), Error> {
    let names = pending::<M>(database).await?;
    if names.is_empty() {
        return Ok(());
    }
    let made_twice =
        |error: &DbErr| is_passing(error) || is_postgres(error, |code| MADE_TWICE.contains(&code));
    retry(made_twice, || M::install(database)).await.map_err(Error::Migrate)?;
    for migration in M::migrations() {
        if names.iter().any(|name| name == migration.name()) {
            patiently(database, &*migration, tell).await?;
        }
    }
    Ok(())
}

/// The names of the migrations of `M` that are not applied yet, in their order.
/// Writes nothing.
///
/// # Errors
/// [`Error::Migrate`] when the database can not be read.
pub async fn pending<M: MigratorTrait>(
    database: &DatabaseConnection,
) -> Result<Vec<String>, Error> {
    let applied = applied(database).await.map_err(Error::Migrate)?;
    let names = M::migrations().into_iter().map(|migration| migration.name().to_owned());
    Ok(names.filter(|name| !applied.contains(name)).collect())
}

async fn applied(database: &DatabaseConnection) -> Result<BTreeSet<String>, DbErr> {
    let manager = SchemaManager::new(database);
    if !manager.has_table("seaql_migrations").await? {
        return Ok(BTreeSet::new());
    }
    let rows = Entity::find().all(database).await?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}

async fn patiently(
    database: &DatabaseConnection,
    migration: &dyn MigrationTrait,
    tell: &mut (dyn FnMut(Progress<'_>) + Send),
) -> Result<(), Error> {
    let began = Instant::now();
    loop {
        match apply(database, migration, tell).await {
            Ok(()) => return Ok(()),
            Err(error) if !is_passing(&error) => return Err(Error::Migrate(error)),
            Err(_) if began.elapsed() > PATIENCE => {
                return Err(Error::MigrationHeld(migration.name().to_owned()));
            }
            Err(_) => tell(Progress::Waits(migration.name())),
        }
        tokio::time::sleep(WAIT / 2 + part_of(WAIT / 2)).await;
    }
}

/// The migration and its note; nothing where the note is there already.
async fn apply(
    database: &DatabaseConnection,
    migration: &dyn MigrationTrait,
    tell: &mut (dyn FnMut(Progress<'_>) + Send),
) -> Result<(), DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let txn = database.begin_with_options(options).await?;
    if txn.get_database_backend() == DatabaseBackend::Postgres {
        txn.execute_unprepared(LIMITS).await?;
    }
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    let note = ActiveModel {
        version: Set(migration.name().to_owned()),
        applied_at: Set(i64::try_from(now).unwrap_or(i64::MAX)),
    };
    let insert = Entity::insert(note).on_conflict_do_nothing_on([Column::Version]);
    match insert.exec_without_returning(&txn).await? {
        TryInsertResult::Inserted(rows) if rows > 0 => {}
        _ => return txn.rollback().await,
    }
    tell(Progress::Begins(migration.name()));
    let began = Instant::now();
    // An index that is built while others write, for instance, stands outside of
    // transactions; the note is held meanwhile all the same.
    if migration.use_transaction() == Some(false) {
        migration.up(&SchemaManager::new(database)).await?;
    } else {
        migration.up(&SchemaManager::new(&txn)).await?;
    }
    txn.commit().await?;
    tell(Progress::Done(migration.name(), began.elapsed()));
    Ok(())
}

/// Whether another process was in the way, so that it is worth another look.
fn is_passing(error: &DbErr) -> bool {
    is_busy(error) || is_conflict(error)
}

fn log(progress: Progress<'_>) {
    match progress {
        Progress::Waits(name) => tracing::info!(migration = name, "another process migrates"),
        Progress::Begins(name) => tracing::debug!(migration = name, "a migration begins"),
        Progress::Done(name, took) => {
            let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            tracing::debug!(migration = name, duration.ms = took, "a migration is done");
        }
    }
}
