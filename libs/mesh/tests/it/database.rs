//! Opening a database, and what its troubles mean to a client.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    time::Duration,
};

use countersign_mesh::{
    config::DatabaseConfig,
    database::{self, Progress},
};
use countersign_types::{Code, Fault};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, TransactionTrait};
use sea_orm_migration::{
    MigrationTrait, MigratorTrait, SchemaManager,
    prelude::{MigrationName, async_trait::async_trait},
};
use tempfile::TempDir;

struct Opened {
    database: DatabaseConnection,
    folder: TempDir,
}

async fn open(config: &DatabaseConfig) -> Opened {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}/data.db", folder.path().display());
    Opened { database: database::connect(config, &url).await.unwrap(), folder }
}

/// Waits for nothing longer than it must.
fn impatient() -> DatabaseConfig {
    let soon = Duration::from_millis(250);
    DatabaseConfig { acquire_timeout: soon, busy_timeout: soon, ..DatabaseConfig::default() }
}

impl Opened {
    async fn run(&self, sql: &str) -> Result<(), DbErr> {
        self.database.execute_unprepared(sql).await.map(drop)
    }

    async fn fault_of(&self, sql: &str) -> Fault {
        database::fault(&self.run(sql).await.unwrap_err())
    }

    async fn pragma(&self, name: &str) -> String {
        let row = self.database.query_one_raw(sea_orm::Statement::from_string(
            sea_orm::DbBackend::Sqlite,
            format!("SELECT CAST({name} AS TEXT) AS value FROM pragma_{name}"),
        ));
        row.await.unwrap().unwrap().try_get("", "value").unwrap()
    }
}

#[track_caller]
fn assert_unavailable(fault: &Fault, reason: &str) {
    assert_eq!((fault.code, fault.reason), (Code::Unavailable, reason));
    assert!(fault.retry_after.is_some());
}

#[tokio::test]
async fn a_new_database_is_private_and_survives_a_power_cut() {
    let opened = open(&DatabaseConfig::default()).await;
    opened.run("CREATE TABLE thing (id INTEGER)").await.unwrap();
    for name in ["data.db", "data.db-wal"] {
        let mode = fs::metadata(opened.folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(opened.pragma("journal_mode").await, "wal");
    assert_eq!(opened.pragma("synchronous").await, "2", "FULL");
    assert_eq!(opened.pragma("foreign_keys").await, "1");
}

#[tokio::test]
async fn what_cannot_be_opened_is_named_without_a_password() {
    let config = impatient();
    let missing = database::connect(&config, "sqlite:///no/such/folder/data.db").await;
    assert_eq!(
        missing.unwrap_err().to_string(),
        "cannot open the database /no/such/folder/data.db: its folder does not exist"
    );
    for url in ["postgres://ada:hush@127.0.0.1:1/x", "mysql://ada:hush@127.0.0.1/x", "ada:hush"] {
        let refusal = database::connect(&config, url).await.unwrap_err().to_string();
        assert!(!refusal.contains("hush"), "{refusal}");
    }
}

#[tokio::test]
async fn the_url_comes_from_its_file_first() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("url");
    fs::write(&file, format!("sqlite://{}/from-file.db\n", folder.path().display())).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let config = DatabaseConfig { url_file: Some(file), ..DatabaseConfig::default() };
    database::open(&config, "sqlite::memory:").await.unwrap();
    assert!(folder.path().join("from-file.db").exists());
}

#[test]
fn a_url_in_a_file_that_others_may_touch_is_refused() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("url");
    fs::write(&file, "postgres://ada:hush@db.example/countersign").unwrap();
    let config = DatabaseConfig { url_file: Some(file.clone()), ..DatabaseConfig::default() };
    for mode in [0o644, 0o640, 0o620, 0o601] {
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let refused = config.secret_url("sqlite::memory:").unwrap_err().to_string();
        assert!(refused.contains("chmod 0600") && !refused.contains("hush"), "{refused}");
    }
    fs::set_permissions(&file, Permissions::from_mode(0o400)).unwrap();
    assert!(config.secret_url("sqlite::memory:").is_ok());
}

#[tokio::test]
async fn a_database_in_memory_is_one_database() {
    let database = database::connect(&DatabaseConfig::default(), "sqlite::memory:").await.unwrap();
    database.execute_unprepared("CREATE TABLE thing (id INTEGER)").await.unwrap();
    database.execute_unprepared("INSERT INTO thing VALUES (1)").await.unwrap();
}

