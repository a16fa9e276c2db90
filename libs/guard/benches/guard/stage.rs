//! A guard with any number of policies, and people whom it lets in.

use std::{fmt::Write as _, sync::LazyLock, time::Duration};

use countersign_guard::{
    Access, Attributes, Guard, GuardBuilder, Resolver, Revocations, Rule, Settings, Value,
};
use countersign_tokens::{
    AccountAttributes, AuthMethods, Binding, Claims, KeyRing, Purpose, SigningKey, sign,
};
use countersign_types::{
    Clock, Fault, FieldPath, SessionId, Timestamp, UserId, Validate, Violation,
};
use futures::future::BoxFuture;

pub const OPEN: &str = "bench.v1.BenchService/Open";
pub const ANYBODY: &str = "bench.v1.BenchService/Anybody";
pub const ADMINS: &str = "bench.v1.BenchService/Admins";
pub const OWNED: &str = "bench.v1.BenchService/Owned";
pub const TENANT: &str = "bench.v1.BenchService/Tenant";
pub const AGED: &str = "bench.v1.BenchService/Aged";
pub const FRESH: &str = "bench.v1.BenchService/Fresh";
pub const LISTED: &str = "bench.v1.BenchService/Listed";

const RULES: [Rule; 8] = [
    Rule::new(OPEN, Access::Public),
    Rule::new(ANYBODY, Access::Policy { resource: "Thing" }),
    Rule::new(ADMINS, Access::Policy { resource: "Thing" }),
    Rule::new(OWNED, Access::Policy { resource: "Thing" }),
    Rule::new(TENANT, Access::Policy { resource: "Thing" }),
    Rule::new(AGED, Access::Policy { resource: "Thing" }),
    Rule::new(FRESH, Access::Policy { resource: "Thing" }),
    Rule::new(LISTED, Access::List { resource: "Thing" }),
];

/// The policies of what is measured. Those of `Tenant` and `Listed` are the
/// shipped ones of a profile: its owner, administrators, and the tenant's border.
const MEASURED: &str = r#"
@id("anybody") permit (principal, action == Action::"bench.v1.BenchService/Anybody", resource is Thing);
@id("admins") permit (principal in Role::"admin", action == Action::"bench.v1.BenchService/Admins", resource is Thing);
@id("owned") permit (principal, action == Action::"bench.v1.BenchService/Owned", resource is Thing)
when { resource.owner == principal };
@id("tenant-owner") permit (principal, action in [Action::"bench.v1.BenchService/Tenant", Action::"bench.v1.BenchService/Listed"], resource is Thing)
when { resource.owner == principal };
@id("tenant-admin") permit (principal in Role::"admin", action in [Action::"bench.v1.BenchService/Tenant", Action::"bench.v1.BenchService/Listed"], resource is Thing);
@id("tenant") forbid (principal, action in [Action::"bench.v1.BenchService/Tenant", Action::"bench.v1.BenchService/Listed"], resource is Thing)
unless { principal.tenant == resource.tenant };
@id("aged") permit (principal, action == Action::"bench.v1.BenchService/Aged", resource is Thing)
when { resource.owner == principal && principal.session_age < 36000 };
@id("fresh-owner") permit (principal, action == Action::"bench.v1.BenchService/Fresh", resource is Thing)
when { resource.owner == principal };
@id("fresh") @step_up("authentication_age<60") forbid (principal, action == Action::"bench.v1.BenchService/Fresh", resource is Thing)
unless { principal.session_age < 60 };
"#;
const MEASURED_COUNT: usize = 9;

/// Policies of one of the RPCs that are not called.
const POLICIES_PER_RPC: usize = 10;

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());

/// A message as it is generated, with one rule.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Get {
    #[prost(string, tag = "1")]
    pub id: String,
}

/// Answers from memory: whatever is asked for is one person's, in one tenant.
pub struct Owned(pub UserId);

pub struct Stage {
    pub guard: Guard,
    pub owner: UserId,
    pub paserk: String,
    builder: Box<dyn Fn(Settings) -> GuardBuilder>,
}

