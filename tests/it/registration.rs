//! One registration, from the call of a client to the row of the profile and
//! back to the account, as a collector saw it. `docs/telemetry.md` shows such a
//! trace; its shape is held to what is captured here.

use std::{collections::BTreeSet, fmt::Write, path::Path};

use countersign_contracts::auth::v1::RegisterRequest;
use countersign_seal::MasterKey;
use countersign_tests::{
    Collector, Executable, PASSWORD, Told,
    engines::{Nats, NewDatabase},
};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tempfile::TempDir;
use tonic::Request;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/telemetry.md");

/// What a span says beside its name, where it says it.
const SHOWN: [&str; 5] = [
    "rpc.response.status_code",
    "messaging.system",
    "messaging.consumer.group.name",
    "db.system.name",
    "error.type",
];

/// Both services alone, on PostgreSQL and JetStream, and what they tell.
async fn capture() -> Vec<Told> {
    let (folder, mut collector) = (TempDir::new().unwrap(), Collector::start().await);
    let nats = Nats::start().await;
    let databases = [NewDatabase::create().await, NewDatabase::create().await];
    let key = folder.path().join("master.key");
    MasterKey::create(&key).unwrap();
    let server = |role: &str| {
        Executable::on(&folder.path().join(role))
            .in_role(role)
            .with("COUNTERSIGN_BUS__URL", &nats.url())
            .with("COUNTERSIGN_TELEMETRY__OTLP_ENDPOINT", &collector.endpoint())
            .with("OTEL_BSP_SCHEDULE_DELAY", "50")
    };
    let auth = server("auth")
        .with("COUNTERSIGN_DATABASE__AUTH__URL", databases[0].url())
        .with("COUNTERSIGN_MASTER_KEY_FILE", key.to_str().unwrap())
        .start()
        .await;
    let user = server("user")
        .with("COUNTERSIGN_DATABASE__USER__URL", databases[1].url())
        .with("COUNTERSIGN_KEYS__SOURCE", &format!("http://{}", auth.address()))
        .start()
        .await;

    let (email, password) = ("ada@example.org".to_owned(), PASSWORD.to_owned());
    let mut request = Request::new(RegisterRequest { email, password });
    let caller = format!("00-{TRACE}-{CALLER}-01");
    request.metadata_mut().insert("traceparent", caller.parse().unwrap());
    auth.clients().auth().register(request).await.unwrap();
    let spans = collector
        .until(|spans| {
            let whole = |group: &str| {
                spans.iter().any(|told| told.attribute("messaging.consumer.group.name") == group)
            };
            let published = spans.iter().filter(|told| told.span.name.starts_with("publish "));
            let ends = whole("user.profile_creation") && whole("auth.activation");
            (ends && published.count() >= 2).then(|| spans.to_vec())
        })
        .await;
    assert!(user.stop().await && auth.stop().await, "they end in good order");
    for database in databases {
        database.remove().await;
    }
    spans.into_iter().filter(|told| told.place().0 == TRACE).collect()
}

/// The trace as a tree: service, name, what it says, and when it was.
fn tree(spans: &[Told]) -> String {
    let mut text = "caller\n".to_owned();
    let zero = spans.iter().map(|told| told.span.start_time_unix_nano).min().unwrap_or(0);
    branch(&mut text, spans, CALLER, "", zero);
    text
}

fn branch(text: &mut String, spans: &[Told], parent: &str, indent: &str, zero: u64) {
    let mut below: Vec<_> = spans.iter().filter(|told| told.place().1 == parent).collect();
    below.sort_by_key(|told| told.span.start_time_unix_nano);
    let count = below.len();
    for (place, told) in below.into_iter().enumerate() {
        let (tick, bar) = if place + 1 == count { ("└─", "  ") } else { ("├─", "│ ") };
        let said = SHOWN.map(|key| told.attribute(key));
        let said = said.into_iter().filter(|said| !said.is_empty()).collect::<Vec<_>>().join(" ");
        let span = &told.span;
        let millis = |nanos: u64| nanos as f64 / 1e6;
        let at = millis(span.start_time_unix_nano - zero);
        let took = millis(span.end_time_unix_nano - span.start_time_unix_nano);
        let line = format!("{indent}{tick} {} ({}: {said})", span.name, told.service);
        writeln!(text, "{line} at {at:.1} ms for {took:.1} ms").unwrap();
        branch(text, spans, &told.id(), &format!("{indent}{bar} "), zero);
    }
}

/// The same without times.
fn shape(tree: &str) -> Vec<String> {
    let lines = tree.lines().map(|line| line.split(" at ").next().unwrap_or(line).to_owned());
    lines.collect()
}

#[tokio::test]
async fn publishing_and_processing_say_what_the_conventions_for_messaging_ask_for() {
    let spans = capture().await;
    let of_creation = |told: &&Told| told.span.name.ends_with(".UserCreated");
    let of_kind = |kind: SpanKind| {
        let found = spans.iter().filter(of_creation).find(|told| told.span.kind() == kind);
        found.unwrap_or_else(|| panic!("no {kind:?}: {spans:?}"))
    };
    let (publish, process) = (of_kind(SpanKind::Producer), of_kind(SpanKind::Consumer));
    assert_eq!(process.place().1, publish.id(), "the parent is who has sent it");
    let destination = "countersign.events.auth.countersign.events.v1.UserCreated";
    for (told, name, kind, group) in
        [(publish, "publish", "send", ""), (process, "process", "process", "user.profile_creation")]
    {
        assert_eq!(told.span.name, format!("{name} {destination}"));
        assert_eq!(told.attribute("messaging.system"), "nats");
        assert_eq!(told.attribute("messaging.destination.name"), destination);
        assert_eq!(told.attribute("messaging.operation.name"), name);
        assert_eq!(told.attribute("messaging.operation.type"), kind);
        assert_eq!(told.attribute("messaging.consumer.group.name"), group);
        assert_eq!(told.attribute("messaging.message.id").len(), 36);
        assert!(!told.is_error());
    }
    let id = "messaging.message.id";
    assert_eq!(publish.attribute(id), process.attribute(id));
    // Nothing of whom it happened to, as subjects of the broker have it.
    let told = spans.iter().flat_map(|told| told.keys()).collect::<BTreeSet<_>>();
    let others = told
        .iter()
        .filter(|key| !["db.", "messaging.", "rpc."].iter().any(|known| key.starts_with(known)));
    assert_eq!(others.copied().collect::<Vec<_>>(), ["request.id"]);
}

#[tokio::test]
async fn the_documented_trace_of_a_registration_is_the_one_that_is_captured() {
    let captured = tree(&capture().await);
    let page = std::fs::read_to_string(Path::new(DOCUMENT)).unwrap();
    let documented = page.split("```").find(|block| block.starts_with("\ncaller\n"));
    let documented = documented.unwrap_or_default().trim_start();
    assert_eq!(shape(documented), shape(&captured), "captured now:\n{captured}");
}
