//! What a list holds is what the policies permit row by row.

mod drawn;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use countersign_guard::{
    Access, AttributeKinds, Attributes, Guard, GuardBuilder, PeerCertificate, Resolver,
    Revocations, Rule, Settings, Value, Visible, enter, enter_list,
    policies::{PolicyFolder, Step},
};
use countersign_mesh::{
    config::DatabaseConfig,
    database::{self, visible},
};
use countersign_tokens::{
    AccountAttributes, AttributeValue, AuthMethods, Binding, Claims, KeyRing, Purpose, SigningKey,
    sign,
};
use countersign_types::{
    Clock, Fault, FieldPath, SessionId, Timestamp, UserId, Validate, Violation,
};
use futures::future::BoxFuture;
use proptest::prelude::*;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, ExprTrait,
    prelude::{Expr, Uuid},
    sea_query::{Alias, Query},
};
use tonic::{Request, Status, metadata::MetadataMap};
use tower::{Layer, Service, service_fn};

use drawn::{person, policy, thing};

const GET: &str = "test.v1.ThingService/GetThing";
const LIST: &str = "test.v1.ThingService/ListThings";
const RULES: &[Rule] = &[
    Rule::new(GET, Access::Policy { resource: "Thing" }),
    Rule::new(LIST, Access::List { resource: "Thing" }),
];
const SCHEMA: &str = r#"
entity Role;
entity User in [Role] {
  authentication_time: Long, session_age: Long, factors: Set<String>, tenant: String,
};
type CallContext = { peer: { names: Set<String>, spiffe_id?: String } };
entity Thing { owner: User, tenant: String, size: Long, label: String, open: Bool, other: Long };
action "test.v1.ThingService/GetThing" appliesTo { principal: [User], resource: [Thing], context: CallContext };
action "test.v1.ThingService/ListThings" appliesTo { principal: [User], resource: [Thing], context: CallContext };
"#;
const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const LABELS: [&str; 3] = ["red", "blue", "it's %_\\ \"ünder\""];

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());

#[derive(Clone, Debug)]
struct Thing {
    owner: u128,
    tenant: &'static str,
    size: i64,
    label: &'static str,
    open: bool,
}

/// Things by id, as the service of the single ones knows them.
#[derive(Clone)]
struct Things(Arc<BTreeMap<Uuid, Thing>>);

#[derive(Clone, Debug)]
struct Person {
    id: u128,
    roles: Vec<&'static str>,
    tenant: &'static str,
    department: Option<&'static str>,
    level: Option<i64>,
    sites: Option<Vec<&'static str>>,
    age: u64,
    /// What the certificate of the connection says.
    names: Vec<&'static str>,
}

#[derive(Clone, Debug, Default)]
struct Named(String);

