//! What must never be seen: passwords and tokens, in what is printed and in
//! what is stored; personal data in what is logged.

use countersign_contracts::{auth::v1::LoginRequest, user::v1::Profile};
use countersign_tests::{Executable, Ledger, PASSWORD};

#[tokio::test]
async fn no_secret_is_printed_or_stored_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let executable = Executable::on(&data).with("COUNTERSIGN_LOG__LEVEL", "trace");
    let process = executable.start().await;
    let clients = process.clients();
    let ada = clients.register("canary-ada").await.unwrap();
    let login = clients.login_when_active(&ada.email).await.unwrap();
    let wrong = LoginRequest {
        email: ada.email.clone(),
        password: "canary of a wrong password".to_owned(),
        ..Default::default()
    };
    clients.auth().login(wrong).await.unwrap_err();
    clients.with_token("v4.public.canary").profile("me").await.unwrap_err();
    clients.refresh("csr1_canary").await.unwrap_err();
    let bio = Profile { bio: "canary of a biography".to_owned(), ..Profile::default() };
    login.clients.update(bio, &[]).await.unwrap();
    let refreshed = login.refreshed().await.unwrap();
    refreshed.clients.logout().await.unwrap();

    let said = process.said();
    for secret in [
        PASSWORD,
        "canary of a wrong password",
        &login.access_token,
        &login.refresh_token,
        &refreshed.access_token,
        &refreshed.refresh_token,
        "v4.public.canary",
        "csr1_canary",
    ] {
        assert!(!said.contains(secret), "printed: {secret}");
    }
    for personal in ["canary-ada", "canary of a biography"] {
        assert!(!said.contains(personal), "printed: {personal}");
    }
    assert!(said.contains("GetProfile") || said.contains("ProfileService"), "calls are logged");

    let ledger = Ledger::open(&data).await;
    for secret in [
        PASSWORD,
        "canary of a wrong password",
        &login.access_token,
        &login.refresh_token,
        &refreshed.refresh_token,
    ] {
        assert_eq!(ledger.files_with(secret), Vec::<std::path::PathBuf>::new(), "stored: {secret}");
    }
    // The check would find something: a hash stands there.
    assert!(!ledger.files_with("$argon2id$").is_empty());
    assert!(process.stop().await);
}

#[tokio::test]
async fn the_effective_configuration_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let executable = Executable::on(&folder.path().join("data"));
    let shown = executable.run(&["config"]).await;
    assert!(shown.status.success(), "{shown:?}");
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(text.contains("memory_kib") && text.contains("19456"), "{text}");
    assert!(!text.contains("csmk1_"), "{text}");
}

#[tokio::test]
async fn a_misspelt_setting_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let executable = Executable::on(&folder.path().join("data"));
    let misspelt = executable.with("COUNTERSIGN_SERVER__LISTN", "127.0.0.1:0");
    let refused = misspelt.run(&[]).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success());
    assert!(said.contains("COUNTERSIGN_SERVER__LISTN") && said.contains("did you mean"), "{said}");
}
