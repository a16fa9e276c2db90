//! What the executable tells about itself: traces to a real receiver, metrics
//! to whoever scrapes, and lines of the log that belong together.

use countersign_contracts::auth::v1::RegisterRequest;
use countersign_tests::{Collector, Executable, PASSWORD, Process, RawCall, refusal};
use sea_orm::{ConnectionTrait, Database};
use tempfile::TempDir;
use tonic::{Code, Request};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
const EMAIL: &str = "ada.trace@example.org";
const REGISTER: &str = "countersign.auth.v1.AuthService/Register";
const GET_PROFILE: &str = "countersign.user.v1.ProfileService/GetProfile";

/// A server whose spans do not wait long.
fn telling(folder: &TempDir, endpoint: &str) -> Executable {
    Executable::on(&folder.path().join("data"))
        .with("COUNTERSIGN_TELEMETRY__OTLP_ENDPOINT", endpoint)
        .with("COUNTERSIGN_TELEMETRY__METRICS_LISTEN", "127.0.0.1:0")
        .with("COUNTERSIGN_TELEMETRY__EXPORT_TIMEOUT", "1s")
        .with("COUNTERSIGN_LOG__FORMAT", "json")
        .with("OTEL_BSP_SCHEDULE_DELAY", "50")
}

/// The address of a collector that is not there any more.
async fn nowhere() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

async fn register(process: &Process) {
    let (email, password) = (EMAIL.to_owned(), PASSWORD.to_owned());
    let mut request = Request::new(RegisterRequest { email, password });
    let parent = format!("00-{TRACE}-{CALLER}-01");
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    process.clients().auth().register(request).await.unwrap();
}

#[tokio::test]
async fn a_call_is_a_span_under_its_caller_and_its_statements_are_under_it() {
    let (folder, mut collector) = (TempDir::new().unwrap(), Collector::start().await);
    let process = telling(&folder, &collector.endpoint()).start().await;
    register(&process).await;
    let call = collector
        .until(|spans| spans.iter().find(|told| told.span.name == REGISTER).cloned())
        .await;
    assert_eq!(call.service, "countersign");
    assert_eq!(call.place(), (TRACE.to_owned(), CALLER.to_owned()));
    assert_eq!(call.attribute("rpc.system.name"), "grpc");
    assert_eq!(call.attribute("rpc.method"), REGISTER);
    assert_eq!(call.attribute("rpc.response.status_code"), "OK");
    assert!(!call.is_error());
    let statement = |told: &&countersign_tests::Told| {
        told.place() == (TRACE.to_owned(), call.id())
            && told.attribute("db.system.name") == "sqlite"
    };
    let insert = collector.until(|spans| spans.iter().find(statement).cloned()).await;
    assert!(insert.keys().iter().all(|key| key.starts_with("db.")), "{:?}", insert.keys());
}

#[tokio::test]
async fn no_span_holds_an_address_or_a_password() {
    let (folder, mut collector) = (TempDir::new().unwrap(), Collector::start().await);
    let process = telling(&folder, &collector.endpoint()).start().await;
    register(&process).await;
    // The second is refused by the database's own rule, whose text names the address.
    let (email, password) = (EMAIL.to_owned(), PASSWORD.to_owned());
    let again = process.clients().auth().register(RegisterRequest { email, password }).await;
    assert_eq!(refusal(again).code, Code::AlreadyExists);
    let told = collector
        .until(|spans| {
            let calls = spans.iter().filter(|told| told.span.name == REGISTER);
            (calls.count() == 2).then(|| format!("{spans:?}"))
        })
        .await;
    assert!(!told.contains("ada.trace"), "{told}");
    assert!(!told.contains(PASSWORD), "{told}");
}

#[tokio::test]
async fn a_refused_call_is_no_error_of_the_server() {
    let (folder, mut collector) = (TempDir::new().unwrap(), Collector::start().await);
    let process = telling(&folder, &collector.endpoint()).start().await;
    let refused = process.clients().profile("me").await.map_err(|status| status.code());
    assert_eq!(refused.unwrap_err(), Code::Unauthenticated);
    let call = collector
        .until(|spans| spans.iter().find(|told| told.span.name == GET_PROFILE).cloned())
        .await;
    assert_eq!(call.attribute("rpc.response.status_code"), "UNAUTHENTICATED");
    assert!(!call.is_error());
    assert_eq!(call.attribute("error.type"), "");
}

