//! Readiness follows the database.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use countersign_mesh::{
    config::DatabaseConfig,
    database::{self, Probe},
};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        database::migrations()
    }
}

/// One connection: what is set on it holds for all.
async fn migrated() -> DatabaseConnection {
    let database = database::connect(&DatabaseConfig::default(), "sqlite::memory:").await.unwrap();
    database::migrate::<Migrator>(&database).await.unwrap();
    database
}

#[tokio::test]
async fn two_failures_in_a_row_make_it_not_ready_and_one_success_ready_again() {
    let database = migrated().await;
    let probe = Probe::new("test", database.clone(), || true);
    let readiness = probe.readiness();
    let read_only = async |on: u8| {
        database.execute_unprepared(&format!("PRAGMA query_only = {on}")).await.unwrap();
    };
    assert!(probe.step().await);
    for _ in 0..2 {
        read_only(1).await;
        assert!(probe.step().await, "one failure may pass");
        read_only(0).await;
        assert!(probe.step().await);
    }
    read_only(1).await;
    probe.step().await;
    for _ in 0..3 {
        assert!(!probe.step().await);
        assert!(!readiness.is_ready());
    }
    read_only(0).await;
    assert!(probe.step().await);
    assert!(readiness.is_ready());
}

#[tokio::test]
async fn what_else_a_call_needs_counts_at_once() {
    let (here, database) = (Arc::new(AtomicBool::new(false)), migrated().await);
    let look = Arc::clone(&here);
    let probe = Probe::new("test", database, move || look.load(Ordering::SeqCst));
    assert!(!probe.readiness().is_ready(), "from the start");
    for there in [true, false, true] {
        here.store(there, Ordering::SeqCst);
        assert_eq!(probe.step().await, there);
        assert_eq!(probe.readiness().is_ready(), there);
    }
}

#[tokio::test]
async fn looking_leaves_one_row_however_often() {
    let database = migrated().await;
    let probe = Probe::new("test", database.clone(), || true);
    for _ in 0..10 {
        assert!(probe.step().await);
    }
    let count = "SELECT COUNT(*) AS rows_, MAX(beats) AS beats FROM heartbeats";
    let row = database.query_one_raw(Statement::from_string(DbBackend::Sqlite, count));
    let row = row.await.unwrap().unwrap();
    assert_eq!(row.try_get::<i64>("", "rows_").unwrap(), 1);
    assert_eq!(row.try_get::<i64>("", "beats").unwrap(), 10);
}
