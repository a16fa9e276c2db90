//! A machine that fails: full disk, folder that cannot be written, a second server.

use countersign_tests::{Executable, Ledger, refusal, set_mode};
use tonic::Code;

#[tokio::test]
async fn a_read_only_data_folder_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let executable = Executable::on(&data).unprivileged();
    assert!(executable.start().await.stop().await);

    set_mode(&data, 0o500);
    for name in ["lock", "auth.db", "user.db", "master.key"] {
        set_mode(&data.join(name), 0o400);
    }
    let refused = executable.run(&[]).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success(), "{said}");
    assert!(said.contains("data folder") && !said.contains("panicked"), "{said}");

    set_mode(&data, 0o700);
    for name in ["lock", "auth.db", "user.db", "master.key"] {
        set_mode(&data.join(name), 0o600);
    }
    assert!(executable.start().await.stop().await, "nothing was harmed");
}

#[tokio::test]
async fn a_folder_that_others_can_read_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    set_mode(&data, 0o755);
    let refused = Executable::on(&data).run(&[]).await;
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("chmod 0700"), "{refused:?}");
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let executable = Executable::on(&folder.path().join("data"));
    let first = executable.start().await;
    let second = executable.run(&[]).await;
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("in use"), "{second:?}");
    first.clients().register("ada").await.expect("the first one serves on");
    assert!(first.stop().await);
}

#[tokio::test]
async fn a_full_disk_is_said_to_be_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let executable = Executable::on(&data)
        .with("COUNTERSIGN_AUTH__THROTTLE__REGISTRATIONS_PER_MINUTE", "100000");
    assert!(executable.start().await.stop().await);

    // No file grows beyond 1 MiB (or half of it): the write-ahead log is the first to feel it.
    let process = executable.clone().with_file_limit(1024).start().await;
    let clients = process.clients();
    let mut answered = Vec::new();
    let refused = loop {
        match clients.register(&format!("ada-{}", answered.len())).await {
            Ok(person) => answered.push(person),
            Err(status) => break refusal::<()>(Err(status)),
        }
        assert!(answered.len() < 2000, "the disk never filled");
    };
    assert_eq!(refused.code, Code::Unavailable, "{refused:?}");
    assert!(refused.retry_after.is_some(), "{refused:?}");
    assert!(refused.reason.starts_with("STORAGE_"), "{refused:?}");
    let keys = countersign_contracts::auth::v1::GetVerificationKeysRequest {};
    clients.auth().get_verification_keys(keys).await.expect("what needs no room is answered");
    process.kill().await;

    // Room again: whatever was answered is there, once, and becomes active.
    let process = executable.start().await;
    for person in &answered {
        process.clients().login_when_active(&person.email).await.unwrap();
    }
    let ledger = Ledger::open(&data).await;
    let accounts = Ledger::number(&ledger.auth, "SELECT count(*) AS n FROM accounts").await;
    assert_eq!(usize::try_from(accounts), Ok(answered.len()), "nothing of the refused one");
    let profiles = Ledger::number(&ledger.user, "SELECT count(*) AS n FROM profiles").await;
    assert_eq!(usize::try_from(profiles), Ok(answered.len()));
    assert!(ledger.dead_letters().await.is_empty());
    assert!(process.stop().await);
}
