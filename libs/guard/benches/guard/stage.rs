//! A guard with any number of policies, and somebody whom it lets in.

use std::{fmt::Write as _, sync::LazyLock, time::Duration};

use countersign_guard::{Access, Guard, GuardBuilder, OwnedById, Revocations, Rule, Settings};
use countersign_tokens::{
    AccountAttributes, AuthMethods, Binding, Claims, KeyRing, Purpose, SigningKey, sign,
};
use countersign_types::{Clock, FieldPath, SessionId, Timestamp, UserId, Validate, Violation};

pub const ANYBODY: &str = "bench.v1.BenchService/Anybody";
pub const ADMINS: &str = "bench.v1.BenchService/Admins";
pub const OWNED: &str = "bench.v1.BenchService/Owned";
pub const AGED: &str = "bench.v1.BenchService/Aged";

const MEASURED: [(&str, &str); 4] = [
    (ANYBODY, "permit (principal, action == Action::\"RPC\", resource is Thing);"),
    (
        ADMINS,
        "permit (principal in Role::\"admin\", action == Action::\"RPC\", resource is Thing);",
    ),
    (
        OWNED,
        "permit (principal, action == Action::\"RPC\", resource is Thing)
         when { resource.owner == principal };",
    ),
    (
        AGED,
        "permit (principal, action == Action::\"RPC\", resource is Thing)
         when { resource.owner == principal && principal.session_age < 3600 };",
    ),
];

/// Policies of one of the RPCs that are not called.
const POLICIES_PER_RPC: usize = 10;

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());

/// A message as it is generated, with one rule.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Get {
    #[prost(string, tag = "1")]
    pub id: String,
}

pub struct Stage {
    pub guard: Guard,
    pub ring: KeyRing,
    pub binding: Binding,
    pub owner: UserId,
    builder: Box<dyn Fn(Settings) -> GuardBuilder>,
}

impl Validate for Get {
    fn validate_at(&self, path: &FieldPath<'_>, violations: &mut Vec<Violation>) {
        if self.id.len() != 36 {
            let field = path.field("id").to_string();
            violations.push(Violation::new(field, "string.len", "must have 36 characters"));
        }
    }
}

impl Stage {
    /// A guard with so many policies, four of which are about what is measured.
    pub fn new(count: usize) -> Self {
        let ring = KeyRing::default();
        ring.replace(vec![KEY.verification_key()]);
        let text = policies(count);
        let keys = ring.clone();
        let builder = move |settings: Settings| {
            let revocations = Revocations::default();
            revocations.mark_ready();
            with(settings, &text, count).keys(keys.clone()).revocations(revocations)
        };
        let guard = builder(settings()).build().unwrap().with_resolver("Thing", OwnedById);
        let binding = Binding { environment: "bench".to_owned() };
        Self { guard, ring, binding, owner: UserId::generate(), builder: Box::new(builder) }
    }

    /// The same guard, but that it remembers no token.
    pub fn forgetful(&self) -> Guard {
        (self.builder)(Settings { cache_capacity: 0, ..settings() }).build().unwrap()
    }

    pub fn claims(&self) -> Claims {
        let now = Clock::system().now();
        let now = Timestamp::from_seconds(now.as_seconds());
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
            auth_time: now,
            methods: AuthMethods::default(),
            roles: vec!["admin".to_owned(), "user".to_owned()],
            attributes: AccountAttributes::default(),
            purpose: Purpose::Access,
        }
    }

    pub fn token(&self, claims: &Claims) -> String {
        sign(&KEY, &self.binding, claims).unwrap()
    }
}

pub fn builder(policies: &str, count: usize) -> GuardBuilder {
    with(settings(), policies, count)
}

/// So many policies.
pub fn policies(count: usize) -> String {
    let mut text = String::new();
    for (number, (rpc, policy)) in MEASURED.iter().enumerate() {
        let _ = writeln!(text, "@id(\"measured-{number}\") {}", policy.replace("RPC", rpc));
    }
    for number in MEASURED.len()..count {
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

fn other(number: usize) -> String {
    format!("bench.v1.OtherService/Rpc{number}")
}

fn with(settings: Settings, policies: &str, count: usize) -> GuardBuilder {
    let mut schema = "entity Role;
        entity User in [Role] { authentication_time: Long, session_age: Long, factors: Set<String>, tenant: String };
        entity Service;
        entity Thing { owner: User };\n"
        .to_owned();
    let others = (0..=count / POLICIES_PER_RPC).map(other);
    for rpc in MEASURED.iter().map(|(rpc, _)| (*rpc).to_owned()).chain(others) {
        let _ = writeln!(
            schema,
            "action {rpc:?} appliesTo {{ principal: [User], resource: [Thing], context: {{}} }};"
        );
    }
    let rules = MEASURED.map(|(rpc, _)| Rule::new(rpc, Access::Policy { resource: "Thing" }));
    Guard::builder(settings).rules(&rules).policies(&schema, &[("bench.cedar", policies)])
}

fn settings() -> Settings {
    Settings {
        issuer: "bench".to_owned(),
        audience: "bench".to_owned(),
        environment: "bench".to_owned(),
        ..Settings::default()
    }
}
