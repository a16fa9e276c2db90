//! Keys are exchanged while everybody works, and whoever does it may die at any step.

use std::{fs, path::Path, time::Duration};

use countersign_tests::{
    Canaries, Cut, Executable, Ledger, TestApp, Topology, drop_after, on_every_topology,
};

async fn people(app: &TestApp, count: usize) -> Vec<Canaries> {
    let mut people = Vec::new();
    for _ in 0..count {
        people.push(Canaries::fly(&app.clients(), async || app.settle().await).await);
    }
    people
}

async fn all_is_there(people: &[Canaries]) {
    for Canaries { person, login, profile } in people {
        assert_eq!(login.clients.profile("me").await.unwrap().bio, profile.bio);
        assert_eq!(login.clients.account("me").await.unwrap().email, person.email);
    }
}

/// How many data keys of both services are of at most this version.
async fn up_to(ledger: &Ledger, version: i64) -> i64 {
    let sql = format!("SELECT count(*) AS n FROM data_keys WHERE version <= {version}");
    Ledger::number(&ledger.auth, &sql).await + Ledger::number(&ledger.user, &sql).await
}

async fn every_person_gets_a_new_key_and_keeps_what_they_have(topology: Topology) {
    let app = TestApp::on(topology).await;
    let people = people(&app, 3).await;
    let ledger = app.ledger().await;
    assert_eq!((up_to(&ledger, 0).await, up_to(&ledger, 1).await), (0, 6));
    app.clock().advance(Duration::from_secs(1));
    let mut seen = Vec::new();
    app.user_keeper().await.rotate_data(&mut |at| seen.push(at.done)).await.unwrap();
    app.auth_keeper().await.rotate_data(&mut |at| seen.push(at.done)).await.unwrap();
    assert_eq!(seen, [3, 3]);
    assert_eq!(up_to(&ledger, 1).await, 0);
    all_is_there(&people).await;
}

async fn another_master_key_takes_over_and_the_former_one_may_go(topology: Topology) {
    let app = TestApp::on(topology).await;
    let people = people(&app, 2).await;
    let masters = app.masters();
    let former = masters.latest().unwrap();
    let to = masters.add().unwrap();
    let quiet = &mut |_| ();
    assert!(app.user_keeper().await.rotate_master(&to, quiet).await.unwrap());
    assert!(app.auth_keeper().await.rotate_master(&to, quiet).await.unwrap());
    assert!(!app.auth_keeper().await.rotate_master(&to, quiet).await.unwrap(), "it is done");
    // Servers that run have read the file again, and go on with both.
    all_is_there(&people).await;
    let refreshed = app.clients().refresh(&people[0].login.refresh_token).await.unwrap();
    let one_more = Canaries::fly(&app.clients(), async || app.settle().await).await;

    keep_the_last(masters.path().unwrap());
    assert_ne!(app.masters().ids(), [former.id()]);
    let app = app.crash_and_restart().await;
    for canaries in people.iter().chain([&one_more]) {
        let again = app.clients().login(&canaries.person.email).await.unwrap();
        assert_eq!(again.clients.profile("me").await.unwrap().bio, canaries.profile.bio);
    }
    app.clients().refresh(&refreshed.refresh_token).await.unwrap();
}

on_every_topology![
    every_person_gets_a_new_key_and_keeps_what_they_have,
    another_master_key_takes_over_and_the_former_one_may_go,
];

#[tokio::test]
async fn new_data_keys_come_in_the_end_wherever_the_exchange_is_cut() {
    let app = TestApp::start().await;
    let people = people(&app, 2).await;
    let mut cut = 0;
    for waits in 1.. {
        app.clock().advance(Duration::from_secs(1));
        let (user, auth) = (app.user_keeper().await, app.auth_keeper().await);
        let work = async {
            user.rotate_data(&mut |_| ()).await.unwrap();
            auth.rotate_data(&mut |_| ()).await.unwrap();
        };
        let done = drop_after(waits, work).await;
        all_is_there(&people).await;
        if done != Cut::Dropped {
            break;
        }
        cut += 1;
    }
    assert!(cut > 20, "it was hardly cut at all: {cut} times");
    assert_eq!(up_to(&app.ledger().await, 1).await, 0);
}

#[tokio::test]
async fn another_master_key_is_taken_in_the_end_wherever_the_exchange_is_cut() {
    let app = TestApp::start().await;
    let people = people(&app, 2).await;
    let mut cut = 0;
    for waits in 1.. {
        let to = app.masters().add().unwrap();
        let rotate = async || {
            let (user, auth) = (app.user_keeper().await, app.auth_keeper().await);
            user.rotate_master(&to, &mut |_| ()).await.unwrap();
            auth.rotate_master(&to, &mut |_| ()).await.unwrap();
        };
        let done = drop_after(waits, rotate()).await;
        all_is_there(&people).await;
        rotate().await;
        // The former key is nowhere any more.
        keep_the_last(app.masters().path().unwrap());
        all_is_there(&people).await;
        if done != Cut::Dropped {
            break;
        }
        cut += 1;
    }
    assert!(cut > 20, "it was hardly cut at all: {cut} times");
}

/// Takes all master keys but the last out of their file.
fn keep_the_last(file: &Path) {
    let lines = fs::read_to_string(file).unwrap();
    fs::write(file, lines.lines().last().unwrap()).unwrap();
}

#[tokio::test]
async fn commands_that_are_killed_while_a_server_runs_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let executable = Executable::on(&data);
    let process = executable.start().await;
    let mut people = Vec::new();
    for _ in 0..6 {
        people.push(Canaries::fly(&process.clients(), async || ()).await);
    }
    for command in ["rotate-data", "rotate-master"] {
        let mut killed = 0;
        for after in (1..).map(|n| Duration::from_millis(15 + 9 * n)) {
            if executable.run_and_kill(&["keys", command], after).await {
                break;
            }
            killed += 1;
            let Canaries { login, profile, .. } = &people[killed % people.len()];
            assert_eq!(login.clients.profile("me").await.unwrap().bio, profile.bio);
        }
        assert!(killed > 0, "{command} was never killed");
        all_is_there(&people).await;
    }
    // Whatever was begun and killed, the last key is the one in the end.
    let done = executable.run(&["keys", "rotate-master"]).await;
    assert!(done.status.success(), "{done:?}");
    assert!(process.stop().await);
    keep_the_last(&data.join("master.key"));
    let process = executable.start().await;
    for Canaries { person, profile, .. } in &people {
        let login = process.clients().login_when_active(&person.email).await.unwrap();
        assert_eq!(login.clients.profile("me").await.unwrap().bio, profile.bio);
    }
    assert!(process.stop().await);
    // The keys that sign the audit trails were sealed again as well.
    let verified = executable.run(&["audit", "verify"]).await;
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(verified.status.success(), "{said}");
    assert_eq!(said.matches("signed up to place").count(), 2, "{said}");
}
