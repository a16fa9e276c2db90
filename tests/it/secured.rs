//! Wires that are encrypted, and who is let in at their ends: the broker with TLS,
//! credentials and certificates of clients, and the way to the verification keys.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use countersign::Config;
use countersign_contracts::user::v1::Profile;
use countersign_mesh::health::v1::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use countersign_tests::{
    Authority, Clients, Executable, Identity, Process, Surroundings, TestApp, Topology,
    engines::{Nats, Operator},
    tls_front,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A broker that asks for TLS and for a user of its operator.
struct Broker {
    authority: Authority,
    operator: Operator,
    nats: Nats,
    folder: tempfile::TempDir,
}

impl Broker {
    async fn start(verify: bool) -> Self {
        let (authority, operator) = (Authority::new(), Operator::new());
        let config = format!("{}{}", tls(&authority, verify), operator.server_config());
        let nats = Nats::start_with(config).await;
        let folder = tempfile::tempdir().unwrap();
        Self { authority, operator, nats, folder }
    }

    fn url(&self) -> String {
        format!("tls://{}", self.nats.address())
    }

    fn user(&self) -> (std::path::PathBuf, String) {
        let file = self.folder.path().join("user.creds");
        let secret = self.operator.write_user(&file);
        (file, secret)
    }
}

fn tls(authority: &Authority, verify: bool) -> String {
    let Identity { certificate, key } = authority.sign("broker.test");
    format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", verify: {verify} }}\n",
        certificate.display(),
        key.display(),
        authority.file().display(),
    )
}

async fn live(broker: &Broker, change: impl FnOnce(&mut Config)) {
    let around = Surroundings { broker: Some(broker.url()), ..Surroundings::default() };
    let app = TestApp::among(around, Topology::SplitSqlite, change).await;
    let ada = app.signed_in("ada").await;
    let profile = Profile { bio: "in private".to_owned(), ..Profile::default() };
    ada.clients.update(profile, &["bio"]).await.unwrap();
    ada.clients.logout().await.unwrap();
    app.shut_out(&ada.clients).await;
    app.settle().await;
}

#[tokio::test]
async fn a_broker_with_tls_and_credentials_serves_a_whole_life() {
    let broker = Broker::start(false).await;
    let (credentials, _) = broker.user();
    live(&broker, |config| {
        config.bus.ca_file = Some(broker.authority.file());
        config.bus.credentials_file = Some(credentials);
    })
    .await;
}

#[tokio::test]
async fn a_broker_that_asks_for_our_certificate_gets_it() {
    let broker = Broker::start(true).await;
    let (credentials, _) = broker.user();
    let Identity { certificate, key } = broker.authority.sign("client.test");
    live(&broker, |config| {
        config.bus.ca_file = Some(broker.authority.file());
        config.bus.credentials_file = Some(credentials);
        config.bus.certificate_file = Some(certificate);
        config.bus.key_file = Some(key);
    })
    .await;
}

/// The auth service on its own data with these settings of the bus.
async fn started(data: &Path, url: &str, files: &[(&str, &Path)]) -> Process {
    let mut auth = Executable::on(data).in_role("auth").with("COUNTERSIGN_BUS__URL", url);
    for (name, file) in files {
        auth = auth.with(&format!("COUNTERSIGN_BUS__{name}"), file.to_str().unwrap());
    }
    auth.start().await
}

