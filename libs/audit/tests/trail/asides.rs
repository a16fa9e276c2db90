//! What belongs to no transaction, on its way into the trail.

use countersign_types::{Denial, SessionId, Timestamp, UserId};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::stage::Trail;

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A call that somebody may not make.
fn denial(user: UserId, resource: Uuid) -> Denial {
    Denial {
        rpc: "test.v1.ThingService/GetThing",
        user,
        session: SessionId::from(Uuid::from_u128(7)),
        tenant: "acme".parse().unwrap(),
        address: Some("192.0.2.9".parse().unwrap()),
        trace: Some(TRACE.parse().unwrap()),
        resource_type: "Thing",
        resource: Some(resource),
        policies: vec!["never-this-thing".to_owned()],
        time: Timestamp::from_seconds(5),
    }
}

#[tokio::test]
async fn a_denied_call_is_an_entry_with_ids_alone() {
    let trail = Trail::new().await;
    let (sender, mut denials) = trail.asides();
    assert_eq!(denials.step().await.unwrap(), 0);
    let (user, thing) = (UserId::generate(), Uuid::now_v7());
    sender.try_send(denial(user, thing)).unwrap();
    assert_eq!(denials.step().await.unwrap(), 1);

    let select = Statement::from_string(
        DbBackend::Sqlite,
        "SELECT action, outcome, address, detail, actor, subject, account, tenant, record_time FROM audit_log",
    );
    let row = trail.outbox.db().query_one_raw(select).await.unwrap().unwrap();
    assert_eq!(row.try_get::<String>("", "action").unwrap(), "authz_fail");
    assert_eq!(row.try_get::<String>("", "outcome").unwrap(), "failure");
    assert_eq!(row.try_get::<Option<Uuid>>("", "actor").unwrap(), Some(user.as_uuid()));
    assert_eq!(row.try_get::<Option<Uuid>>("", "subject").unwrap(), Some(thing));
    let detail: serde_json::Value =
        serde_json::from_str(&row.try_get::<String>("", "detail").unwrap()).unwrap();
    let expected = serde_json::json!({
        "rpc": "test.v1.ThingService/GetThing", "resource": "Thing",
        "policies": ["never-this-thing"], "count": 1,
        "trace": "0af7651916cd43dd8448eb211c80319c",
        "scope": {
            "account": user.to_string(), "session": "00000000-0000-0000-0000-000000000007",
            "tenant": "acme",
        },
    });
    assert_eq!(detail, expected);
    assert_eq!(row.try_get::<String>("", "address").unwrap(), "192.0.2.9");
    assert_eq!(row.try_get::<Uuid>("", "account").unwrap(), user.as_uuid());
    assert_eq!(row.try_get::<String>("", "tenant").unwrap(), "acme");
}

#[tokio::test]
async fn who_is_denied_often_writes_one_entry_a_batch() {
    let trail = Trail::new().await;
    let (sender, mut denials) = trail.asides();
    let (one, other, thing) = (UserId::generate(), UserId::generate(), Uuid::now_v7());
    for _ in 0..200 {
        sender.try_send(denial(one, Uuid::now_v7())).unwrap();
    }
    sender.try_send(denial(other, thing)).unwrap();
    sender.try_send(denial(other, thing)).unwrap();
    assert_eq!(denials.step().await.unwrap(), 202);
    let sql = "SELECT action, outcome, address, detail, actor, subject, account, tenant, record_time FROM audit_log ORDER BY id";
    let select = Statement::from_string(DbBackend::Sqlite, sql);
    let rows = trail.outbox.db().query_all_raw(select).await.unwrap();
    let found: Vec<_> = rows
        .iter()
        .map(|row| {
            let detail: serde_json::Value =
                serde_json::from_str(&row.try_get::<String>("", "detail").unwrap()).unwrap();
            (row.try_get::<Option<Uuid>>("", "subject").unwrap(), detail["count"].as_i64())
        })
        .collect();
    assert_eq!(found, [(None, Some(200)), (Some(thing), Some(2))]);
}

#[tokio::test]
async fn denials_that_cannot_be_written_wait_and_room_is_bounded() {
    let trail = Trail::new().await;
    let (sender, mut denials) = trail.asides();
    let user = UserId::generate();
    let mut room = 0;
    while sender.try_send(denial(user, Uuid::now_v7())).is_ok() {
        room += 1;
    }
    assert_eq!(room, 1024);
    let db = trail.outbox.db();
    db.execute_unprepared("ALTER TABLE audit_log RENAME TO away").await.unwrap();
    for _ in 0..3 {
        let failed = denials.step().await.unwrap_err().to_string();
        assert!(!failed.contains("audit_log"), "the engine's text: {failed}");
    }
    db.execute_unprepared("ALTER TABLE away RENAME TO audit_log").await.unwrap();
    let mut written = 0;
    loop {
        match denials.step().await.unwrap() {
            0 => break,
            count => written += count,
        }
    }
    assert_eq!(written, room);
}

#[tokio::test]
async fn denials_are_written_before_the_task_ends() {
    let trail = Trail::new().await;
    let (sender, denials) = trail.asides();
    let cancel = CancellationToken::new();
    sender.try_send(denial(UserId::generate(), Uuid::now_v7())).unwrap();
    cancel.cancel();
    denials.run(cancel).await;
    assert_eq!(trail.verdict().await.loose, 1);
}
