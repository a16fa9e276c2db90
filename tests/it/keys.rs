//! The keys: rotation while calls go on, and the master key of the data.

use std::{collections::BTreeSet, fs};

use countersign_contracts::auth::v1::{GetVerificationKeysRequest, VerificationKey};
use countersign_seal::MasterKey;
use countersign_tests::{Clients, Executable};
use countersign_tokens::VerificationKey as Key;

async fn keys(clients: &Clients) -> Vec<VerificationKey> {
    let answer = clients.auth().get_verification_keys(GetVerificationKeysRequest {}).await;
    answer.unwrap().into_inner().keys
}

#[tokio::test]
async fn the_published_keys_are_what_signs() {
    let app = countersign_tests::TestApp::start().await;
    let ada = app.signed_in("ada").await;
    let published = keys(&app.clients()).await;
    assert!(!published.is_empty());
    for key in &published {
        let parsed = Key::from_paserk(&key.paserk).unwrap();
        assert_eq!(parsed.key_id().as_str(), key.key_id);
    }
    let ids: BTreeSet<_> = published.iter().map(|key| &key.key_id).collect();
    assert_eq!(ids.len(), published.len());
    ada.clients.profile("me").await.unwrap();
}

#[tokio::test]
async fn a_rotation_beside_a_running_server_refuses_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let executable = Executable::on(&folder.path().join("data"))
        .with("COUNTERSIGN_AUTH__SIGNING_KEYS__ANNOUNCE_PERIOD", "1s")
        .with("COUNTERSIGN_AUTH__SIGNING_KEYS__POLL_INTERVAL", "100ms");
    let process = executable.start().await;
    let clients = process.clients();
    let ada = clients.register("ada").await.unwrap();
    let mut login = clients.login_when_active(&ada.email).await.unwrap();
    let before: BTreeSet<_> = keys(&clients).await.into_iter().map(|key| key.key_id).collect();

    let rotated = executable.run(&["keys", "rotate"]).await;
    assert!(rotated.status.success(), "{rotated:?}");
    // A client goes on as it would; once a token has the new footer, it is done.
    let footer = |token: &str| token.rsplit('.').next().map(str::to_owned);
    let first = login.clone();
    let old = footer(&login.access_token);
    while footer(&login.access_token) == old {
        login.clients.profile("me").await.expect("no token is refused");
        login = login.refreshed().await.expect("no session ends");
    }
    login.clients.profile("me").await.expect("the new key is known");
    first.clients.profile("me").await.expect("the old key still verifies");
    let after: BTreeSet<_> = keys(&clients).await.into_iter().map(|key| key.key_id).collect();
    assert!(after.is_superset(&before) && after.len() > before.len(), "{before:?} {after:?}");

    let listed = executable.run(&["keys", "list"]).await;
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(after.iter().all(|id| text.contains(id.as_str())), "{text}");
    assert!(process.stop().await);
}

#[tokio::test]
async fn a_second_start_on_the_same_data_takes_the_old_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let executable = Executable::on(&folder.path().join("data"));
    let process = executable.start().await;
    let ada = process.clients().register("ada").await.unwrap();
    let login = process.clients().login_when_active(&ada.email).await.unwrap();
    assert!(process.stop().await);

    let process = executable.start().await;
    let clients = process.clients().with_token(&login.access_token);
    assert_eq!(clients.profile("me").await.unwrap().user_id, ada.user_id);
    process.clients().refresh(&login.refresh_token).await.unwrap();
    assert!(process.stop().await);
}

#[tokio::test]
async fn a_start_on_the_wrong_master_key_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let executable = Executable::on(&data);
    assert!(executable.start().await.stop().await);
    let right = fs::read(data.join("master.key")).unwrap();

    fs::remove_file(data.join("master.key")).unwrap();
    let lost = executable.run(&[]).await;
    assert!(!lost.status.success(), "no new key is made in its place");
    MasterKey::create(data.join("master.key")).unwrap();
    let wrong = executable.run(&[]).await;
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(!wrong.status.success());
    assert!(said.contains("master key"), "{said}");

    fs::write(data.join("master.key"), right).unwrap();
    assert!(executable.start().await.stop().await, "the right key still fits");
}
