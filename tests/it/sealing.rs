//! No personal datum stands in the clear in any file, and what an earlier
//! release has left in the clear can be sealed.

use std::path::Path;

use countersign_contracts::auth::v1::{ListAccountsRequest, ListSessionsRequest};
use countersign_tests::{
    CANARY, Canaries, Executable, Ledger, Surroundings, TestApp, Topology,
    engines::{Nats, Postgres, Safety},
    files_holding,
};
use sea_orm::ConnectionTrait;

/// The same as it was written, by everybody who may see it.
async fn is_as_it_was(canaries: &Canaries) {
    let Canaries { person, login, profile } = canaries;
    let found = login.clients.profile("me").await.unwrap();
    assert_eq!((&found.bio, &found.metadata), (&profile.bio, &profile.metadata));
    assert_eq!(found.locale, profile.locale);
    assert_eq!(login.clients.account("me").await.unwrap().email, person.email);
    let request = ListSessionsRequest { user_id: "me".to_owned(), ..Default::default() };
    let sessions = login.clients.sessions().list_sessions(request).await.unwrap().into_inner();
    let labelled = |session: &&_| {
        let session: &countersign_contracts::auth::v1::Session = session;
        session.device_label.contains(CANARY) && session.address == "127.0.0.1"
    };
    assert_eq!(sessions.sessions.iter().filter(labelled).count(), 1);
}

#[tokio::test]
async fn what_was_written_through_the_api_stands_in_no_file_and_no_log() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let executable = Executable::on(&data).with("COUNTERSIGN_LOG__LEVEL", "trace");
    let process = executable.start().await;
    let canaries = Canaries::fly(&process.clients(), async || ()).await;
    is_as_it_was(&canaries).await;
    let again = process.clients().register(CANARY).await.unwrap();
    process.clients().register(CANARY).await.unwrap_err();
    process.clients().login_when_active(&again.email).await.unwrap();
    canaries.login.clients.logout().await.unwrap();

    assert_eq!(files_holding(&data, CANARY), Vec::<std::path::PathBuf>::new());
    assert!(!files_holding(&data, "127.0.0.1").is_empty(), "the trail has addresses: it looks");
    assert!(!process.said().contains(CANARY));
    assert!(process.stop().await);
    assert_eq!(files_holding(&data, CANARY), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn nor_in_postgresql_nor_in_jetstream() {
    let (postgres, nats) = (Postgres::start(Safety::Written).await, Nats::start().await);
    let around = Surroundings {
        database: Some(postgres.url()),
        broker: Some(nats.url()),
        ..Surroundings::default()
    };
    let app = TestApp::among(around, Topology::SplitPostgres, |_| ()).await;
    let canaries = Canaries::fly(&app.clients(), async || app.settle().await).await;
    is_as_it_was(&canaries).await;
    app.clients().register(CANARY).await.unwrap();
    app.clients().register(CANARY).await.unwrap_err();
    app.settle().await;
    let ledger = app.ledger().await;
    for db in [&ledger.auth, &ledger.user] {
        db.execute_unprepared("CHECKPOINT").await.unwrap();
    }
    for (place, there) in [(postgres.folder(), "argon2id"), (nats.folder(), "countersign.events")] {
        assert_eq!(files_holding(place, CANARY), Vec::<std::path::PathBuf>::new());
        assert!(!files_holding(place, there).is_empty(), "it looks in the right place");
    }
    assert!(!postgres.said().contains(CANARY) && !nats.said().contains(CANARY));
}

/// Databases as a former release has left them: it wrote in the clear.
async fn in_the_clear(data: &Path) {
    let ledger = Ledger::open(data).await;
    for db in [&ledger.auth, &ledger.user] {
        let clear = "UPDATE vault SET value = CAST('clear' AS BLOB) WHERE name = 'personal_data'";
        db.execute_unprepared(clear).await.unwrap();
    }
    ledger.close().await;
}

#[tokio::test]
async fn what_is_in_the_clear_is_sealed_beside_a_server_and_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let executable = Executable::on(&data);
    assert!(executable.start().await.stop().await);
    in_the_clear(&data).await;

    let process = executable.start().await;
    assert!(process.said().contains("keys seal-data"), "the log says what is to be done");
    let before = Canaries::fly(&process.clients(), async || ()).await;
    is_as_it_was(&before).await;
    assert!(!files_holding(&data, CANARY).is_empty(), "it is in the clear");

    let sealed = executable.run(&["keys", "seal-data"]).await;
    assert!(sealed.status.success(), "{sealed:?}");
    is_as_it_was(&before).await;
    let after = Canaries::fly(&process.clients(), async || ()).await;
    is_as_it_was(&after).await;
    process.clients().login_when_active(&before.person.email).await.unwrap();
    let name = before.person.email.split('@').next().unwrap();
    process.clients().register(name).await.unwrap_err();
    let again = executable.run(&["keys", "seal-data"]).await;
    assert!(String::from_utf8_lossy(&again.stdout).contains("already"), "{again:?}");
    assert!(process.stop().await);
    let left = files_holding(&data, CANARY);
    assert_eq!(left, Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn sealing_goes_on_where_it_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let executable = Executable::on(&data);
    assert!(executable.start().await.stop().await);
    in_the_clear(&data).await;
    let process = executable.start().await;
    let mut people = Vec::new();
    for _ in 0..8 {
        people.push(Canaries::fly(&process.clients(), async || ()).await);
    }
    let mut killed = 0;
    for after in (1..).map(|n| std::time::Duration::from_millis(20 + 7 * n)) {
        if executable.run_and_kill(&["keys", "seal-data"], after).await {
            break;
        }
        killed += 1;
        is_as_it_was(&people[killed % people.len()]).await;
    }
    assert!(killed > 0, "it was never killed");
    for canaries in &people {
        is_as_it_was(canaries).await;
    }
    assert!(process.stop().await);
    assert_eq!(files_holding(&data, CANARY), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn an_account_is_found_by_its_whole_address_and_by_no_part_of_it() {
    let app = TestApp::start().await;
    let root = app.admin("root").await;
    let ada = app.active("ada").await;
    let found = async |filter: &str| {
        let request = ListAccountsRequest { filter: filter.to_owned(), ..Default::default() };
        let response = root.clients.accounts().list_accounts(request).await.unwrap();
        response.into_inner().accounts.into_iter().map(|account| account.id).collect::<Vec<_>>()
    };
    assert_eq!(found("email = \"ada@EXAMPLE.org\"").await, [ada.user_id]);
    assert!(found("email = \"ad@example.org\"").await.is_empty());
    assert!(found("email = \"a%@example.org\"").await.is_empty());
}
