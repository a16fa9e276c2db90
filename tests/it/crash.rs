//! A process that dies at any point between a commit and its events: nothing is
//! lost, nothing happens twice.

use std::time::Duration;

use countersign_tests::{
    Cut, Executable, Ledger, TestApp, Topology, drop_after, on_every_topology,
};
use tonic::Code;

/// How often a relay is cut off. Its step waits some times for the database; how
/// often is not ours to say, so that each number of waits gets its turn again and again.
const ROUNDS: usize = 40;
/// More waits than a step has. The last rounds of each turn end uncut.
const MOST_WAITS: usize = 8;

/// Embedded alone, where a test steps the relays and counts their waits; split, the campaign kills
/// whole processes, and the tests of `libs/events` drop relays and consumers at each of their waits.
///
/// Lets people register and the system die after some waits of `step`: when it
/// has started again and settled, everybody is active, by one event each.
async fn die_in(prepare: impl AsyncFn(&TestApp), step: impl AsyncFn(&TestApp) -> usize) {
    let mut app = TestApp::start().await;
    let mut cut = 0;
    for round in 0..ROUNDS {
        let ada = app.clients().register(&format!("ada-{round}")).await.unwrap();
        prepare(&app).await;
        let waits = 1 + round % MOST_WAITS;
        if drop_after(waits, step(&app)).await == Cut::Dropped {
            cut += 1;
            app = app.crash_and_restart().await;
        }
        app.settle().await;
        let ledger = app.ledger().await;
        assert_eq!(ledger.events_of("UserCreated", &ada.user_id).await, 1, "{waits} waits");
        assert_eq!(ledger.events_of("ProfileCreated", &ada.user_id).await, 1, "{waits} waits");
        let profile = app.login(&ada).await.clients.profile("me").await.unwrap();
        assert_eq!(profile.user_id, ada.user_id);
    }
    assert!(cut >= ROUNDS / MOST_WAITS, "it was hardly cut at all: {cut} times");
}

#[tokio::test]
async fn dying_while_the_profile_is_made_loses_and_doubles_nothing() {
    die_in(async |_| (), TestApp::step_auth).await;
}

#[tokio::test]
async fn dying_while_the_account_is_activated_loses_and_doubles_nothing() {
    let profile_is_made = async |app: &TestApp| {
        app.step_auth().await;
    };
    die_in(profile_is_made, TestApp::step_user).await;
}

async fn a_client_that_leaves_while_it_registers_leaves_a_whole_account_or_none(
    topology: Topology,
) {
    let app = TestApp::on(topology).await;
    for polls in 1..60 {
        let name = format!("ada-{polls}");
        let clients = app.clients();
        let done = drop_after(polls, clients.register(&name)).await;
        // The server may still be at it: the same address again decides.
        let again = app.clients().register(&name).await;
        match (done, again) {
            (_, Ok(person)) => assert!(!person.user_id.is_empty()),
            (_, Err(status)) => assert_eq!(status.code(), Code::AlreadyExists, "{status:?}"),
        }
        app.settle().await;
        let email = countersign_tests::email_of(&name);
        let login = app.clients().login(&email).await.unwrap();
        let ledger = app.ledger().await;
        assert_eq!(ledger.events_of("UserCreated", &login.user_id).await, 1);
        assert_eq!(ledger.events_of("ProfileCreated", &login.user_id).await, 1);
    }
}

async fn dying_while_somebody_registers_leaves_a_whole_account_or_none(topology: Topology) {
    let mut app = TestApp::on(topology).await;
    for round in 0..16 {
        let name = format!("ada-{round}");
        let clients = app.clients();
        // The request is on its way; the server is given more and more time with it.
        let _ = drop_after(3, clients.register(&name)).await;
        for _ in 0..(1 << round) {
            tokio::task::yield_now().await;
        }
        app = app.crash_and_restart().await;
        app.settle().await;
        if let Err(status) = app.clients().register(&name).await {
            assert_eq!(status.code(), Code::AlreadyExists, "{status:?}");
        }
        app.settle().await;
        let login = app.clients().login(&countersign_tests::email_of(&name)).await.unwrap();
        let ledger = app.ledger().await;
        assert_eq!(ledger.events_of("UserCreated", &login.user_id).await, 1);
        assert_eq!(ledger.events_of("ProfileCreated", &login.user_id).await, 1);
        login.clients.profile("me").await.unwrap();
    }
}

async fn dying_between_logout_and_its_event_still_notes_the_activity(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.active("ada").await;
    app.login(&ada).await.clients.logout().await.unwrap();
    let app = app.crash_and_restart().await;
    app.settle().await;
    let profile = app.login(&ada).await.clients.profile("me").await.unwrap();
    assert!(profile.last_active_time.is_some());
}

// Of the executable as a newcomer runs it, in one process; the campaign kills those of both roles.
#[tokio::test]
async fn a_process_killed_at_its_very_first_start_starts_the_next_time() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..10 {
        let data = folder.path().join(round.to_string());
        let executable = Executable::on(&data);
        executable.start_and_kill(Duration::from_millis(4 * round)).await;
        let process = executable.start().await;
        let person = process.clients().register("ada").await.unwrap();
        process.clients().login_when_active(&person.email).await.unwrap();
        assert!(process.stop().await);
    }
}

#[tokio::test]
async fn a_killed_process_keeps_what_it_answered() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let executable = Executable::on(&data);
    let mut people = Vec::new();
    for round in 0..4 {
        let process = executable.start().await;
        for n in 0..2 {
            let person = process.clients().register(&format!("ada-{round}-{n}")).await.unwrap();
            people.push(person);
        }
        process.kill().await;
    }
    let process = executable.start().await;
    for person in &people {
        let login = process.clients().login_when_active(&person.email).await.unwrap();
        assert_eq!(login.user_id, person.user_id);
        login.clients.profile("me").await.unwrap();
    }
    let ledger = Ledger::open(&data).await;
    for person in &people {
        assert_eq!(ledger.events_of("UserCreated", &person.user_id).await, 1);
        assert_eq!(ledger.events_of("ProfileCreated", &person.user_id).await, 1);
    }
    assert!(ledger.dead_letters().await.is_empty());
    assert!(process.stop().await, "the server leaves in good order");
}

on_every_topology![
    a_client_that_leaves_while_it_registers_leaves_a_whole_account_or_none,
    dying_while_somebody_registers_leaves_a_whole_account_or_none,
    dying_between_logout_and_its_event_still_notes_the_activity,
];
