//! The former version goes on beside the tables of this one.

use countersign_events::migrations;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use uuid::Uuid;

use crate::postgres::Postgres;

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        migrations()
    }
}

/// Migrations of the former version.
const FORMER: u32 = 2;

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    // One, so that its statements stay prepared.
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.unwrap()
}

/// What the former version does all day: it appends, and takes whole rows in hand.
async fn work_as_the_former_version(db: &DatabaseConnection) -> Result<u64, sea_orm::DbErr> {
    let backend = db.get_database_backend();
    let append = "INSERT INTO outbox (id, kind, source, aggregate, sequence, create_time, data, \
                  published_time, next_attempt_time, attempts) \
                  VALUES ($1, 'k', 's', $1, 1, 0, $2, NULL, 0, 0)";
    let values = [Uuid::now_v7().into(), vec![1_u8].into()];
    db.execute_raw(Statement::from_sql_and_values(backend, append, values)).await?;
    let take = "UPDATE outbox SET claim_until = $1 WHERE published_time IS NULL RETURNING *";
    let taken = Statement::from_sql_and_values(backend, take, [1_i64.into()]);
    Ok(u64::try_from(db.query_all_raw(taken).await?.len()).unwrap())
}

async fn the_former_version_goes_on(url: &str) {
    let (former, new) = (connect(url).await, connect(url).await);
    Migrator::up(&new, Some(FORMER)).await.unwrap();
    assert_eq!(work_as_the_former_version(&former).await.unwrap(), 1);
    Migrator::up(&new, None).await.unwrap();
    assert_eq!(work_as_the_former_version(&former).await.unwrap(), 2);
    // It prunes a row, and the trace that it knows nothing of goes, too.
    let traced = "INSERT INTO outbox_traces SELECT id, 'x' FROM outbox";
    new.execute_unprepared(traced).await.unwrap();
    former.execute_unprepared("DELETE FROM outbox").await.unwrap();
    let left = Statement::from_string(new.get_database_backend(), "SELECT 1 FROM outbox_traces");
    assert!(new.query_one_raw(left).await.unwrap().is_none());
}

#[tokio::test]
async fn the_former_version_goes_on_beside_the_new_tables() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}?mode=rwc", folder.path().join("s.db").display());
    the_former_version_goes_on(&file).await;
    let engine = Postgres::new(false);
    let url = engine.database("service");
    the_former_version_goes_on(&url).await;

    // Why there is no new column in the outbox.
    let (former, new) = (connect(&url).await, connect(&url).await);
    work_as_the_former_version(&former).await.unwrap();
    new.execute_unprepared("ALTER TABLE outbox ADD COLUMN more TEXT").await.unwrap();
    let failed = work_as_the_former_version(&former).await.unwrap_err();
    assert!(failed.to_string().contains("cached plan"), "{failed}");
}