#[tokio::test]
async fn metrics_name_methods_and_outcomes_and_no_method_of_a_clients_choice() {
    let folder = TempDir::new().unwrap();
    let process = telling(&folder, &nowhere().await).start().await;
    register(&process).await;
    let invented = RawCall::with_message(&[]).send(process.address(), "no.such.Service/Method");
    assert_eq!(refusal(invented.await).code, Code::Unimplemented);
    let text = process.answer_to("GET /metrics").await;
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    let count = |method: &str, status: &str| {
        let line = text.lines().find(|line| {
            line.starts_with("rpc_server_call_duration_seconds_count{")
                && line.contains(&format!("rpc_method=\"{method}\""))
                && line.contains(&format!("rpc_response_status_code=\"{status}\""))
        });
        line.and_then(|line| line.rsplit(' ').next()).unwrap_or("none").to_owned()
    };
    assert_eq!(count(REGISTER, "OK"), "1", "{text}");
    assert_eq!(count("_OTHER", "UNIMPLEMENTED"), "1", "{text}");
    assert!(!text.contains("no.such"), "{text}");
    assert!(!text.contains("ada.trace"), "{text}");
}

#[tokio::test]
async fn the_address_of_the_metrics_tells_nothing_else() {
    let folder = TempDir::new().unwrap();
    let process = telling(&folder, &nowhere().await).start().await;
    assert!(process.answer_to("GET /").await.starts_with("HTTP/1.1 404"));
    assert!(process.answer_to("POST /metrics").await.starts_with("HTTP/1.1 405"));
}

#[tokio::test]
async fn a_collector_that_is_away_costs_spans_and_no_call() {
    let folder = TempDir::new().unwrap();
    let process = telling(&folder, &nowhere().await).start().await;
    register(&process).await;
    while process.scrape().await.sum("countersign_telemetry_dropped_total", &[]).is_none() {
        assert_eq!(process.clients().login(EMAIL).await.unwrap().user_id.len(), 36);
    }
    assert!(process.stop().await, "it ends in good order");
}

#[tokio::test]
async fn the_lines_of_a_call_carry_its_trace() {
    let folder = TempDir::new().unwrap();
    let process = telling(&folder, &nowhere().await).start().await;
    register(&process).await;
    let line = process.logged(|line| line["rpc.method"] == REGISTER).await;
    assert_eq!(line["span"]["trace.id"], TRACE);
    assert_eq!(line["span"]["span.id"].as_str().map(str::len), Some(16));
    assert_ne!(line["span"]["span.id"], CALLER, "its own span, not the caller's");
    assert_eq!(line["span"]["request.id"], line["request.id"]);
}

#[tokio::test]
async fn the_lines_about_an_event_carry_the_trace_of_the_call_that_made_it() {
    let folder = TempDir::new().unwrap();
    let process = telling(&folder, &nowhere().await).start().await;
    let file = folder.path().join("data/user.db");
    let users = Database::connect(format!("sqlite://{}", file.display())).await.unwrap();
    users.execute_unprepared("ALTER TABLE profiles RENAME TO gone").await.unwrap();
    register(&process).await;
    let line = process.logged(|line| line["consumer"] == "user.profile_creation").await;
    assert_eq!(line["span"]["trace.id"], TRACE);
    assert_eq!(line["span"]["span.id"].as_str().map(str::len), Some(16));
    assert_eq!(line["level"], "WARN");
}

#[tokio::test]
async fn what_is_scraped_goes_to_the_collector_as_well() {
    let (folder, mut collector) = (TempDir::new().unwrap(), Collector::start().await);
    let process = telling(&folder, &collector.endpoint())
        .with("COUNTERSIGN_TELEMETRY__METRICS_INTERVAL", "1s")
        .start()
        .await;
    register(&process).await;
    for name in [
        "rpc.server.call.duration",
        "messaging.process.duration",
        "countersign.events.outbox.age",
        "countersign.auth.hashing.wait",
        "countersign.guard.dropped_denials",
    ] {
        collector.until_metric(name).await;
    }
}
