//! The calls that the program makes itself: for the keys, and for health.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use countersign_tests::{Authority, Executable, Identity, Process, engines::Nats};
use tokio::net::TcpListener;

const AUTH: &str = "countersign.auth.v1.AuthService";
const USER: &str = "countersign.user.v1.ProfileService";
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `executable`, run as a probe, hears that the server serves.
async fn serves(executable: &Executable, service: &str, at: &str, process: &Process) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let asked = executable.run(&["health", service, "--at", at]).await;
        if asked.status.success() {
            return;
        }
        let said = String::from_utf8_lossy(&asked.stderr).into_owned();
        assert!(Instant::now() < deadline, "{said}: {}", process.said());
    }
}

/// Waits until a process has said something with `text` in it.
async fn says(process: &Process, text: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !process.said().contains(text) {
        assert!(Instant::now() < deadline, "no word of {text:?}: {}", process.said());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn services_that_show_each_other_certificates_exchange_keys_and_strangers_get_none() {
    let (folder, authority, nats) =
        (tempfile::tempdir().unwrap(), Authority::new(), Nats::start().await);
    let Identity { certificate, key } = authority.sign("auth.test");
    let ca = authority.file();
    let auth = Executable::on(&folder.path().join("auth"))
        .in_role("auth")
        .with("COUNTERSIGN_BUS__URL", &nats.url())
        .with("COUNTERSIGN_SERVER__TLS__CERTIFICATE_FILE", text(&certificate))
        .with("COUNTERSIGN_SERVER__TLS__KEY_FILE", text(&key))
        .with("COUNTERSIGN_SERVER__TLS__CLIENT_CA_FILE", text(&ca));
    let auth = auth.start().await;
    let source = format!("https://{}", auth.address());
    let user = |data: &str| {
        Executable::on(&folder.path().join(data))
            .in_role("user")
            .with("COUNTERSIGN_BUS__URL", &nats.url())
            .with("COUNTERSIGN_KEYS__SOURCE", &source)
            .with("COUNTERSIGN_CLIENT__TLS__CA_FILE", text(&ca))
            .with("COUNTERSIGN_CLIENT__TLS__SERVER_NAME", "auth.test")
    };
    let Identity { certificate, key } = authority.sign("user.test");
    let known = user("known")
        .with("COUNTERSIGN_CLIENT__TLS__CERTIFICATE_FILE", text(&certificate))
        .with("COUNTERSIGN_CLIENT__TLS__KEY_FILE", text(&key));
    let process = known.start().await;
    serves(&known, USER, &format!("http://{}", process.address()), &process).await;
    // The probe is such a client as well.
    serves(&known, AUTH, &source, &auth).await;

    let stranger = user("stranger");
    let process = stranger.start().await;
    says(&process, "no keys from an auth service").await;
    says(&auth, "peer sent no certificates").await;
    let asked = stranger.run(&["health", AUTH, "--at", &source]).await;
    assert!(!asked.status.success());
}

#[tokio::test]
async fn a_source_of_keys_that_never_answers_keeps_nobody_from_the_others() {
    let (folder, nats) = (tempfile::tempdir().unwrap(), Nats::start().await);
    let role = |role: &str| {
        let executable = Executable::on(&folder.path().join(role)).in_role(role);
        executable.with("COUNTERSIGN_BUS__URL", &nats.url())
    };
    let auth = role("auth").start().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sources = format!("http://{},http://{}", silent.local_addr().unwrap(), auth.address());
    let user = role("user").with("COUNTERSIGN_KEYS__SOURCE", &sources);
    let process = user.start().await;
    serves(&user, USER, &format!("http://{}", process.address()), &process).await;
}
