//! The trail through its public face.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod asides;
mod stage;

use std::net::IpAddr;

use countersign_audit::{
    Action, Chain, Config, Entry, Flaw, Outcome, Value, Verdict, record, record_all,
};
use countersign_types::{SessionId, Tenant, UserId};
use proptest::prelude::*;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use stage::{Trail, verdict};

#[tokio::test]
async fn an_entry_is_there_only_with_what_it_tells_of() {
    let trail = Trail::new().await;
    let unit = trail.outbox.begin().await.unwrap();
    record(&unit, &Entry::new(Action::UserCreated, Outcome::Success)).await.unwrap();
    unit.rollback().await.unwrap();
    assert_eq!(trail.verdict().await, verdict(0, 0));
    trail.record(2).await;
    assert_eq!(trail.verdict().await, verdict(0, 2));
    trail.chain().await;
    assert_eq!(trail.verdict().await, verdict(2, 0));
}

#[tokio::test]
async fn an_entry_says_who_did_what_to_whom_from_where() {
    let trail = Trail::new().await;
    let (user, session) = (UserId::generate(), SessionId::generate());
    let address: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
    let unit = trail.outbox.begin().await.unwrap();
    let entry = Entry::new(Action::SessionRevoked, Outcome::Success)
        .actor(user)
        .subject(session)
        .account(user)
        .session(session)
        .tenant("acme".parse().unwrap())
        .address(Some(address))
        .with("reason", Value::Word("logout"))
        .with("fields", Value::Words(vec!["a", "b"]))
        .with("key", Value::Key("k4.pid.x".to_owned()))
        .with("current", Value::Flag(true));
    record(&unit, &entry).await.unwrap();
    unit.commit().await.unwrap();

    let sql = "SELECT action, outcome, address, detail, actor, subject, account, tenant, record_time FROM audit_log";
    let select = Statement::from_string(DbBackend::Sqlite, sql);
    let row = trail.outbox.db().query_one_raw(select).await.unwrap().unwrap();
    let text = |column: &str| row.try_get::<String>("", column).unwrap();
    assert_eq!(text("action"), "session_revoked");
    assert_eq!(text("outcome"), "success");
    assert_eq!(text("address"), "192.0.2.7");
    let detail: serde_json::Value = serde_json::from_str(&text("detail")).unwrap();
    let expected = serde_json::json!({
        "reason": "logout", "fields": ["a", "b"], "key": "k4.pid.x", "current": true,
        "scope": {
            "account": user.to_string(), "session": session.to_string(), "tenant": "acme",
        },
    });
    assert_eq!(detail, expected);
    assert_eq!(row.try_get::<Option<Uuid>>("", "actor").unwrap(), Some(user.as_uuid()));
    assert_eq!(row.try_get::<Option<Uuid>>("", "subject").unwrap(), Some(session.as_uuid()));
    assert_eq!(row.try_get::<i64>("", "record_time").unwrap(), 5_000_000);
}

#[tokio::test]
async fn the_engine_refuses_to_change_or_delete_an_entry() {
    let trail = Trail::new().await;
    trail.record(2).await;
    let db = trail.outbox.db();
    assert!(db.execute_unprepared("UPDATE audit_log SET detail = '{}'").await.is_err());
    trail.chain().await;
    for sql in [
        "UPDATE audit_log SET outcome = 'success'",
        "UPDATE audit_log SET seq = NULL",
        "UPDATE audit_log SET hash = x'00'",
        "UPDATE audit_log SET tenant = 'acme'",
        "DELETE FROM audit_log",
    ] {
        assert!(db.execute_unprepared(sql).await.is_err(), "{sql}");
    }
    assert_eq!(trail.verdict().await.sound, 2);
}

