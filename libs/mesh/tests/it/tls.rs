//! TLS from files: who is let in, who is not, and what happens when they change.

use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use countersign_guard::PeerCertificate;
use countersign_mesh::{
    Error, Part,
    channel::{Channel, Target},
    config::{ChannelConfig, ClientTlsConfig, ServerConfig, TlsConfig},
    health::v1::{
        HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
    },
    server::Server,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, transport::Endpoint};

use super::{
    lines::Lines,
    replicas::{CALL, ONCE, ask, channel_to, hurried, under_load, until},
    support::{Probe, Running, call, start},
};

const SPIFFE_ID: &str = "spiffe://example.org/ns/default/sa/user";

/// An authority.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        let name = format!("authority {}", uuid::Uuid::new_v4());
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate with its key, as `change` wants it.
    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        change(&mut params);
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

/// A folder of files as cert-manager lays them down.
struct Files(TempDir);

impl Files {
    /// A certificate of `signer`, and the authorities that are trusted.
    fn new(signer: &Authority, trusted: &[&Authority]) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.renew(signer.issue(|_| {}));
        files.trust(trusted);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn renew(&self, (certificate, key): (String, String)) {
        self.write("tls.crt", &certificate);
        self.write("tls.key", &key);
    }

    fn trust(&self, authorities: &[&Authority]) {
        let all: String = authorities.iter().map(|authority| authority.0.pem()).collect();
        self.write("ca.crt", &all);
    }

    /// At once, as a renamed file is.
    fn write(&self, name: &str, text: &str) {
        fs::write(self.path("new"), text).unwrap();
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    fn server(&self) -> TlsConfig {
        TlsConfig {
            certificate_file: Some(self.path("tls.crt")),
            key_file: Some(self.path("tls.key")),
            reload_interval: Duration::from_millis(10),
            ..TlsConfig::default()
        }
    }

    /// The same, for clients with a certificate.
    fn mutual(&self) -> TlsConfig {
        TlsConfig { client_ca_file: Some(self.path("ca.crt")), ..self.server() }
    }

    fn client(&self) -> ClientTlsConfig {
        ClientTlsConfig {
            ca_file: Some(self.path("ca.crt")),
            certificate_file: Some(self.path("tls.crt")),
            key_file: Some(self.path("tls.key")),
            reload_interval: Duration::from_millis(10),
            ..ClientTlsConfig::default()
        }
    }

    /// The same without a certificate of its own.
    fn anonymous(&self) -> ClientTlsConfig {
        ClientTlsConfig { certificate_file: None, key_file: None, ..self.client() }
    }
}

type Seen = Arc<Mutex<Vec<Option<PeerCertificate>>>>;

async fn server(tls: TlsConfig) -> (Running, Seen) {
    let seen = Seen::default();
    let peers = Arc::clone(&seen);
    let probe = Probe::new(move |request: Request<String>| {
        peers.lock().unwrap().push(request.extensions().get().cloned());
        async { Ok(Response::new(request.into_inner())) }
    });
    let config = ServerConfig { tls, ..ServerConfig::default() };
    (start(&config, Part::new("probe").service(probe.guarded())).await, seen)
}

fn channel(server: &Running, tls: ClientTlsConfig) -> Channel {
    let target = Target::from_str(&format!("localhost:{}", server.address.port())).unwrap();
    let patient = ChannelConfig { ready_timeout: Duration::from_secs(30), ..hurried() };
    // Connections change often: so does what they are made with.
    let max_connection_age = Duration::from_millis(30);
    channel_to(target, &ChannelConfig { tls, max_connection_age, ..patient })
}

/// Why a server with these files does not start.
async fn refused(tls: TlsConfig) -> String {
    let config = ServerConfig { tls, ..ServerConfig::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let served = Server::new(&config).serve(listener, CancellationToken::new()).await;
    let error: Error = served.unwrap_err();
    error.to_string()
}

#[tokio::test]
async fn both_sides_show_certificates_and_the_handler_knows_whose() {
    let authority = Authority::new();
    let files = Files::new(&authority, &[&authority]);
    let (server, seen) = server(files.mutual()).await;
    files.renew(authority.issue(|params| {
        params.subject_alt_names.push(SanType::URI(SPIFFE_ID.try_into().unwrap()));
    }));
    ask(&channel(&server, files.client()), CALL).await.unwrap();
    let peer = seen.lock().unwrap()[0].clone().unwrap();
    assert_eq!(*peer.names, ["localhost", SPIFFE_ID]);
    assert_eq!(peer.spiffe_id(), Some(SPIFFE_ID));
}

#[tokio::test]
async fn who_has_no_certificate_or_a_wrong_one_is_turned_away_with_the_reason_in_the_log() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (lines, _logging) = Lines::of_this_thread();
    let files = Files::new(&authority, &[&authority]);
    let (server, seen) = server(files.mutual()).await;
    let foreign = Files::new(&other, &[&authority]);
    for (tls, reason) in [
        (foreign.client(), "invalid peer certificate: UnknownIssuer"),
        (files.anonymous(), "peer sent no certificates"),
    ] {
        let channel = channel(&server, tls);
        lines.until("was turned away for its certificate", reason).await;
        assert_eq!(channel.available(), 0);
        // The client's log says what the server has told it.
        lines.until("a replica cannot be reached", "received fatal alert").await;
    }
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn where_certificates_are_optional_only_a_wrong_one_is_turned_away() {
    let (authority, other) = (Authority::new(), Authority::new());
    let files = Files::new(&authority, &[&authority]);
    let tls = TlsConfig { client_certificate_optional: true, ..files.mutual() };
    let (server, seen) = server(tls).await;
    let files_of_other = Files::new(&other, &[&authority]);
    let foreign = channel(&server, files_of_other.client());
    ask(&channel(&server, files.anonymous()), CALL).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [None]);
    assert_eq!(foreign.available(), 0);
}

#[tokio::test]
async fn a_client_turns_away_a_server_of_another_name_or_authority() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (lines, _logging) = Lines::of_this_thread();
    let files = Files::new(&authority, &[&authority]);
    let (server, seen) = server(files.server()).await;
    let named = ClientTlsConfig { server_name: Some("elsewhere".to_owned()), ..files.anonymous() };
    let unknown = Files::new(&other, &[&other]);
    for (tls, reason) in
        [(named, "certificate not valid for name"), (unknown.anonymous(), "UnknownIssuer")]
    {
        let channel = channel(&server, tls);
        lines.until("a replica cannot be reached", reason).await;
        assert_eq!(channel.available(), 0);
    }
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn each_of_a_list_has_a_certificate_of_its_own_name() {
    let authority = Authority::new();
    let named = Files::new(&authority, &[&authority]);
    let numbered = Files::new(&authority, &[&authority]);
    numbered.renew(authority.issue(|params| {
        params.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())];
    }));
    let ((one, _), (other, _)) = (server(named.server()).await, server(numbered.server()).await);
    let (one, other) = (one.address.port(), other.address.port());
    let config = ChannelConfig { tls: named.anonymous(), ..hurried() };
    let to = |target: String| channel_to(target.parse().unwrap(), &config);
    let both = to(format!("https://localhost:{one},https://127.0.0.1:{other}"));
    until("both are trusted", || both.available() == 2).await;
    let swapped = to(format!("https://localhost:{other},https://127.0.0.1:{one}"));
    let refused = ask(&swapped, CALL).await.unwrap_err();
    assert!(refused.message().contains("certificate not valid for name"), "{refused}");
}

