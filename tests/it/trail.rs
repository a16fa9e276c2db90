//! The audit trail against somebody with all rights on the database, on both
//! engines: whatever is done to it shows, and where.

use std::time::Duration;

use countersign_audit::{
    Action, AuditKey, Chain, Config, Entry, Error, Evidence, Flaw, Outcome, Value, Verdict, export,
    record_all, stored_keys, trusted_keys, verify,
};
use countersign_contracts::events::v1::AuditCheckpoint;
use countersign_events::{Outbox, admin};
use countersign_mesh::{config::DatabaseConfig, database};
use countersign_seal::{MasterKey, MasterKeys};
use countersign_tests::engines::NewDatabase;
use countersign_types::{Clock, ClockHand, Timestamp};
use sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseConnection};
use tempfile::TempDir;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A trail with a key, in a database of its own.
struct Stage {
    outbox: Outbox,
    masters: MasterKeys,
    chain: Chain,
    hand: ClockHand,
    engine: Engine,
}

enum Engine {
    Sqlite(#[expect(dead_code, reason = "the folder goes with it")] TempDir),
    Postgres(NewDatabase),
}

async fn audit_key(outbox: &Outbox, masters: &MasterKeys) -> AuditKey {
    AuditKey::open(outbox, masters, &masters.latest().unwrap()).await.unwrap()
}

impl Stage {
    async fn on(backend: DatabaseBackend) -> Self {
        let (engine, url) = match backend {
            DatabaseBackend::Postgres => {
                let database = NewDatabase::create().await;
                let url = database.url().to_owned();
                (Engine::Postgres(database), url)
            }
            _ => {
                let folder = tempfile::tempdir().unwrap();
                let url = format!("sqlite://{}?mode=rwc", folder.path().join("a.db").display());
                (Engine::Sqlite(folder), url)
            }
        };
        let db = database::connect(&DatabaseConfig::default(), &url).await.unwrap();
        database::migrate::<countersign_auth::Migrator>(&db).await.unwrap();
        let (clock, hand) = Clock::manual(Timestamp::from_seconds(1_800_000_000));
        let masters = MasterKeys::from(MasterKey::generate().unwrap());
        let outbox = Outbox::new(db.clone(), clock.clone(), "auth");
        let key = audit_key(&outbox, &masters).await;
        let chain = Chain::new(outbox.clone(), Config::default(), Some(key));
        Self { outbox, masters, chain, hand, engine }
    }

    fn db(&self) -> &DatabaseConnection {
        self.outbox.db()
    }

    /// Entries that are chained, and signed where `signed` says so.
    async fn grow(&self, count: i64, signed: bool) {
        let entry = |n| Entry::new(Action::LoginFail, Outcome::Failure).with("n", Value::Number(n));
        let unit = self.outbox.begin().await.unwrap();
        record_all(&unit, (0..count).map(entry)).await.unwrap();
        unit.commit().await.unwrap();
        while self.chain.step().await.unwrap() > 0 {}
        if signed {
            self.hand.advance(Config::default().checkpoint_interval);
            assert!(self.chain.checkpoint().await.unwrap());
        }
    }

    async fn evidence(&self) -> Evidence {
        let keys = Some(trusted_keys(self.db(), &self.masters).await.unwrap());
        Evidence { keys, checkpoints: Vec::new() }
    }

    async fn verdict(&self) -> Verdict {
        verify(self.db(), "auth", &self.evidence().await).await.unwrap()
    }

    async fn flaw(&self) -> Option<(i64, Flaw)> {
        self.verdict().await.broken.map(|found| (found.seq, found.flaw))
    }

    /// Somebody with all rights on the database.
    async fn tamper(&self, sql: &str) {
        let postgres = matches!(self.engine, Engine::Postgres(_));
        let table = |name: &str| if postgres { format!(" ON {name}") } else { String::new() };
        for (on, triggers) in [
            ("audit_log", &["log_content", "log_chain", "log_delete", "log_copy"][..]),
            ("audit_checkpoint", &["checkpoint_content", "checkpoint_delete", "checkpoint_keep"]),
        ] {
            for trigger in triggers {
                let drop = format!("DROP TRIGGER IF EXISTS audit_{trigger}{}", table(on));
                self.db().execute_unprepared(&drop).await.unwrap();
            }
        }
        for statement in sql.split(';') {
            let statement = match postgres {
                true => statement
                    .replace("x'00'", "'\\x00'")
                    .replace("randomblob(16)", "gen_random_uuid()"),
                false => statement.to_owned(),
            };
            self.db().execute_unprepared(&statement).await.unwrap();
        }
    }