impl Validate for Named {
    fn validate_at(&self, _: &FieldPath<'_>, _: &mut Vec<Violation>) {}
}

impl Resolver for Things {
    fn resolve<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Attributes>, Fault>> {
        let thing = self.0.get(&id.parse().unwrap()).unwrap();
        let attributes = Attributes::owner(Uuid::from_u128(thing.owner).into())
            .set("tenant", Value::String(thing.tenant.to_owned()))
            .set("size", Value::Long(thing.size))
            .set("label", Value::String(thing.label.to_owned()))
            .set("open", Value::Bool(thing.open))
            .set("other", Value::Long(1));
        Box::pin(async move { Ok(Some(attributes)) })
    }
}

fn guard(policies: &str) -> Result<Guard, countersign_guard::Error> {
    guard_with(|builder| builder.policies(SCHEMA, &[("drawn.cedar", policies)]))
}

fn guard_with(
    change: impl FnOnce(GuardBuilder) -> GuardBuilder,
) -> Result<Guard, countersign_guard::Error> {
    let (clock, _) = Clock::manual(NOW);
    let (ring, revocations) = (KeyRing::default(), Revocations::default());
    ring.replace(vec![KEY.verification_key()]);
    revocations.mark_ready();
    let declared = ["department:string", "level:long", "sites:strings"];
    let settings = Settings {
        issuer: "issuer".to_owned(),
        audience: "audience".to_owned(),
        environment: "test".to_owned(),
        attributes: AttributeKinds::parse(declared).unwrap(),
        ..Settings::default()
    };
    let builder = Guard::builder(settings)
        .rules(RULES)
        .policies(SCHEMA, &[])
        .keys(ring)
        .revocations(revocations)
        .clock(clock);
    change(builder).build()
}

fn token(person: &Person) -> String {
    let mut attributes = AccountAttributes::default();
    let text = |text: &str| AttributeValue::String(text.to_owned());
    if let Some(department) = person.department {
        attributes.set("department", text(department));
    }
    if let Some(level) = person.level {
        attributes.set("level", AttributeValue::Long(level));
    }
    if let Some(sites) = &person.sites {
        let sites = sites.iter().map(|&site| site.to_owned()).collect();
        attributes.set("sites", AttributeValue::StringSet(sites));
    }
    attributes.set_tenant(&person.tenant.parse().unwrap());
    let claims = Claims {
        issuer: "issuer".to_owned(),
        subject: Uuid::from_u128(person.id).into(),
        audience: "audience".to_owned(),
        issued_at: NOW,
        not_before: NOW,
        expires_at: NOW.plus(Duration::from_secs(300)),
        token_id: UserId::generate().to_string(),
        session: SessionId::generate(),
        session_epoch: 1,
        account_epoch: 1,
        auth_time: NOW.minus(Duration::from_secs(person.age)),
        methods: AuthMethods::default(),
        roles: person.roles.iter().map(|&role| role.to_owned()).collect(),
        attributes,
        purpose: Purpose::Access,
    };
    sign(&KEY, &Binding { environment: "test".to_owned() }, &claims).unwrap()
}

async fn handle(
    request: http::Request<Named>,
) -> Result<http::Response<Option<Visible>>, Infallible> {
    let is_list = request.uri().path().ends_with("ListThings");
    let (parts, message) = request.into_parts();
    let headers = MetadataMap::from_headers(parts.headers);
    let request = Request::from_parts(headers, parts.extensions, message);
    let answer = match is_list {
        true => enter_list(request).await.map(|call| Some(call.visible)),
        false => enter(request, |named: &Named| &named.0).await.map(|_| None),
    };
    Ok(answer.map_or_else(Status::into_http, http::Response::new))
}

async fn call(
    guard: &Guard,
    rpc: &str,
    token: &str,
    names: &[&str],
    id: &str,
) -> Result<Option<Visible>, Status> {
    let names = names.iter().map(|&name| name.to_owned()).collect();
    let request = http::Request::post(format!("http://test/{rpc}"))
        .extension(PeerCertificate { names })
        .header("authorization", format!("Bearer {token}"))
        .body(Named(id.to_owned()))
        .unwrap();
    let response = guard.layer().layer(service_fn(handle)).call(request).await.unwrap();
    match Status::from_header_map(response.headers()) {
        Some(refused) => {
            assert_eq!(refused.code(), tonic::Code::PermissionDenied, "{refused:?}");
            Err(refused)
        }
        None => Ok(response.into_body()),
    }
}

async fn store(things: &Things) -> DatabaseConnection {
    let config = DatabaseConfig { max_connections: 1, ..DatabaseConfig::default() };
    let db = database::connect(&config, "sqlite::memory:").await.unwrap();
    let table = "CREATE TABLE things (id BLOB PRIMARY KEY, owner BLOB NOT NULL, \
                 tenant TEXT NOT NULL, size BIGINT NOT NULL, label TEXT NOT NULL, open BOOLEAN NOT NULL)";
    db.execute_unprepared(table).await.unwrap();
    for (id, thing) in things.0.iter() {
        let columns = ["id", "owner", "tenant", "size", "label", "open"].map(Alias::new);
        let insert = Query::insert()
            .into_table(Alias::new("things"))
            .columns(columns)
            .values_panic([
                Expr::value(*id),
                Expr::value(Uuid::from_u128(thing.owner)),
                Expr::value(thing.tenant),
                Expr::value(thing.size),
                Expr::value(thing.label),
                Expr::value(thing.open),
            ])
            .take();
        db.execute(&insert).await.unwrap();
    }
    db
}

async fn listed(db: &DatabaseConnection, seen: &Visible) -> Vec<Uuid> {
    let column = |name: &str| Some(Expr::col(Alias::new(name)));
    let seen = visible(seen.condition(), &Expr::col(Alias::new("id")), &column).unwrap();
    let query = Query::select()
        .column(Alias::new("id"))
        .from(Alias::new("things"))
        .and_where(seen)
        .and_where(Expr::col(Alias::new("id")).is_not_null())
        .take();
    let rows = db.query_all(&query).await.unwrap();
    let mut ids: Vec<_> = rows.iter().map(|row| row.try_get("", "id").unwrap()).collect();
    ids.sort_unstable();
    ids
}

/// How many of the drawn sets of policies were loaded, and lists not empty.
static LOADED: AtomicUsize = AtomicUsize::new(0);
static HELD: AtomicUsize = AtomicUsize::new(0);

fn compare(
    policies: &[String],
    things: Vec<Thing>,
    people: &[Person],
) -> Result<(), TestCaseError> {
    let text: String = policies
        .iter()
        .enumerate()
        .map(|(number, policy)| format!("@id(\"p{number}\") {policy}\n"))
        .collect();
    // Cedar refuses what can never apply.
    let guard = match guard(&text) {
        Ok(guard) => guard,
        Err(countersign_guard::Error::Policies(problems))
            if !problems.iter().any(|problem| problem.reason.contains(LIST)) =>
        {
            return Ok(());
        }
        Err(other) => return Err(TestCaseError::fail(format!("{other}: {text}"))),
    };
    LOADED.fetch_add(1, Ordering::Relaxed);
    let ids = (1..).map(Uuid::from_u128);
    let things = Things(Arc::new(ids.zip(things).collect()));
    let guard = guard.with_resolver("Thing", things.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let db = store(&things).await;
        for person in people {
            let token = token(person);
            let mut expected = Vec::new();
            for id in things.0.keys() {
                if call(&guard, GET, &token, &person.names, &id.to_string()).await.is_ok() {
                    expected.push(*id);
                }
            }
            let found = match call(&guard, LIST, &token, &person.names, "").await {
                Ok(seen) => listed(&db, &seen.unwrap()).await,
                Err(_) => Vec::new(),
            };
            HELD.fetch_add(usize::from(!found.is_empty()), Ordering::Relaxed);
            prop_assert_eq!(found, expected, "{:?}: {}", person, text);
        }
        Ok(())
    })
}

