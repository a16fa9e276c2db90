//! A small world behind a guard: things that people own, an issuer of tokens,
//! and a clock that is moved by hand.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use countersign_guard::{
    Access, AttributeKinds, Attributes, Call, Guard, GuardBuilder, PeerCertificate, Resolver,
    Revocations, Rule, Settings, Value, enter, enter_public, enter_service, status,
};
use countersign_tokens::{
    AccountAttributes, AuthMethods, Binding, Claims, KeyRing, Purpose, SigningKey, sign,
};
use countersign_types::{
    Clock, ClockHand, Fault, FieldPath, SessionId, Timestamp, UserId, Validate, Violation,
};
use futures::future::BoxFuture;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use tower::{Layer, Service, service_fn};

pub const START: Timestamp = Timestamp::from_seconds(1_800_000_000);
pub const TOKEN_LIFE: Duration = Duration::from_secs(300);

pub const GET: &str = "test.v1.ThingService/GetThing";
pub const PURGE: &str = "test.v1.ThingService/PurgeThing";
pub const COUNT: &str = "test.v1.ThingService/CountThings";
pub const RECENT: &str = "test.v1.ThingService/ChangeSecret";
pub const FRAGILE: &str = "test.v1.ThingService/Fragile";
pub const NOBODY: &str = "test.v1.ThingService/Nobody";
pub const OPEN: &str = "test.v1.ThingService/Open";

pub const RULES: &[Rule] = &[
    Rule::new(GET, Access::Policy { resource: "Thing" }),
    Rule::new(PURGE, Access::Policy { resource: "Thing" }),
    Rule::new(COUNT, Access::Policy { resource: "Service" }),
    Rule::new(RECENT, Access::Policy { resource: "Service" }),
    Rule::new(FRAGILE, Access::Policy { resource: "Service" }),
    Rule::new(NOBODY, Access::Policy { resource: "Thing" }),
    Rule::new(OPEN, Access::Public),
];

pub const SCHEMA: &str = r#"
entity Role;
entity User in [Role] {
  authentication_time: Long,
  session_age: Long,
  factors: Set<String>,
  tenant: String,
};
entity Service;
type CallContext = { peer: { names: Set<String>, spiffe_id?: String } };
entity Thing { owner: User, size: Long, tags: Set<String>, label: String, open: Bool };
action "reads";
action "test.v1.ThingService/GetThing" in ["reads"] appliesTo { principal: [User], resource: [Thing], context: CallContext };
action "test.v1.ThingService/PurgeThing" appliesTo { principal: [User], resource: [Thing], context: CallContext };
action "test.v1.ThingService/CountThings" in ["reads"] appliesTo { principal: [User], resource: [Service], context: CallContext };
action "test.v1.ThingService/ChangeSecret" appliesTo { principal: [User], resource: [Service], context: CallContext };
action "test.v1.ThingService/Fragile" appliesTo { principal: [User], resource: [Service], context: CallContext };
action "test.v1.ThingService/Nobody" appliesTo { principal: [User], resource: [Thing], context: CallContext };
"#;

pub const POLICIES: &str = r#"
@id("thing-owner")
permit (principal, action == Action::"test.v1.ThingService/GetThing", resource is Thing)
when { resource.owner == principal };

@id("thing-admin")
permit (principal in Role::"admin", action == Action::"test.v1.ThingService/PurgeThing", resource is Thing);

@id("never-this-thing")
forbid (principal, action == Action::"test.v1.ThingService/PurgeThing", resource == Thing::"sacred");

@id("auditor-reads")
permit (principal in Role::"auditor", action in Action::"reads", resource is Service);

@id("fresh")
permit (principal, action == Action::"test.v1.ThingService/ChangeSecret", resource)
when { principal.session_age < 60 };

@id("fragile-permit")
permit (principal, action == Action::"test.v1.ThingService/Fragile", resource);

@id("fragile-forbid")
forbid (principal, action == Action::"test.v1.ThingService/Fragile", resource)
when { principal.authentication_time + 9223372036854775807 < 0 };
"#;

/// Making keys is slow without optimisation: two do for all.
pub static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());
pub static OTHER_KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());

pub struct World {
    pub guard: Guard,
    pub ring: KeyRing,
    pub revocations: Revocations,
    pub clock: ClockHand,
    pub things: Things,
    now: Clock,
}

/// A message that names a thing.
#[derive(Clone, Debug, Default)]
pub struct Named {
    pub id: String,
    pub note: String,
}

/// Resolves things: every thing is owned by `owner`, but `missing` is not there,
/// `broken` cannot be looked up, `told` is said not to be found, and `slow`
/// never comes.
#[derive(Clone)]
pub struct Things {
    pub owner: UserId,
    asked: Arc<AtomicUsize>,
}

/// What a client sees: the id and the policies of the permit, or a refusal.
pub type Answer = Result<String, Box<Status>>;

impl Default for World {
    fn default() -> Self {
        Self::with(|builder| builder)
    }
}

impl World {
    pub fn with(change: impl FnOnce(GuardBuilder) -> GuardBuilder) -> Self {
        Self::with_attributes(AttributeKinds::default(), change)
    }

    /// The same with attributes that accounts can have.
    pub fn with_attributes(
        attributes: AttributeKinds,
        change: impl FnOnce(GuardBuilder) -> GuardBuilder,
    ) -> Self {
        let (now, clock) = Clock::manual(START);
        let (ring, revocations) = (KeyRing::default(), Revocations::default());
        ring.replace(vec![KEY.verification_key()]);
        revocations.mark_ready();
        let builder = Guard::builder(Settings { attributes, ..settings() })
            .rules(RULES)
            .policies(SCHEMA, &[("things.cedar", POLICIES)])
            .keys(ring.clone())
            .revocations(revocations.clone())
            .clock(now.clone());
        let things = Things { owner: UserId::generate(), asked: Arc::default() };
        let guard = change(builder).build().unwrap().with_resolver("Thing", things.clone());
        Self { guard, ring, revocations, clock, things, now }
    }

