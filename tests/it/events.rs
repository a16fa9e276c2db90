//! What operators do with events, and that an effect happens once whatever they do.

use std::time::Duration;

use countersign_events::admin;
use countersign_tests::{Executable, Ledger, TestApp, Topology, on_every_topology};
use countersign_types::Timestamp;
use sea_orm::ConnectionTrait;

const PROFILES: &str = "SELECT count(*) AS n FROM profiles";
const AUDITED: &str = "SELECT count(*) AS n FROM audit_log";

async fn a_replay_of_everything_changes_nothing(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.active("ada").await;
    let login = app.login(&ada).await;
    login.clients.logout().await.unwrap();
    app.settle().await;
    let before = app.login(&ada).await.clients.profile("me").await.unwrap();
    app.settle().await;

    let ledger = app.ledger().await;
    for _ in 0..3 {
        let auth = admin::replay(&ledger.auth, Timestamp::EPOCH, None).await.unwrap();
        let user = admin::replay(&ledger.user, Timestamp::EPOCH, None).await.unwrap();
        assert!(auth >= 4 && user >= 1, "{auth} and {user} events");
        app.settle().await;
    }
    assert_eq!(Ledger::number(&ledger.user, PROFILES).await, 1);
    assert_eq!(ledger.events("ProfileCreated").await.len(), 1);
    assert_eq!(app.login(&ada).await.clients.profile("me").await.unwrap(), before);
}

#[tokio::test]
async fn an_event_that_cannot_be_handled_dies_and_can_be_requeued() {
    let app = TestApp::start().await.with_dead_letters();
    let ada = app.active("ada").await;
    let ledger = app.ledger().await;
    // The user service loses a profile, as after a backup of yesterday.
    ledger.user.execute_unprepared("CREATE TABLE lost AS SELECT * FROM profiles").await.unwrap();
    ledger.user.execute_unprepared("DELETE FROM profiles").await.unwrap();
    app.login(&ada).await.clients.logout().await.unwrap();
    for _ in 0..8 {
        app.settle().await;
        app.clock().advance(Duration::from_secs(60));
    }
    app.settle().await;
    let letters = ledger.dead_letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].consumer.as_str(), letters[0].tries), ("user.activity", 8));
    assert!(letters[0].error.contains("PROFILE_NOT_FOUND"), "{}", letters[0].error);

    ledger.user.execute_unprepared("INSERT INTO profiles SELECT * FROM lost").await.unwrap();
    let id = letters[0].event.id;
    assert!(admin::requeue(&ledger.user, id, "user.activity").await.unwrap());
    app.settle().await;
    assert!(ledger.dead_letters().await.is_empty());
    let profile = app.login(&ada).await.clients.profile("me").await.unwrap();
    assert!(profile.last_active_time.is_some());
}

#[tokio::test]
#[should_panic(expected = "dead letters are left over")]
async fn a_dead_letter_that_nobody_looked_at_fails_the_test() {
    let app = TestApp::start().await;
    let ada = app.signed_in("ada").await;
    app.ledger().await.user.execute_unprepared("DELETE FROM profiles").await.unwrap();
    ada.clients.logout().await.unwrap();
    for _ in 0..9 {
        app.settle().await;
        app.clock().advance(Duration::from_secs(60));
    }
}

#[tokio::test]
async fn the_last_activity_never_moves_back() {
    // In one process, where each service has one connection and steps by hand.
    let app = TestApp::start().await;
    let ada = app.active("ada").await;
    let (first, second) = (app.login(&ada).await, app.login(&ada).await);
    first.clients.logout().await.unwrap();
    app.clock().advance(Duration::from_secs(30));
    second.clients.logout().await.unwrap();
    app.settle().await;
    let profile = app.login(&ada).await.clients.profile("me").await.unwrap();
    let latest = profile.last_active_time;

    // The inbox is lost; both logouts come again, the earlier one last.
    let ledger = app.ledger().await;
    let forget = "DELETE FROM inbox WHERE consumer = 'user.activity'";
    ledger.user.execute_unprepared(forget).await.unwrap();
    admin::replay(&ledger.auth, Timestamp::EPOCH, None).await.unwrap();
    app.settle().await;
    assert_eq!(app.login(&ada).await.clients.profile("me").await.unwrap().last_active_time, latest);
}

async fn the_audit_trail_tells_of_changes_and_withstands_a_look(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let ledger = app.ledger().await;
    let before = Ledger::number(&ledger.user, AUDITED).await;
    let profile = countersign_contracts::user::v1::Profile {
        bio: "audited".to_owned(),
        ..Default::default()
    };
    ada.clients.update(profile.clone(), &["bio"]).await.unwrap();
    ada.clients.update(profile, &["bio"]).await.unwrap();
    assert_eq!(Ledger::number(&ledger.user, AUDITED).await, before + 1);
    assert!(Ledger::number(&ledger.auth, AUDITED).await > 0);
}

#[tokio::test]
async fn operators_see_and_replay_events_beside_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let executable = Executable::on(&folder.path().join("data"));
    let process = executable.start().await;
    let ada = process.clients().register("ada").await.unwrap();
    process.clients().login_when_active(&ada.email).await.unwrap();

    let listed = executable.run(&["events", "list"]).await;
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.status.success(), "{listed:?}");
    for kind in ["UserCreated", "ProfileCreated", "LoginSucceeded"] {
        assert!(text.contains(kind), "{text}");
    }
    assert!(text.contains(&ada.user_id) && !text.contains("example.org"), "{text}");
    let of_kind = executable.run(&["events", "list", "--kind", "ProfileCreated"]).await;
    let of_kind = String::from_utf8_lossy(&of_kind.stdout).into_owned();
    assert!(of_kind.contains("ProfileCreated") && !of_kind.contains("UserCreated"), "{of_kind}");

    let replayed = executable.run(&["events", "replay", "--since", "1h"]).await;
    assert!(replayed.status.success(), "{replayed:?}");
    let dead = executable.run(&["events", "dead"]).await;
    assert!(dead.status.success());
    let missing = ["events", "requeue", &ada.user_id, "--consumer", "user.activity"];
    let missing = executable.run(&missing).await;
    assert!(!missing.status.success());
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no dead letter"), "{missing:?}");
    assert!(process.stop().await);
    let ledger = Ledger::open(&folder.path().join("data")).await;
    assert_eq!(Ledger::number(&ledger.user, PROFILES).await, 1);
}

on_every_topology![
    a_replay_of_everything_changes_nothing,
    the_audit_trail_tells_of_changes_and_withstands_a_look,
];
