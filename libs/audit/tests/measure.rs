//! What the trail costs. Printed, not asserted, and only when asked:
//! `cargo test -p countersign-audit --test measure -- --ignored --nocapture`.

#![expect(clippy::unwrap_used, reason = "a measurement stops at the first surprise")]

use std::{
    io::Write,
    time::{Duration, Instant},
};

use countersign_audit::{
    Action, Chain, Config, Entry, Evidence, Outcome, Value, export, migrations, record, verify,
};
use countersign_events::Outbox;
use countersign_types::{Clock, SessionId, Timestamp, UserId};
use sea_orm::{ConnectOptions, ConnectionTrait, Database};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

const TIMES: u32 = 2_000;
const MANY: u32 = 20_000;

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        migrations()
    }
}

fn entry() -> Entry {
    let (user, session) = (UserId::generate(), SessionId::generate());
    Entry::new(Action::LoginSuccess, Outcome::Success)
        .actor(user)
        .account(user)
        .subject(session)
        .session(session)
        .address(Some([192, 0, 2, 1].into()))
        .with("new_device", Value::Flag(false))
}

fn tell(what: &str, times: u32, took: Duration) {
    let micros = took.as_secs_f64() * 1e6 / f64::from(times);
    // Past the capture of the test harness.
    let line = format!("{what}: {micros:.1} us each, of {times}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

#[tokio::test]
#[ignore = "a measurement"]
async fn measure_what_the_trail_costs() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("audit.db").display());
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(1)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(|o| o.pragma("journal_mode", "WAL").pragma("synchronous", "FULL"));
    let db = Database::connect(options).await.unwrap();
    Migrator::up(&db, None).await.unwrap();
    db.execute_unprepared("CREATE TABLE thing (id INTEGER PRIMARY KEY, n INTEGER)").await.unwrap();
    let (clock, _) = Clock::manual(Timestamp::from_seconds(1_800_000_000));
    let outbox = Outbox::new(db, clock, "test");

    for audited in [false, true, false, true] {
        let start = Instant::now();
        for _ in 0..TIMES {
            let unit = outbox.begin().await.unwrap();
            unit.execute_unprepared("INSERT INTO thing (n) VALUES (1)").await.unwrap();
            if audited {
                record(&unit, &entry()).await.unwrap();
            }
            unit.commit().await.unwrap();
        }
        let what = if audited { "a change with its entry" } else { "a change without one" };
        tell(what, TIMES, start.elapsed());
    }

    let unit = outbox.begin().await.unwrap();
    for _ in 0..MANY {
        record(&unit, &entry()).await.unwrap();
    }
    unit.commit().await.unwrap();
    let chain = Chain::new(outbox.clone(), Config::default(), None);
    let (start, mut taken) = (Instant::now(), 0);
    while let Ok(count @ 1..) = chain.step().await {
        taken += u32::try_from(count).unwrap();
    }
    tell("an entry taken into the chain", taken, start.elapsed());
    let start = Instant::now();
    let verdict = verify(outbox.db(), "test", &Evidence::default()).await.unwrap();
    assert_eq!(verdict.broken, None);
    tell("an entry verified", taken, start.elapsed());
    let start = Instant::now();
    let mut bytes = 0;
    let keep = |line: String| {
        bytes += line.len();
        Ok(())
    };
    export(outbox.db(), "test", Timestamp::EPOCH, keep).await.unwrap();
    tell("an entry exported", taken, start.elapsed());
}