impl Validate for Get {
    fn validate_at(&self, path: &FieldPath<'_>, violations: &mut Vec<Violation>) {
        if self.id.parse::<UserId>().is_err() {
            let field = path.field("id").to_string();
            violations.push(Violation::new(field, "string.uuid", "must be a UUID"));
        }
    }
}

impl Resolver for Owned {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Attributes>, Fault>> {
        let tenant = Value::String("default".to_owned());
        let attributes = Attributes::owner(self.0).set("tenant", tenant);
        Box::pin(async move { Ok(Some(attributes)) })
    }
}

impl Stage {
    /// A guard with so many policies, some of which are about what is measured.
    pub fn new(count: usize) -> Self {
        let ring = KeyRing::default();
        ring.replace(vec![KEY.verification_key()]);
        let text = policies(count);
        let make = move |settings: Settings| {
            let revocations = Revocations::default();
            revocations.mark_ready();
            builder(settings, &text, count).keys(ring.clone()).revocations(revocations)
        };
        let owner = UserId::generate();
        let guard = make(settings()).build().unwrap().with_resolver("Thing", Owned(owner));
        let paserk = KEY.verification_key().paserk();
        Self { guard, owner, paserk, builder: Box::new(make) }
    }

    /// The same guard, but that it remembers no token.
    pub fn forgetful(&self) -> Guard {
        (self.builder)(Settings { cache_capacity: 0, ..settings() }).build().unwrap()
    }

    /// What a token of the owner says, in a session that is some minutes old.
    pub fn claims(&self) -> Claims {
        let now = Timestamp::from_seconds(Clock::system().now().as_seconds());
        Claims {
            issuer: "bench".to_owned(),
            subject: self.owner,
            audience: "bench".to_owned(),
            issued_at: now,
            not_before: now,
            expires_at: now.plus(Duration::from_secs(3600)),
            token_id: UserId::generate().to_string(),
            session: SessionId::generate(),
            session_epoch: 1,
            account_epoch: 1,
            auth_time: now.minus(Duration::from_secs(600)),
            methods: AuthMethods::default(),
            roles: vec!["admin".to_owned(), "user".to_owned()],
            attributes: AccountAttributes::default(),
            purpose: Purpose::Access,
        }
    }

    /// What stands in the `authorization` metadata of a call; each is a token of its own.
    pub fn bearer(&self) -> String {
        format!("Bearer {}", sign(&KEY, &binding(), &self.claims()).unwrap())
    }
}

pub fn binding() -> Binding {
    Binding { environment: "bench".to_owned() }
}

pub fn settings() -> Settings {
    Settings {
        issuer: "bench".to_owned(),
        audience: "bench".to_owned(),
        environment: "bench".to_owned(),
        ..Settings::default()
    }
}

/// So many policies.
pub fn policies(count: usize) -> String {
    let mut text = MEASURED.to_owned();
    for number in MEASURED_COUNT..count {
        let rpc = other(number / POLICIES_PER_RPC);
        let _ = writeln!(
            text,
            "@id(\"other-{number}\")
             permit (principal, action == Action::\"{rpc}\", resource is Thing)
             when {{ resource.owner == principal && principal.authentication_time > {number} }};"
        );
    }
    text
}

/// A guard over these policies, of which there are so many.
pub fn builder(settings: Settings, policies: &str, count: usize) -> GuardBuilder {
    let mut schema = "entity Role;
        entity User in [Role] { authentication_time: Long, session_age: Long, factors: Set<String>, tenant: String };
        entity Service;
        entity Thing { owner: User, tenant: String };\n"
        .to_owned();
    let others = (0..=count / POLICIES_PER_RPC).map(other);
    for rpc in RULES.iter().map(|rule| rule.rpc.to_owned()).chain(others) {
        let _ = writeln!(
            schema,
            "action {rpc:?} appliesTo {{ principal: [User], resource: [Thing], context: {{}} }};"
        );
    }
    Guard::builder(settings).rules(&RULES).policies(&schema, &[("bench.cedar", policies)])
}

fn other(number: usize) -> String {
    format!("bench.v1.OtherService/Rpc{number}")
}