    /// What the time is taken from.
    pub fn now(&self) -> Clock {
        self.now.clone()
    }

    /// The claims of a new token of the owner of the things.
    pub fn claims(&self) -> Claims {
        let now = self.now.now();
        Claims {
            issuer: "issuer".to_owned(),
            subject: self.things.owner,
            audience: "audience".to_owned(),
            issued_at: now,
            not_before: now,
            expires_at: now.plus(TOKEN_LIFE),
            token_id: UserId::generate().to_string(),
            session: SessionId::generate(),
            session_epoch: 1,
            account_epoch: 1,
            auth_time: now,
            methods: AuthMethods::default(),
            roles: Vec::new(),
            attributes: AccountAttributes::default(),
            purpose: Purpose::Access,
        }
    }

    /// A token of the owner of the things.
    pub fn token(&self) -> String {
        signed(&self.claims())
    }

    /// A token of somebody else with these roles.
    pub fn token_of_role(&self, roles: &[&str]) -> String {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        signed(&Claims { subject: UserId::generate(), roles, ..self.claims() })
    }

    /// Calls an RPC about the thing `id` with a token.
    pub async fn call(&self, rpc: &str, token: &str, id: &str) -> Answer {
        let message = Named { id: id.to_owned(), ..Named::default() };
        self.send(rpc, &[("authorization", &format!("Bearer {token}"))], message).await
    }

    /// The same over a connection whose client has shown a certificate with these names.
    pub async fn call_from(&self, names: &[&str], rpc: &str, token: &str, id: &str) -> Answer {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        let request = http::Request::post(format!("http://test/{rpc}"))
            .header("authorization", format!("Bearer {token}"))
            .extension(PeerCertificate { names })
            .body(Named { id: id.to_owned(), ..Named::default() });
        self.serve(request.unwrap()).await
    }

    /// Sends a message with any headers.
    pub async fn send(&self, rpc: &str, headers: &[(&str, &str)], message: Named) -> Answer {
        let mut request = http::Request::post(format!("http://test/{rpc}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.serve(request.body(message).unwrap()).await
    }

    /// Sends a request as it is.
    pub async fn serve(&self, request: http::Request<Named>) -> Answer {
        let mut service = self.guard.layer().layer(service_fn(handle));
        let response = service.call(request).await.unwrap();
        match Status::from_header_map(response.headers()) {
            Some(status) => Err(Box::new(status)),
            None => Ok(response.into_body()),
        }
    }
}

impl Things {
    /// How often attributes were asked for.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolver for Things {
    fn resolve<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Attributes>, Fault>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let attributes = Attributes::owner(self.owner)
            .set("size", Value::Long(7))
            .set("tags", Value::StringSet(vec!["red".to_owned()]))
            .set("label", Value::String("a thing".to_owned()))
            .set("open", Value::Bool(true));
        Box::pin(async move {
            match id {
                "slow" => std::future::pending().await,
                "told" => Err(Fault::new(
                    countersign_types::Code::NotFound,
                    "THING_NOT_FOUND",
                    "there is no such thing",
                )),
                "missing" => Ok(None),
                "broken" => Err(Fault::new(
                    countersign_types::Code::Unavailable,
                    "STORE_AWAY",
                    "the store is away",
                )),
                _ => Ok(Some(attributes)),
            }
        })
    }
}

impl Validate for Named {
    fn validate_at(&self, path: &FieldPath<'_>, violations: &mut Vec<Violation>) {
        for (name, value) in [("id", &self.id), ("note", &self.note)] {
            if value.contains('!') {
                let field = path.field(name).to_string();
                violations.push(Violation::new(field, "string.pattern", "must not shout"));
            }
        }
    }
}

pub fn settings() -> Settings {
    Settings {
        issuer: "issuer".to_owned(),
        audience: "audience".to_owned(),
        environment: "test".to_owned(),
        ..Settings::default()
    }
}

pub fn signed(claims: &Claims) -> String {
    sign(&KEY, &Binding { environment: "test".to_owned() }, claims).unwrap()
}

/// Code and reason of a refusal.
pub fn refusal(answer: &Answer) -> (Code, String) {
    let status = answer.as_ref().unwrap_err();
    let reason = status.get_details_error_info().map(|info| info.reason);
    (status.code(), reason.unwrap_or_default())
}

/// Stands for what is generated for a service.
async fn handle(
    request: http::Request<Named>,
) -> Result<http::Response<String>, std::convert::Infallible> {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let request = Request::from_http(request);
    let answer = match path.as_str() {
        OPEN => enter_public(request).await.map(|call| format!("{:?}", call.peer)),
        COUNT | RECENT | FRAGILE => enter_service(request).await.and_then(answer),
        _ => enter(request, |message| message.id.as_str()).await.and_then(answer),
    };
    Ok(match answer {
        Ok(text) => http::Response::new(text),
        Err(status) => status.into_http(),
    })
}

fn answer(call: Call<Named>) -> Result<String, Status> {
    if call.caller.user_id() != call.permit.user_id() {
        return Err(status(Fault::internal()));
    }
    Ok(format!("{} by {}", call.permit.resource_id(), call.permit.policies().join(",")))
}
