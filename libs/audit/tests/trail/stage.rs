//! A trail on a real SQLite file.

use std::time::Duration;

use countersign_audit::{
    Action, Asides, Break, Chain, Config, Entry, Evidence, Flaw, Outcome, Trail as Books, Value,
    Verdict, migrations, record, verify,
};
use countersign_events::Outbox;
use countersign_types::{Clock, Denial, Timestamp};
use sea_orm::{ConnectOptions, ConnectionTrait, Database};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use tempfile::TempDir;
use tokio::sync::mpsc;

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        migrations()
    }
}

pub struct Trail {
    _folder: TempDir,
    pub outbox: Outbox,
}

impl Trail {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("audit.db").display());
        let mut options = ConnectOptions::new(url);
        options.max_connections(4).sqlx_logging(false).map_sqlx_sqlite_opts(|options| {
            options.pragma("journal_mode", "WAL").busy_timeout(Duration::from_secs(10))
        });
        let db = Database::connect(options).await.unwrap();
        Migrator::up(&db, None).await.unwrap();
        let (clock, _) = Clock::manual(Timestamp::from_seconds(5));
        Self { _folder: folder, outbox: Outbox::new(db, clock, "test") }
    }

    pub async fn record(&self, count: usize) {
        for number in 0..count {
            let unit = self.outbox.begin().await.unwrap();
            let entry = Entry::new(Action::LoginFail, Outcome::Failure)
                .with("number", Value::Number(i64::try_from(number).unwrap()));
            record(&unit, &entry).await.unwrap();
            unit.commit().await.unwrap();
        }
    }

    pub async fn chain(&self) {
        let chain = Chain::new(self.outbox.clone(), Config::default(), None);
        while chain.step().await.unwrap() > 0 {}
    }

    /// Where the guard sends what it denies, and what writes it.
    pub fn asides(&self) -> (mpsc::Sender<Denial>, Asides) {
        let (_, sender, asides) = Books::new(self.outbox.clone(), &Config::default());
        (sender, asides)
    }

    pub async fn verdict(&self) -> Verdict {
        verify(self.outbox.db(), "test", &Evidence::default()).await.unwrap()
    }

    pub async fn flaw(&self) -> Option<(i64, Flaw)> {
        self.verdict().await.broken.map(|Break { seq, flaw, .. }| (seq, flaw))
    }

    /// Somebody with all rights on the database.
    pub async fn tamper(&self, sql: &str) {
        for trigger in ["content", "chain", "delete", "copy"] {
            let drop = format!("DROP TRIGGER IF EXISTS audit_log_{trigger}");
            self.outbox.db().execute_unprepared(&drop).await.unwrap();
        }
        self.outbox.db().execute_unprepared(sql).await.unwrap();
    }
}

/// A whole trail that nobody has signed.
pub fn verdict(sound: u64, loose: u64) -> Verdict {
    Verdict { begin: 0, sound, loose, signed: None, broken: None }
}