#[tokio::test]
async fn whatever_is_done_to_the_trail_the_first_bad_place_is_named() {
    for (sql, flaw) in [
        ("UPDATE audit_log SET outcome = 'success' WHERE seq = 3", (3, Flaw::Altered)),
        ("UPDATE audit_log SET address = '' WHERE seq = 3", (3, Flaw::Altered)),
        ("UPDATE audit_log SET record_time = record_time + 1 WHERE seq = 1", (1, Flaw::Altered)),
        ("UPDATE audit_log SET hash = x'00' WHERE seq = 5", (5, Flaw::Altered)),
        ("UPDATE audit_log SET detail = 'x' WHERE seq = 2", (2, Flaw::Altered)),
        ("UPDATE audit_log SET tenant = 'acme' WHERE seq = 2", (2, Flaw::Altered)),
        ("UPDATE audit_log SET account = zeroblob(15) || x'01' WHERE seq = 4", (4, Flaw::Altered)),
        ("DELETE FROM audit_log WHERE seq = 1", (1, Flaw::Missing)),
        ("DELETE FROM audit_log WHERE seq = 3", (3, Flaw::Missing)),
        ("DELETE FROM audit_log WHERE seq = 5", (5, Flaw::Missing)),
        ("DELETE FROM audit_log", (1, Flaw::Missing)),
        (
            "UPDATE audit_log SET seq = 9 WHERE seq = 2; \
             UPDATE audit_log SET seq = 2 WHERE seq = 3; \
             UPDATE audit_log SET seq = 3 WHERE seq = 9",
            (2, Flaw::Altered),
        ),
        (
            "DELETE FROM audit_log WHERE seq = 4; \
             UPDATE audit_log SET seq = 4 WHERE seq = 5",
            (4, Flaw::Altered),
        ),
        (
            "INSERT INTO audit_log SELECT zeroblob(16), record_time, actor, action, subject, outcome, \
             address, detail, 6, hash, account, session, tenant FROM audit_log WHERE seq = 5",
            (6, Flaw::Altered),
        ),
        (
            "INSERT INTO audit_log SELECT zeroblob(16), record_time, actor, action, subject, \
             outcome, address, detail, 0, hash, account, session, tenant FROM audit_log WHERE seq = 5",
            (0, Flaw::Surplus),
        ),
        ("UPDATE audit_head SET seq = 4", (5, Flaw::Surplus)),
        ("UPDATE audit_head SET hash = x'00'", (5, Flaw::Altered)),
    ] {
        let trail = Trail::new().await;
        trail.record(5).await;
        trail.chain().await;
        assert_eq!(trail.flaw().await, None);
        trail.tamper(sql).await;
        assert_eq!(trail.flaw().await, Some(flaw), "{sql}");
    }
}

#[tokio::test]
async fn sequencers_that_work_at_once_make_one_chain() {
    let trail = Trail::new().await;
    trail.record(300).await;
    tokio::join!(trail.chain(), trail.chain(), trail.record(30));
    trail.chain().await;
    assert_eq!(trail.verdict().await, verdict(330, 0));
}

#[tokio::test]
async fn more_entries_than_a_batch_make_one_chain() {
    let trail = Trail::new().await;
    let unit = trail.outbox.begin().await.unwrap();
    let entry = |n| Entry::new(Action::LoginFail, Outcome::Failure).with("n", Value::Number(n));
    record_all(&unit, (0..2_500).map(entry)).await.unwrap();
    unit.commit().await.unwrap();
    let chain = Chain::new(trail.outbox.clone(), Config::default(), None);
    let mut taken = Vec::new();
    while let Ok(count @ 1..) = chain.step().await {
        taken.push(count);
    }
    assert_eq!(taken, [1000, 1000, 500]);
    assert_eq!(trail.verdict().await, verdict(2_500, 0));
}

#[tokio::test]
async fn what_the_former_version_writes_is_chained_and_concerns_nobody() {
    let trail = Trail::new().await;
    let former = "INSERT INTO audit_log \
                  (id, record_time, action, outcome, detail) \
                  VALUES (zeroblob(16), 5, 'authn_login_fail', 'failure', '{\"reason\":\"x\"}')";
    trail.outbox.db().execute_unprepared(former).await.unwrap();
    trail.chain().await;
    assert_eq!(trail.verdict().await, verdict(1, 0));
    let select = Statement::from_string(
        DbBackend::Sqlite,
        "SELECT action, outcome, address, detail, actor, subject, account, tenant, record_time FROM audit_log",
    );
    let row = trail.outbox.db().query_one_raw(select).await.unwrap().unwrap();
    assert_eq!(row.try_get::<Uuid>("", "account").unwrap(), Uuid::nil());
    assert_eq!(row.try_get::<String>("", "tenant").unwrap(), Tenant::default().to_string());
}

#[tokio::test]
async fn a_cancelled_chain_ends() {
    let trail = Trail::new().await;
    let cancel = CancellationToken::new();
    let running =
        tokio::spawn(Chain::new(trail.outbox.clone(), Config::default(), None).run(cancel.clone()));
    cancel.cancel();
    running.await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn entries_recorded_and_chained_in_any_turn_make_a_whole_chain(
        turns in prop::collection::vec((0..5_usize, any::<bool>()), 1..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let trail = Trail::new().await;
            let mut recorded = 0;
            for (count, chain) in turns {
                trail.record(count).await;
                recorded += u64::try_from(count).unwrap();
                if chain {
                    trail.chain().await;
                }
            }
            let Verdict { sound, loose, broken, .. } = trail.verdict().await;
            prop_assert_eq!((sound + loose, broken), (recorded, None));
            Ok(())
        })?;
    }
}