#[tokio::test]
async fn an_address_says_whether_tls_is_spoken_whatever_the_settings_are_for() {
    let authority = Authority::new();
    let files = Files::new(&authority, &[&authority]);
    let (plain, _) = server(TlsConfig::default()).await;
    let config = ChannelConfig { tls: files.anonymous(), ..hurried() };
    let to = |scheme: &str| {
        channel_to(format!("{scheme}://{}", plain.address).parse().unwrap(), &config)
    };
    ask(&to("http"), CALL).await.unwrap();
    assert!(ask(&to("https"), CALL).await.is_err(), "it never falls back");
}

#[tokio::test]
async fn bad_files_stop_the_start_with_a_sentence_that_names_them() {
    let authority = Authority::new();
    let files = Files::new(&authority, &[&authority]);
    let named = |name: &str| files.path(name).display().to_string();
    let said = |reason: String, name: &str, expected: &str| {
        assert!(reason.contains(&named(name)) && reason.contains(expected), "{reason}");
        assert!(!reason.contains("BEGIN"), "{reason}");
    };
    files.write("tls.key", &authority.issue(|_| {}).1);
    said(refused(files.mutual()).await, "tls.key", "for TLS: keys may not be consistent");
    files.write("tls.key", "no key");
    said(refused(files.mutual()).await, "tls.key", "holds no private key");
    fs::remove_file(files.path("tls.key")).unwrap();
    said(refused(files.mutual()).await, "tls.key", "cannot read");
    files.renew(authority.issue(|params| {
        params.not_after = (SystemTime::now() - Duration::from_secs(60)).into();
    }));
    said(refused(files.mutual()).await, "tls.crt", "has expired");
    files.write("tls.crt", "no certificate");
    said(refused(files.mutual()).await, "tls.crt", "holds no certificate");
    files.renew(authority.issue(|_| {}));
    files.write("ca.crt", "");
    said(refused(files.mutual()).await, "ca.crt", "holds no certificate");
}

