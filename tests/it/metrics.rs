//! What is measured of identity, and that page, alerts and dashboards name what
//! is there: a life is lived in which everything happens that is watched.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use countersign_contracts::auth::v1::ListAccountsRequest;
use countersign_tests::{
    Authority, Executable, PASSWORD, Process, RawCall, Sample, Scrape, refusal,
};
use sea_orm::{ConnectionTrait, Database};
use tempfile::TempDir;
use tonic::Code;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const GET_PROFILE: &str = "countersign.user.v1.ProfileService/GetProfile";
const LIST_ACCOUNTS: &str = "countersign.auth.v1.AccountService/ListAccounts";

/// An overflow, for everybody who looks at a profile.
const FRAGILE: &str = r#"
@id("fragile")
forbid (
    principal,
    action == Action::"countersign.user.v1.ProfileService/GetProfile",
    resource is Profile
)
when { principal.authentication_time + 9223372036854775807 < 0 };
"#;

fn server(folder: &TempDir) -> Executable {
    Executable::on(&folder.path().join("data"))
        .with("COUNTERSIGN_TELEMETRY__METRICS_LISTEN", "127.0.0.1:0")
        .with("COUNTERSIGN_LOG__FORMAT", "json")
}

/// The scrape, once this is in it.
async fn once(process: &Process, is: impl Fn(&Scrape) -> bool) -> Scrape {
    loop {
        let scrape = process.scrape().await;
        if is(&scrape) {
            return scrape;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn logins_refreshes_tokens_and_decisions_are_counted_by_how_they_came_out() {
    let folder = TempDir::new().unwrap();
    let process = server(&folder).start().await;
    let start = process.scrape().await;
    let reused = ("countersign_auth_refreshes_total", [("outcome", "reused")]);
    assert_eq!(start.sum(reused.0, &reused.1), Some(0.0), "there before it happens");

    let person = process.clients().register("ada").await.unwrap();
    let login = process.clients().login_when_active(&person.email).await.unwrap();
    let (email, password) = (person.email.clone(), format!("not {PASSWORD}"));
    let request =
        countersign_contracts::auth::v1::LoginRequest { email, password, ..Default::default() };
    let wrong = process.clients().auth().login(request).await;
    assert_eq!(refusal(wrong).code, Code::Unauthenticated);
    let clients = process.clients();
    let second = clients.refresh(&login.refresh_token).await.unwrap();
    clients.refresh(&second.refresh_token).await.unwrap();
    for _ in 0..2 {
        login.clients.profile("me").await.unwrap();
    }
    let denied = login.clients.accounts().list_accounts(ListAccountsRequest::default()).await;
    assert_eq!(refusal(denied).code, Code::PermissionDenied);
    assert_eq!(refusal(clients.refresh(&login.refresh_token).await).reason, "REFRESH_REUSED");

    let scrape = process.scrape().await;
    let count = |name: &str, labels: &[(&str, &str)]| scrape.sum(name, labels).unwrap_or(-1.0);
    let logins = "countersign_auth_logins_total";
    assert!(count(logins, &[("outcome", "success")]) >= 1.0);
    assert_eq!(count(logins, &[("outcome", "bad_credentials")]), 1.0);
    assert_eq!(count(reused.0, &[("outcome", "success")]), 2.0);
    assert_eq!(count(reused.0, &reused.1), 1.0);
    let tokens = "countersign_guard_tokens_total";
    assert_eq!(count(tokens, &[("cache", "miss")]), 1.0);
    assert_eq!(count(tokens, &[("cache", "hit")]), 2.0);
    let decisions = "countersign_guard_decisions_total";
    assert_eq!(count(decisions, &[("decision", "permit"), ("rpc_method", GET_PROFILE)]), 2.0);
    assert_eq!(count(decisions, &[("decision", "deny"), ("rpc_method", LIST_ACCOUNTS)]), 1.0);
    assert!(count("countersign_auth_hashing_wait_seconds_count", &[]) >= 3.0);
    assert_eq!(count("countersign_auth_hashing_waiting", &[]), 0.0);
}

/// Everything that can be seen of a process in whose life everything happens
/// that alerts and dashboards watch.
async fn eventful() -> Vec<Sample> {
    let folder = TempDir::new().unwrap();
    let policies = folder.path().join("policies");
    fs::create_dir(&policies).unwrap();
    fs::write(policies.join("fragile.cedar"), FRAGILE).unwrap();
    let process = server(&folder)
        .with("COUNTERSIGN_POLICIES__DIR", policies.to_str().unwrap())
        // Nobody is there.
        .with("COUNTERSIGN_TELEMETRY__OTLP_ENDPOINT", "http://127.0.0.1:1")
        .with("OTEL_BSP_SCHEDULE_DELAY", "50")
        .start()
        .await;
    let person = process.clients().register("ada").await.unwrap();
    let login = process.clients().login_when_active(&person.email).await.unwrap();
    assert_eq!(refusal(login.clients.profile("me").await).code, Code::PermissionDenied);
    let listed = login.clients.sessions().list_sessions(own()).await;
    listed.unwrap();
    for unknown in ["countersign.auth.v1.AuthService/Nothing", "no.such.Service/Method"] {
        let call = RawCall::with_message(&[]).send(process.address(), unknown);
        assert_eq!(refusal(call.await).code, Code::Unimplemented);
    }
    // From now on profiles cannot be made: who comes now has to wait.
    let file = folder.path().join("data/user.db");
    let users = Database::connect(format!("sqlite://{}", file.display())).await.unwrap();
    users.execute_unprepared("ALTER TABLE profiles RENAME TO gone").await.unwrap();
    process.clients().register("bob").await.unwrap();
    let refused = [("messaging_operation_name", "publish"), ("error_type", "refused")];
    let scrape = once(&process, |scrape| {
        let sent = "messaging_client_operation_duration_seconds_count";
        let waits = scrape.sum("countersign_events_outbox_waiting", &[("source", "auth")]);
        scrape.sum(sent, &refused).is_some()
            && scrape.sum("countersign_telemetry_dropped_total", &[]).is_some()
            && waits.is_some_and(|waits| waits > 0.0)
    });
    let scrape = scrape.await;

    // Another one speaks TLS, and is asked for nothing else.
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
    let identity = authority.sign("here.test");
    let certificate = identity.certificate.to_str().unwrap();
    let encrypted = server(&folder)
        .with("COUNTERSIGN_SERVER__TLS__CERTIFICATE_FILE", certificate)
        .with("COUNTERSIGN_SERVER__TLS__KEY_FILE", identity.key.to_str().unwrap())
        .start()
        .await;
    let expiry = "countersign_tls_certificate_expiry_seconds";
    let encrypted = once(&encrypted, |scrape| scrape.sum(expiry, &[]).is_some()).await;
    [scrape.samples(), encrypted.samples()].concat()
}

fn own() -> countersign_contracts::auth::v1::ListSessionsRequest {
    countersign_contracts::auth::v1::ListSessionsRequest {
        user_id: "me".to_owned(),
        ..Default::default()
    }
}

/// The labels of each metric of the page, by its name.
fn page() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(Path::new(ROOT).join("docs/telemetry.md")).unwrap();
    let table = text.split("\n## Metrics\n").nth(1).unwrap();
    let quoted = |cell: &str| -> Vec<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let rows = rows.flat_map(|row| {
        let mut cells = row.trim_matches('|').split(" | ");
        let (names, labels) = (quoted(cells.next().unwrap()), quoted(cells.next().unwrap()));
        let labels: BTreeSet<String> = labels.into_iter().collect();
        names.into_iter().map(move |name| (name, labels.clone()))
    });
    rows.collect()
}

/// The metric that a series is of.
fn metric(name: &str) -> &str {
    let of = ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|part| name.strip_suffix(part).filter(|base| base.ends_with("_seconds")));
    of.unwrap_or(name)
}

/// Rules and dashboards, as text.
fn watched() -> Vec<PathBuf> {
    let observed = Path::new(ROOT).join("k8s/components/observed");
    let boards = fs::read_dir(observed.join("dashboards")).unwrap();
    let boards = boards.map(|board| board.unwrap().path());
    boards.chain([observed.join("rules.yaml")]).collect()
}

#[tokio::test]
async fn the_page_of_metrics_alerts_and_dashboards_name_what_there_is() {
    let samples = eventful().await;
    let mut seen = BTreeMap::<&str, BTreeSet<&str>>::new();
    for sample in &samples {
        let labels = sample.labels.keys().map(String::as_str).filter(|label| *label != "le");
        seen.entry(metric(&sample.name)).or_default().extend(labels);
    }
    seen.remove("target_info");
    let page = page();
    for (name, labels) in &seen {
        let told = page.get(*name).unwrap_or_else(|| panic!("{name} is not on the page"));
        let told: BTreeSet<&str> = told.iter().map(String::as_str).collect();
        assert_eq!(told, *labels, "the labels of {name}");
    }
    let labels: BTreeSet<&str> = seen.values().flatten().copied().collect();
    let files = watched();
    assert_eq!(files.len(), 4);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let names = words.filter(|word| {
            ["countersign_", "rpc_", "messaging_"].iter().any(|start| word.starts_with(start))
                && !labels.contains(word)
        });
        let mut any = false;
        for name in names {
            any = true;
            let exposed = samples.iter().any(|sample| sample.name == name);
            assert!(exposed, "{}: nobody exposes {name}", file.display());
        }
        assert!(any, "{}", file.display());
    }
}