    /// The statements of the checkpoints that were published, as somebody keeps
    /// them elsewhere.
    async fn published(&self) -> Vec<String> {
        let all = admin::list(self.db(), &admin::Filter::default()).await.unwrap();
        let statement = |entry: &admin::Entry| {
            entry.event.decode::<AuditCheckpoint>().ok().map(|event| event.statement)
        };
        all.iter().filter_map(statement).collect()
    }

    async fn end(self) {
        self.outbox.db().clone().close().await.unwrap();
        if let Engine::Postgres(database) = self.engine {
            database.remove().await;
        }
    }
}

const COLUMNS: &str = "record_time, actor, action, subject, outcome, address, detail";

async fn each_kind_of_tampering_is_named(backend: DatabaseBackend) {
    // Ten entries: the first five are signed.
    for (kind, sql, flaw) in [
        ("changed", "UPDATE audit_log SET outcome = 'other' WHERE seq = 3".to_owned(), (3, Flaw::Altered)),
        ("time", "UPDATE audit_log SET record_time = record_time + 1 WHERE seq = 7".to_owned(), (7, Flaw::Altered)),
        ("detail", "UPDATE audit_log SET detail = '{\"n\":9}' WHERE seq = 2".to_owned(), (2, Flaw::Altered)),
        ("tenant", "UPDATE audit_log SET tenant = 'acme' WHERE seq = 8".to_owned(), (8, Flaw::Altered)),
        ("a bit of the hash", "UPDATE audit_log SET hash = x'00' WHERE seq = 9".to_owned(), (9, Flaw::Altered)),
        ("deleted first", "DELETE FROM audit_log WHERE seq = 1".to_owned(), (1, Flaw::Missing)),
        ("deleted", "DELETE FROM audit_log WHERE seq = 6".to_owned(), (6, Flaw::Missing)),
        ("cut off", "DELETE FROM audit_log WHERE seq > 7".to_owned(), (8, Flaw::Missing)),
        ("emptied", "DELETE FROM audit_log".to_owned(), (1, Flaw::Missing)),
        (
            "reordered",
            "UPDATE audit_log SET seq = 99 WHERE seq = 2; UPDATE audit_log SET seq = 2 WHERE seq = 4; \
             UPDATE audit_log SET seq = 4 WHERE seq = 99"
                .to_owned(),
            (2, Flaw::Altered),
        ),
        (
            "closed up",
            "DELETE FROM audit_log WHERE seq = 9; UPDATE audit_log SET seq = 9 WHERE seq = 10".to_owned(),
            (9, Flaw::Altered),
        ),
        (
            "put in at the end",
            format!(
                "INSERT INTO audit_log (id, {COLUMNS}, seq, hash) SELECT randomblob(16), {COLUMNS}, 11, hash \
                 FROM audit_log WHERE seq = 10"
            ),
            (11, Flaw::Altered),
        ),
        (
            "put in before the beginning",
            format!(
                "INSERT INTO audit_log (id, {COLUMNS}, seq, hash) SELECT randomblob(16), {COLUMNS}, 0, hash \
                 FROM audit_log WHERE seq = 10"
            ),
            (0, Flaw::Surplus),
        ),
        (
            "the end moved back",
            "UPDATE audit_head SET seq = 9, hash = (SELECT hash FROM audit_log WHERE seq = 9)".to_owned(),
            (10, Flaw::Surplus),
        ),
        (
            "cut off behind the checkpoint, with the end",
            "DELETE FROM audit_log WHERE seq > 3; \
             UPDATE audit_head SET seq = 3, hash = (SELECT hash FROM audit_log WHERE seq = 3)"
                .to_owned(),
            (4, Flaw::Missing),
        ),
        (
            "a checkpoint of somebody else",
            "UPDATE audit_checkpoint SET statement = 'v4.public.x.y'".to_owned(),
            (5, Flaw::Forged),
        ),
        (
            "a beginning that was never signed",
            "UPDATE audit_floor SET seq = 2, hash = (SELECT hash FROM audit_log WHERE seq = 2); \
             DELETE FROM audit_log WHERE seq <= 2"
                .to_owned(),
            (2, Flaw::Beginning),
        ),
        ("another first hash", "UPDATE audit_floor SET hash = x'00'".to_owned(), (0, Flaw::Beginning)),
    ] {
        let stage = Stage::on(backend).await;
        // The first one tells of the audit key.
        stage.grow(4, true).await;
        stage.grow(5, false).await;
        let whole = stage.verdict().await;
        assert_eq!((whole.broken, whole.sound), (None, 10), "{kind}");
        assert_eq!(whole.signed.map(|signed| signed.seq), Some(5), "{kind}");
        stage.tamper(&sql).await;
        assert_eq!(stage.flaw().await, Some(flaw), "{kind}");
        stage.end().await;
    }
}

/// Chains everything anew, as if nothing had happened, with what is there.
async fn chain_anew(stage: &Stage) {
    stage.tamper("UPDATE audit_log SET seq = NULL, hash = NULL").await;
    let zeros = match stage.engine {
        Engine::Sqlite(_) => "zeroblob(32)".to_owned(),
        Engine::Postgres(_) => format!("'\\x{}'", "00".repeat(32)),
    };
    stage.tamper(&format!("UPDATE audit_head SET seq = 0, hash = {zeros}")).await;
    while stage.chain.step().await.unwrap() > 0 {}
}

async fn a_chain_that_was_made_anew_breaks_at_its_checkpoint(backend: DatabaseBackend) {
    let stage = Stage::on(backend).await;
    stage.grow(3, true).await;
    stage.grow(4, true).await;
    stage.grow(2, false).await;
    stage.tamper("UPDATE audit_log SET outcome = 'other' WHERE seq = 6").await;
    chain_anew(&stage).await;
    // By its hashes alone it is whole; the second checkpoint knows better.
    let blind = verify(stage.db(), "auth", &Evidence::default()).await.unwrap();
    assert_eq!((blind.broken, blind.sound), (None, 10));
    assert_eq!(stage.flaw().await, Some((5, Flaw::Rewritten)));

    // Without the checkpoints in the database, what was published tells.
    let published = stage.published().await;
    assert_eq!(published.len(), 2);
    stage.tamper("DELETE FROM audit_checkpoint").await;
    assert_eq!(stage.flaw().await, None);
    let evidence = Evidence { checkpoints: published, ..stage.evidence().await };
    let verdict = verify(stage.db(), "auth", &evidence).await.unwrap();
    assert_eq!(verdict.broken.map(|found| (found.seq, found.flaw)), Some((5, Flaw::Rewritten)));

    // And that there was more.
    let cut = "DELETE FROM audit_log WHERE seq > 6; \
               UPDATE audit_head SET seq = 6, hash = (SELECT hash FROM audit_log WHERE seq = 6)";
    stage.tamper(cut).await;
    let verdict = verify(stage.db(), "auth", &evidence).await.unwrap();
    assert_eq!(verdict.broken.map(|found| (found.seq, found.flaw)), Some((7, Flaw::Missing)));
    // A checkpoint says nothing of the trail of another service, and nothing at
    // all where nobody is known who could have signed it.
    let stored = Evidence { keys: None, ..evidence.clone() };
    let unknown = verify(stage.db(), "auth", &stored).await;
    assert!(matches!(unknown, Err(Error::Tokens(_))), "{unknown:?}");
    assert_eq!(verify(stage.db(), "user", &evidence).await.unwrap().broken, None);
    stage.end().await;
}

async fn only_a_key_that_the_master_key_opens_is_trusted(backend: DatabaseBackend) {
    let stage = Stage::on(backend).await;
    stage.grow(2, true).await;
    // Somebody makes all of it anew, with a key and a master key of their own.
    let theirs = MasterKey::generate().unwrap().into();
    stage.tamper("DELETE FROM audit_key; DELETE FROM audit_checkpoint").await;
    let key = audit_key(&stage.outbox, &theirs).await;
    let forger = Chain::new(stage.outbox.clone(), Config::default(), Some(key));
    assert!(forger.checkpoint().await.unwrap());
    let stored =
        Evidence { keys: Some(stored_keys(stage.db()).await.unwrap()), ..Evidence::default() };
    assert_eq!(verify(stage.db(), "auth", &stored).await.unwrap().broken, None);
    assert_eq!(stage.flaw().await, Some((3, Flaw::Forged)));
    stage.end().await;
}

async fn what_is_old_goes_and_what_is_left_is_verifiable(backend: DatabaseBackend) {
    let stage = Stage::on(backend).await;
    let retention = Config::default().retention;
    stage.grow(699, true).await;
    stage.hand.advance(100 * DAY);
    stage.grow(5, true).await;
    assert_eq!(stage.chain.prune().await.unwrap(), 0, "nothing is old yet");
    stage.hand.advance(retention - 50 * DAY);
    let mut gone = Vec::new();
    while let Ok(some @ 1..) = stage.chain.prune().await {
        gone.push(some);
    }
    assert_eq!(gone, [500, 200]);
    let verdict = stage.verdict().await;
    assert_eq!((verdict.begin, verdict.sound, verdict.broken.clone()), (700, 5, None));
    assert_eq!(verdict.signed.map(|signed| signed.seq), Some(705));
    // The engine lets no more of it go.
    assert!(stage.db().execute_unprepared("DELETE FROM audit_log").await.is_err());
    assert!(stage.db().execute_unprepared("DELETE FROM audit_checkpoint").await.is_err());
    // What is exported begins there, too, whatever is chained or not.
    let mut lines = Vec::new();
    let entry = Entry::new(Action::LoginFail, Outcome::Failure);
    let unit = stage.outbox.begin().await.unwrap();
    record_all(&unit, [entry]).await.unwrap();
    unit.commit().await.unwrap();
    let keep = |line| {
        lines.push(line);
        Ok(())
    };
    assert_eq!(export(stage.db(), "auth", Timestamp::EPOCH, keep).await.unwrap(), 6);
    let first: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((first["place"].as_i64(), first["service"].as_str()), (Some(701), Some("auth")));
    assert_eq!(first["detail"]["scope"]["tenant"], "default");
    let last: serde_json::Value = serde_json::from_str(&lines[5]).unwrap();
    assert!(last["place"].is_null());
    stage.end().await;
}

async fn evidence_is_not_deleted(backend: DatabaseBackend) {
    let stage = Stage::on(backend).await;
    stage.grow(3, true).await;
    stage.tamper("UPDATE audit_log SET outcome = 'failed' WHERE seq = 2").await;
    stage.hand.advance(Config::default().retention + DAY);
    let refused = stage.chain.prune().await;
    assert!(matches!(refused, Err(Error::Changed(2))), "{refused:?}");
    assert_eq!(stage.flaw().await, Some((2, Flaw::Altered)));
    stage.end().await;
}

async fn a_checkpoint_is_made_once_where_the_chain_has_grown(backend: DatabaseBackend) {
    let stage = Stage::on(backend).await;
    assert!(!stage.chain.checkpoint().await.unwrap(), "there is nothing to sign");
    stage.grow(1, true).await;
    stage.hand.advance(DAY);
    assert!(!stage.chain.checkpoint().await.unwrap(), "it has not grown");
    stage.grow(1, false).await;
    let (one, other) = (stage.chain.clone(), stage.chain.clone());
    let made = tokio::join!(one.checkpoint(), other.checkpoint());
    assert_eq!([made.0.unwrap(), made.1.unwrap()].into_iter().filter(|made| *made).count(), 1);
    stage.grow(1, false).await;
    assert!(!stage.chain.checkpoint().await.unwrap(), "it is not time");
    assert_eq!(stage.published().await.len(), 2);
    // Another start finds the same key.
    drop(audit_key(&stage.outbox, &stage.masters).await);
    assert_eq!(stored_keys(stage.db()).await.unwrap().len(), 1);
    stage.end().await;
}

macro_rules! on_both_engines {
    ($($test:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $test() {
                super::$test(sea_orm::DatabaseBackend::Sqlite).await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test]
            async fn $test() {
                super::$test(sea_orm::DatabaseBackend::Postgres).await;
            })+
        }
    };
}

on_both_engines![
    each_kind_of_tampering_is_named,
    a_chain_that_was_made_anew_breaks_at_its_checkpoint,
    only_a_key_that_the_master_key_opens_is_trusted,
    what_is_old_goes_and_what_is_left_is_verifiable,
    evidence_is_not_deleted,
    a_checkpoint_is_made_once_where_the_chain_has_grown,
];
