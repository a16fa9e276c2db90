//! Who is deleted is gone: from both services, from what is left in rows, and
//! from a backup that is restored.

use std::{fs, path::Path, time::Duration};

use countersign_tests::{
    CANARY, Canaries, Cut, Executable, Ledger, TestApp, Topology, drop_after, files_holding,
    on_every_topology, refusal,
};
use sea_orm::{ConnectionTrait, Statement};
use tonic::Code;

async fn who_leaves_takes_the_keys_along(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = Canaries::fly(&app.clients(), async || app.settle().await).await;
    let bob = app.signed_in("bob").await;
    refusal(bob.clients.delete(&ada.person.user_id).await)
        .is(Code::PermissionDenied, "ACCESS_DENIED");
    let ledger = app.ledger().await;
    // A copy of the row, as an old page of the file or a backup has it.
    ledger.user.execute_unprepared("CREATE TABLE old AS SELECT * FROM profiles").await.unwrap();

    let left = ada.login.clients.delete("me").await.unwrap();
    assert_eq!((left.email.as_str(), left.id), ("", ada.person.user_id.clone()));
    app.locked_out(&ada.login.clients).await;
    app.settle().await;
    for db in [&ledger.auth, &ledger.user] {
        let keys = "SELECT count(*) AS n FROM data_keys WHERE user_id = $1";
        let user: uuid::Uuid = ada.person.user_id.parse().unwrap();
        let keys = Statement::from_sql_and_values(db.get_database_backend(), keys, [user.into()]);
        let row = db.query_one_raw(keys).await.unwrap().unwrap();
        assert_eq!(row.try_get::<i64>("", "n").unwrap(), 0);
    }
    assert_eq!(ledger.events_of("UserDeleted", &ada.person.user_id).await, 1);

    // What is put back into the row does not open any more.
    let root = app.admin("root").await;
    let back = "UPDATE profiles SET status = 'active', \
        bio_sealed = (SELECT bio_sealed FROM old WHERE old.user_id = profiles.user_id), \
        metadata_sealed = (SELECT metadata_sealed FROM old WHERE old.user_id = profiles.user_id) \
        WHERE status = 'deleted'";
    ledger.user.execute_unprepared(back).await.unwrap();
    let lost = root.clients.profile(&ada.person.user_id).await;
    refusal(lost).is(Code::DataLoss, "DATA_DAMAGED");
    ledger.user.execute_unprepared("DROP TABLE old").await.unwrap();
}

on_every_topology![who_leaves_takes_the_keys_along];

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    countersign_tests::set_mode(to, 0o700);
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[tokio::test]
async fn a_backup_that_is_restored_forgets_who_was_deleted_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let [data, backup] = ["data", "backup"].map(|name| folder.path().join(name));
    let executable = Executable::on(&data);
    let create = ["account", "create", "--email", "root@example.org", "--role", "admin"];
    let create: Vec<_> = create.into_iter().chain(["--password-stdin"]).collect();
    let made = executable.run_with_input(&create, countersign_tests::PASSWORD).await;
    assert!(made.status.success(), "{made:?}");
    let process = executable.start().await;
    let ada = Canaries::fly(&process.clients(), async || ()).await;
    let bob = Canaries::fly(&process.clients(), async || ()).await;
    assert!(process.stop().await);
    copy(&data, &backup);
    let ledger = Ledger::open(&backup).await;
    let user: uuid::Uuid = ada.person.user_id.parse().unwrap();
    let key = "SELECT sealed FROM data_keys WHERE user_id = $1";
    let key =
        Statement::from_sql_and_values(ledger.user.get_database_backend(), key, [user.into()]);
    let key: Vec<u8> =
        ledger.user.query_one_raw(key).await.unwrap().unwrap().try_get("", "sealed").unwrap();
    ledger.close().await;

    let process = executable.start().await;
    ada.login.clients.at(process.address()).delete("me").await.unwrap();
    assert!(process.stop().await);
    let listed = executable.run(&["erasures", "list"]).await;
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains(&ada.person.user_id) && !listed.contains(CANARY), "{listed}");
    assert!(!listed.contains(&bob.person.user_id));
    let list = folder.path().join("erasures.txt");
    fs::write(&list, listed).unwrap();

    fs::remove_dir_all(&data).unwrap();
    copy(&backup, &data);
    assert!(!countersign_tests::files_holding_bytes(&data, &key).is_empty(), "it is in the backup");
    let list = list.display().to_string();
    let applied = executable.run(&["erasures", "apply", "--file", &list]).await;
    assert!(applied.status.success(), "{applied:?}");
    let again = executable.run(&["erasures", "apply", "--file", &list]).await;
    assert!(String::from_utf8_lossy(&again.stdout).contains("auth: 0 people"), "{again:?}");

    let process = executable.start().await;
    let clients = process.clients();
    refusal(clients.login(&ada.person.email).await).is(Code::Unauthenticated, "BAD_CREDENTIALS");
    refusal(clients.refresh(&ada.login.refresh_token).await)
        .is(Code::Unauthenticated, "SESSION_ENDED");
    let root = clients.login_when_active("root@example.org").await.unwrap();
    refusal(root.clients.profile(&ada.person.user_id).await)
        .is(Code::NotFound, "PROFILE_NOT_FOUND");
    let kept = clients.login(&bob.person.email).await.unwrap().clients.profile("me").await.unwrap();
    assert_eq!(kept.bio, bob.profile.bio);
    assert!(process.stop().await);
    assert_eq!(files_holding(&data, CANARY), Vec::<std::path::PathBuf>::new());
    let left = countersign_tests::files_holding_bytes(&data, &key);
    assert_eq!(left, Vec::<std::path::PathBuf>::new(), "the key is still in a file");
}