/// Waits for a sentence with `setting` in it, and for health to tell.
async fn told(process: &Process, setting: &str, secret: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !process.said().contains(setting) {
        assert!(Instant::now() < deadline, "no word of {setting}: {}", process.said());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut health = HealthClient::new(process.clients().channel());
    let bus = HealthCheckRequest { service: "countersign.bus".to_owned() };
    let status = health.check(bus).await.unwrap().into_inner().status();
    assert_eq!(status, ServingStatus::NotServing);
    assert!(!process.said().contains(secret), "the secret is said: {}", process.said());
}

#[tokio::test]
async fn a_broker_that_does_not_let_us_in_is_told_with_what_to_set() {
    let broker = Broker::start(true).await;
    let (url, authority) = (broker.url(), broker.authority.file());
    let folder = tempfile::tempdir().unwrap();
    let (ours, secret) = broker.user();
    let theirs = folder.path().join("theirs.creds");
    let foreign = Operator::new().write_user(&theirs);
    let Identity { certificate, key } = broker.authority.sign("client.test");
    let stranger = Authority::new();
    let unsigned = stranger.sign("client.test");
    let signed = [("CERTIFICATE_FILE", certificate.as_path()), ("KEY_FILE", key.as_path())];
    let [certificate, key] = signed;

    let data = |name: &str| folder.path().join(name);
    let ours = ("CREDENTIALS_FILE", ours.as_path());
    let ca = ("CA_FILE", authority.as_path());
    let wrong = stranger.file();
    let process =
        started(&data("ca"), &url, &[("CA_FILE", wrong.as_path()), ours, certificate, key]).await;
    told(&process, "bus.ca_file", &secret).await;

    let process = started(&data("none"), &url, &[ca, certificate, key]).await;
    told(&process, "bus.credentials_file", &secret).await;

    let theirs = ("CREDENTIALS_FILE", theirs.as_path());
    let process = started(&data("theirs"), &url, &[ca, theirs, certificate, key]).await;
    told(&process, "bus.credentials_file", &foreign).await;

    let process = started(&data("bare"), &url, &[ca, ours]).await;
    told(&process, "bus.certificate_file", &secret).await;

    let unsigned = [
        ("CERTIFICATE_FILE", unsigned.certificate.as_path()),
        ("KEY_FILE", unsigned.key.as_path()),
    ];
    let [certificate, key] = unsigned;
    let process = started(&data("unsigned"), &url, &[ca, ours, certificate, key]).await;
    told(&process, "bus.certificate_file", &secret).await;
    // It serves all the same, and its events wait.
    process.clients().register("ada").await.unwrap();
}

#[tokio::test]
async fn files_that_cannot_be_used_are_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage");
    std::fs::write(&garbage, "hush-hush").unwrap();
    let authority = Authority::new();
    let pem = authority.sign("client.test");
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    for files in [
        vec![("CA_FILE", text(&garbage))],
        vec![("CREDENTIALS_FILE", text(&garbage))],
        vec![("CERTIFICATE_FILE", text(&garbage)), ("KEY_FILE", text(&pem.key))],
        vec![("CERTIFICATE_FILE", text(&pem.certificate)), ("KEY_FILE", text(&garbage))],
    ] {
        let data = folder.path().join("data");
        let mut auth = Executable::on(&data).with("COUNTERSIGN_BUS__URL", "tls://127.0.0.1:1");
        for (name, file) in files {
            auth = auth.with(&format!("COUNTERSIGN_BUS__{name}"), &file);
        }
        let refused = auth.run(&["auth"]).await;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success(), "{said}");
        assert!(said.contains(&text(&garbage)) && !said.contains("hush-hush"), "{said}");
    }
}

#[tokio::test]
async fn keys_come_over_tls_from_whom_the_authority_has_signed() {
    let app = TestApp::on(Topology::SplitSqlite).await;
    let ada = app.signed_in("ada").await;
    let authority = Authority::new();
    let front = tls_front(&authority.sign("auth.test"), app.address()).await;
    let nats = Nats::start().await;
    let folder = tempfile::tempdir().unwrap();
    let user = |data: &str, ca: &Path| {
        Executable::on(&folder.path().join(data))
            .in_role("user")
            .with("COUNTERSIGN_BUS__URL", &nats.url())
            .with("COUNTERSIGN_KEYS__SOURCE", &format!("https://{front}"))
            .with("COUNTERSIGN_KEYS__CA_FILE", ca.to_str().unwrap())
    };
    // Says that the stream, which is young, lacks no revocation.
    let marking = Executable::on(&folder.path().join("auth")).in_role("auth");
    let _marking = marking.with("COUNTERSIGN_BUS__URL", &nats.url()).start().await;
    let process = user("trusting", &authority.file()).start().await;
    let clients = process.clients().with_token(&ada.access_token);
    let deadline = Instant::now() + PATIENCE;
    // Its own database has no such profile: whoever is told so was let in.
    while let Err(status) = clients.profile("me").await
        && ![tonic::Code::NotFound, tonic::Code::PermissionDenied].contains(&status.code())
    {
        assert!(Instant::now() < deadline, "{status:?}: {}", process.said());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let stranger = Authority::new();
    let process = user("wary", &stranger.file()).start().await;
    let deadline = Instant::now() + PATIENCE;
    while !process.said().contains("invalid peer certificate") {
        assert!(Instant::now() < deadline, "{}", process.said());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let clients = Clients::of(process.address()).with_token(&ada.access_token);
    let refused = clients.profile("me").await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused:?}: {}", process.said());

    let none = folder.path().join("none.pem");
    std::fs::write(&none, "no certificate").unwrap();
    let refused = user("blind", &none).run(&["user"]).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("keys.ca_file") && said.contains("none.pem"), "{said}");
}