#[test]
fn a_list_holds_what_is_permitted_row_by_row() {
    let config = ProptestConfig::with_cases(256);
    let drawn = (
        prop::collection::vec(policy(), 1..6),
        prop::collection::vec(thing(), 0..12),
        prop::collection::vec(person(), 3),
    );
    let mut runner = proptest::test_runner::TestRunner::new(config);
    runner.run(&drawn, |(policies, things, people)| compare(&policies, things, &people)).unwrap();
    let (loaded, held) = (LOADED.load(Ordering::Relaxed), HELD.load(Ordering::Relaxed));
    assert!(loaded > 100 && held > 100, "of 256 sets {loaded} were loaded, {held} lists held any");
}

#[test]
fn a_policy_that_no_query_can_ask_is_refused_when_it_is_loaded() {
    for condition in [
        "resource.size + 1 > 3",
        "resource.label like \"r*\"",
        "resource.size == resource.other",
        "resource has size",
        "principal is User in Role::\"admin\"",
        "principal in [Role::\"admin\", Role::\"auditor\"]",
        "principal.factors.containsAll([\"otp\"]) && resource.open",
        "context.peer has spiffe_id && context.peer.spiffe_id like \"spiffe://*\"",
    ] {
        let text =
            format!("@id(\"p\") permit (principal, action, resource) when {{ {condition} }};");
        let refused = guard(&text).err().unwrap().to_string();
        assert!(refused.starts_with("drawn.cedar:1: policy `p` "), "{condition}: {refused}");
        assert!(refused.contains(LIST), "{condition}: {refused}");
        // Of a single thing it can be asked.
        let action = format!("action == Action::\"{GET}\"");
        assert!(guard(&text.replace("action", &action)).is_ok(), "{condition}");
    }
}

/// Ada, in no role.
fn ada() -> Person {
    Person {
        id: 1,
        roles: Vec::new(),
        tenant: "default",
        department: None,
        level: None,
        sites: None,
        age: 0,
        names: Vec::new(),
    }
}

#[tokio::test]
async fn lists_follow_policies_that_change_and_keep_to_the_former_ones_where_the_new_cannot_be_asked()
 {
    let place = tempfile::tempdir().unwrap();
    let write = |what: &str| {
        let text = format!("@id(\"p\")\npermit (principal, action, resource) when {{ {what} }};");
        std::fs::write(place.path().join("my.cedar"), text).unwrap();
    };
    write("resource.owner == principal");
    let folder = PolicyFolder::new(place.path());
    let snapshot = folder.read().unwrap();
    let guard = guard_with(|builder| builder.more_policies(snapshot.files.clone())).unwrap();
    let mut watch = guard.watch_policies(Vec::new(), folder, &snapshot, Duration::from_secs(3600));

    let thing = Thing { owner: 2, tenant: "default", size: 1, label: "red", open: true };
    let things = Things(Arc::new([(Uuid::from_u128(7), thing)].into()));
    let db = store(&things).await;
    let token = token(&ada());
    let mut count = async |what: &str| {
        if !what.is_empty() {
            write(what);
            let steps = [watch.step().await, watch.step().await];
            assert_eq!(steps.first(), Some(&Step::Settling));
            assert!(matches!(steps, [_, Step::Applied | Step::Refused]));
        }
        let seen = call(&guard, LIST, &token, &[], "").await.unwrap().unwrap();
        listed(&db, &seen).await.len()
    };
    assert_eq!(count("").await, 0);
    assert_eq!(count("resource.open").await, 1);
    // No query can ask this: what was in force stays.
    assert_eq!(count("resource.size + 1 < 0").await, 1);
    assert_eq!(count("resource.size > 1").await, 0);
    assert!(!guard.reads_attribute("level"));
    assert_eq!(count("principal has level || resource.open").await, 1);
    assert!(guard.reads_attribute("level"));
}