#[tokio::test]
async fn probes_ask_for_health_without_tls_and_for_nothing_else() {
    let authority = Authority::new();
    let files = Files::new(&authority, &[&authority]);
    let config = ServerConfig { tls: files.mutual(), ..ServerConfig::default() };
    let [listener, health] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0"));
    let (listener, health) = (listener.await.unwrap(), health.await.unwrap());
    let address = health.local_addr().unwrap();
    let stop = CancellationToken::new();
    let part = Part::new("probe").service(Probe::echo().guarded());
    let server = Server::new(&config).part(part).health_on(health);
    let serving = tokio::spawn(server.serve(listener, stop.clone()));

    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = endpoint.connect_lazy();
    let mut client = HealthClient::new(channel.clone());
    let question = HealthCheckRequest { service: "test.v1.Probe".to_owned() };
    let answer = client.check(question.clone()).await.unwrap().into_inner();
    assert_eq!(answer.status(), ServingStatus::Serving);
    let refused = call(channel, Request::new(String::new())).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    let mut watch = client.watch(question).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    stop.cancel();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    drop((watch, client));
    assert!(serving.await.unwrap().unwrap().drained);
}

#[tokio::test]
async fn certificates_are_renewed_under_load_and_no_call_is_lost() {
    let (old, new) = (Authority::new(), Authority::new());
    let servers = Files::new(&old, &[&old]);
    let clients = Files::new(&old, &[&old, &new]);
    let (server, _) = server(servers.mutual()).await;
    let channel_of_all = channel(&server, clients.client());
    // Has a certificate of the new authority, and believes no other.
    let files_of_new = Files::new(&new, &[&new]);
    let modern = channel(&server, files_of_new.client());
    let steps = async {
        until("the former files are in use", || channel_of_all.available() == 1).await;
        assert_eq!(modern.available(), 0);
        servers.trust(&[&old, &new]);
        servers.renew(new.issue(|_| {}));
        until("the new files are in use", || modern.available() == 1).await;
        clients.renew(new.issue(|_| {}));
        servers.trust(&[&new]);
        ask(&modern, ONCE).await.unwrap();
    };
    under_load(&channel_of_all, ONCE, steps).await;
}

#[tokio::test]
async fn files_that_become_bad_leave_the_former_ones_in_force() {
    let authority = Authority::new();
    let (lines, _logging) = Lines::of_this_thread();
    let files = Files::new(&authority, &[&authority]);
    let trusted = Files::new(&authority, &[&authority]);
    let (server, _) = server(files.server()).await;
    ask(&channel(&server, trusted.anonymous()), CALL).await.unwrap();
    files.write("tls.crt", "half of a certifi");
    lines.until("the former ones stay in force", "").await;
    ask(&channel(&server, trusted.anonymous()), CALL).await.unwrap();
    assert!(!lines.text().contains("BEGIN"));
    files.renew(authority.issue(|_| {}));
    lines.until("the files for TLS were renewed", "").await;
}

#[tokio::test]
async fn a_certificate_that_should_have_been_renewed_is_told_of_before_it_expires() {
    let authority = Authority::new();
    let (lines, _logging) = Lines::of_this_thread();
    let files = Files::new(&authority, &[&authority]);
    let (server, _) = server(files.server()).await;
    ask(&channel(&server, files.anonymous()), CALL).await.unwrap();
    let soon = "expires soon";
    assert!(!lines.text().contains(soon));
    files.renew(authority.issue(|params| {
        let now = SystemTime::now();
        params.not_before = (now - Duration::from_secs(1000)).into();
        params.not_after = (now + Duration::from_secs(200)).into();
    }));
    lines.until(soon, "").await;
}

#[test]
fn what_belongs_together_is_set_together() {
    let file = || Some(Path::new("file").to_owned());
    for (tls, expected) in [
        (
            TlsConfig { certificate_file: file(), ..TlsConfig::default() },
            "server.tls.certificate_file needs key_file",
        ),
        (
            TlsConfig { client_ca_file: file(), ..TlsConfig::default() },
            "server.tls.client_ca_file needs certificate_file and key_file",
        ),
    ] {
        let config = ServerConfig { tls, ..ServerConfig::default() };
        assert_eq!(config.validate("server").unwrap_err().to_string(), expected);
    }
    let tls = ClientTlsConfig { server_name: Some("auth".to_owned()), ..Default::default() };
    let config = ChannelConfig { tls, ..ChannelConfig::default() };
    let refused = config.validate("client").unwrap_err().to_string();
    assert_eq!(refused, "client.tls.server_name needs ca_file");
}