#[tokio::test]
async fn one_database_that_is_restored_hears_it_from_the_other() {
    let app = TestApp::start().await;
    let ada = Canaries::fly(&app.clients(), async || app.settle().await).await;
    ada.login.clients.delete("me").await.unwrap();
    let (user, auth) = (app.user_keeper().await, app.auth_keeper().await);
    let id = ada.person.user_id.parse().unwrap();
    assert_eq!(auth.erased().await.unwrap().first().map(|(user, _)| *user), Some(id));
    assert!(user.erased().await.unwrap().is_empty(), "its event is not there yet");
    assert!(user.erase(id).await.unwrap());
    assert!(!user.erase(id).await.unwrap() && !auth.erase(id).await.unwrap());
    app.settle().await;
    assert!(!user.erase(id).await.unwrap());
}

#[tokio::test]
async fn an_erasure_that_is_cut_at_any_of_its_waits_is_done_or_was_never() {
    let app = TestApp::start().await;
    let mut cut = 0;
    for waits in 1..200 {
        let ada = Canaries::fly(&app.clients(), async || app.settle().await).await;
        let id = ada.person.user_id.parse().unwrap();
        let (user, auth) = (app.user_keeper().await, app.auth_keeper().await);
        let erase = async {
            auth.erase(id).await.unwrap();
            user.erase(id).await.unwrap();
        };
        let done = drop_after(waits, erase).await;
        app.settle().await;
        let login = app.clients().login(&ada.person.email).await;
        match done {
            Cut::Done(()) => {
                assert!(login.is_err());
                break;
            }
            Cut::Dropped => cut += 1,
        }
        if let Ok(login) = login {
            let profile = login.clients.profile("me").await.unwrap();
            assert_eq!(profile.bio, ada.profile.bio, "nothing was done, and nothing is missing");
        }
    }
    assert!(cut > 5, "it was hardly cut at all: {cut} times");
}

#[tokio::test]
async fn a_server_that_is_killed_after_it_has_deleted_somebody_erases_them_at_its_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let executable = Executable::on(&folder.path().join("data"));
    for round in 0..5 {
        let process = executable.start().await;
        let ada = Canaries::fly(&process.clients(), async || ()).await;
        let deleting = ada.login.clients.delete("me");
        // Cut off at another moment each time, also before it was answered.
        let answered = tokio::time::timeout(Duration::from_millis(4 * round), deleting).await;
        process.kill().await;
        let process = executable.start().await;
        let login = process.clients().login(&ada.person.email).await;
        match answered {
            Ok(answer) => {
                answer.unwrap();
                assert!(login.is_err(), "what was answered is done");
            }
            Err(_) => {
                if let Ok(login) = login {
                    let profile = login.clients.profile("me").await.unwrap();
                    assert_eq!(profile.bio, ada.profile.bio);
                    login.clients.delete("me").await.unwrap();
                }
            }
        }
        let ledger = Ledger::open(&folder.path().join("data")).await;
        let kept = "SELECT count(*) AS n FROM data_keys";
        while Ledger::number(&ledger.user, kept).await + Ledger::number(&ledger.auth, kept).await
            > 0
        {
            tokio::task::yield_now().await;
        }
        ledger.close().await;
        assert!(process.stop().await);
    }
}
