//! The executable as a newcomer and an operator meet it.

use std::{fs, os::unix::fs::PermissionsExt};

use countersign_tests::{Executable, Ledger, PASSWORD};
use sea_orm::ConnectionTrait;

#[tokio::test]
async fn the_first_start_says_how_to_go_on_and_keeps_its_files_to_itself() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("deep/data");
    let process = Executable::on(&data).start().await;
    process.clients().register("ada").await.unwrap();
    let address = process.address().to_string();
    let said = process.said();
    let lines: Vec<_> = said.lines().filter(|line| line.contains("grpcurl -plaintext")).collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert!(lines.iter().all(|line| line.contains(&address)), "{said}");

    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for file in fs::read_dir(&data).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    assert!(process.stop().await, "the server leaves in good order");
}

#[tokio::test]
async fn an_operator_makes_the_first_administrator_before_and_beside_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let executable = Executable::on(&folder.path().join("data"));
    let create =
        |email| ["account", "create", "--email", email, "--role", "admin", "--password-stdin"];
    let before = executable.run_with_input(&create("root@example.org"), PASSWORD).await;
    assert!(before.status.success(), "{before:?}");

    let process = executable.start().await;
    let beside = executable.run_with_input(&create("toor@example.org"), PASSWORD).await;
    assert!(beside.status.success(), "{beside:?}");
    let ada = process.clients().register("ada").await.unwrap();
    for email in ["root@example.org", "toor@example.org"] {
        let admin = process.clients().login_when_active(email).await.unwrap();
        process.clients().login_when_active(&ada.email).await.unwrap();
        let profile = admin.clients.profile(&ada.user_id).await.unwrap();
        assert_eq!(profile.user_id, ada.user_id);
    }

    let taken = executable.run_with_input(&create("root@example.org"), PASSWORD).await;
    let weak = executable.run_with_input(&create("weak@example.org"), "password").await;
    for refused in [taken, weak] {
        assert!(!refused.status.success());
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.starts_with("countersign: ") && !said.contains("panicked"), "{said}");
    }
    assert!(process.stop().await);
}

#[tokio::test]
async fn the_audit_trail_of_a_run_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let executable = Executable::on(&data);
    let process = executable.start().await;
    let ada = process.clients().register("ada").await.unwrap();
    process.clients().login_when_active(&ada.email).await.unwrap().clients.logout().await.unwrap();
    assert!(process.stop().await);
    let whole = executable.run(&["audit", "verify"]).await;
    assert!(whole.status.success(), "{whole:?}");
    // What a server has written is chained and signed when it stops.
    let said = String::from_utf8_lossy(&whole.stdout).into_owned();
    for service in ["auth", "user"] {
        assert!(said.contains(&format!("{service}: signed up to place ")), "{said}");
    }
    assert!(said.contains(" 0 are not chained yet"), "{said}");

    let exported = executable.run(&["audit", "export", "auth"]).await;
    assert!(exported.status.success(), "{exported:?}");
    let lines = String::from_utf8_lossy(&exported.stdout).into_owned();
    let entries: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let places: Vec<_> = entries.iter().filter_map(|entry| entry["place"].as_i64()).collect();
    assert!(places.iter().copied().eq(1..=i64::try_from(entries.len()).unwrap()), "{places:?}");
    let login = entries.iter().find(|entry| entry["type"] == "authn_login_success").unwrap();
    assert_eq!(login["actor"], ada.user_id.as_str());
    assert!(!lines.contains("example.org"), "{lines}");
    let later = executable.run(&["audit", "export", "--since", "0s"]).await;
    assert!(later.status.success() && later.stdout.is_empty(), "{later:?}");
}

#[tokio::test]
async fn a_trail_that_was_changed_is_told_with_the_entry_and_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let executable = Executable::on(&data);
    let process = executable.start().await;
    process.clients().register("ada").await.unwrap();
    assert!(process.stop().await);
    let ledger = Ledger::open(&data).await;
    for sql in [
        "DROP TRIGGER audit_log_content",
        "UPDATE audit_log SET outcome = 'failure' WHERE action = 'user_created'",
    ] {
        ledger.auth.execute_unprepared(sql).await.unwrap();
    }
    let seq = "SELECT seq AS n FROM audit_log WHERE action = 'user_created'";
    let place = Ledger::number(&ledger.auth, seq).await;
    ledger.close().await;
    let changed = executable.run(&["audit", "verify"]).await;
    let said = String::from_utf8_lossy(&changed.stdout).into_owned();
    assert!(!changed.status.success(), "{said}");
    assert!(said.contains(&format!("auth: the chain breaks at place {place}, entry ")), "{said}");
    assert!(String::from_utf8_lossy(&changed.stderr).contains("auth"), "{changed:?}");

    // Without the master key, the keys of the database are trusted, and that is said.
    fs::rename(data.join("master.key"), folder.path().join("elsewhere")).unwrap();
    let without = executable.run(&["audit", "verify"]).await;
    let said = String::from_utf8_lossy(&without.stdout).into_owned();
    assert!(said.contains("user: there is no master key"), "{said}");
    let wrong = executable.run(&["audit", "verify", "--key", "k4.public.AAAA"]).await;
    assert!(!wrong.status.success());
}

#[tokio::test]
async fn a_port_that_is_taken_is_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let executable = Executable::on(&folder.path().join("data"));
    let refused = executable.run(&["--listen", &address]).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success());
    assert!(said.contains(&address) && said.contains("--listen"), "{said}");
}