#[tokio::test]
async fn a_writer_in_the_way_is_worth_another_try() {
    let opened = open(&impatient()).await;
    opened.run("CREATE TABLE thing (id INTEGER)").await.unwrap();
    let other = opened.database.begin().await.unwrap();
    other.execute_unprepared("INSERT INTO thing VALUES (1)").await.unwrap();
    assert_unavailable(&opened.fault_of("INSERT INTO thing VALUES (2)").await, "STORAGE_BUSY");
}

#[tokio::test]
async fn a_pool_without_a_free_connection_is_worth_another_try() {
    let opened = open(&DatabaseConfig { max_connections: 1, ..impatient() }).await;
    let _held = opened.database.begin().await.unwrap();
    assert_unavailable(&opened.fault_of("SELECT 1").await, "STORAGE_BUSY");
}

#[tokio::test]
async fn a_full_disk_and_a_read_only_one_are_told_apart() {
    let opened = open(&DatabaseConfig { max_connections: 1, ..impatient() }).await;
    opened.run("CREATE TABLE thing (text TEXT); PRAGMA max_page_count = 3").await.unwrap();
    let fill = "INSERT INTO thing VALUES (hex(zeroblob(100000)))";
    assert_unavailable(&opened.fault_of(fill).await, "STORAGE_FULL");
    opened.run("PRAGMA query_only = 1").await.unwrap();
    let write = "INSERT INTO thing VALUES ('x')";
    assert_unavailable(&opened.fault_of(write).await, "STORAGE_READ_ONLY");
}

#[tokio::test]
async fn any_other_trouble_is_ours_and_its_text_stays_inside() {
    let opened = open(&DatabaseConfig::default()).await;
    opened.run("CREATE TABLE thing (email TEXT UNIQUE)").await.unwrap();
    opened.run("INSERT INTO thing VALUES ('ada@example.org')").await.unwrap();
    let twice = opened.fault_of("INSERT INTO thing VALUES ('ada@example.org')").await;
    assert_eq!(twice, Fault::internal());
    assert_eq!(opened.fault_of("SELECT nothing FROM nowhere").await, Fault::internal());
    assert_eq!(database::fault(&DbErr::Custom("secret".to_owned())), Fault::internal());
}

struct Migrator;

struct Things;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(Things)]
    }
}

impl MigrationName for Things {
    fn name(&self) -> &str {
        "things"
    }
}

#[async_trait]
impl MigrationTrait for Things {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("CREATE TABLE thing (id INTEGER)").await?;
        Ok(())
    }
}

/// The version after this one.
struct Later;

struct Others;

impl MigratorTrait for Later {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(Things), Box::new(Others)]
    }
}

impl MigrationName for Others {
    fn name(&self) -> &str {
        "others"
    }
}

#[async_trait]
impl MigrationTrait for Others {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("CREATE TABLE other (id INTEGER)").await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_version_runs_on_the_tables_of_the_next() {
    let opened = open(&DatabaseConfig::default()).await;
    database::migrate::<Migrator>(&opened.database).await.unwrap();
    assert_eq!(database::pending::<Later>(&opened.database).await.unwrap(), ["others"]);
    database::migrate::<Later>(&opened.database).await.unwrap();
    assert!(database::pending::<Migrator>(&opened.database).await.unwrap().is_empty());
    database::migrate::<Migrator>(&opened.database).await.unwrap();
    opened.run("INSERT INTO other VALUES (1)").await.unwrap();
}

#[tokio::test]
async fn of_many_that_migrate_at_once_one_does() {
    let opened = open(&DatabaseConfig::default()).await;
    let run = async || {
        let mut done = Vec::new();
        let mut tell = |progress: Progress<'_>| {
            if let Progress::Done(name, _) = progress {
                done.push(name.to_owned());
            }
        };
        database::migrate_telling::<Later>(&opened.database, &mut tell).await.unwrap();
        done
    };
    let done = futures::future::join_all((0..6).map(|_| run())).await;
    let mut done = done.concat();
    done.sort();
    assert_eq!(done, ["others", "things"]);
}

#[tokio::test]
async fn looking_for_migrations_writes_nothing() {
    let opened = open(&DatabaseConfig::default()).await;
    assert_eq!(database::pending::<Migrator>(&opened.database).await.unwrap(), ["things"]);
    assert!(opened.run("SELECT * FROM seaql_migrations").await.is_err());
}

#[tokio::test]
async fn migrations_are_applied_once() {
    let opened = open(&DatabaseConfig::default()).await;
    database::migrate::<Migrator>(&opened.database).await.unwrap();
    database::migrate::<Migrator>(&opened.database).await.unwrap();
    opened.run("INSERT INTO thing VALUES (1)").await.unwrap();
}
