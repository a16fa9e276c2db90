//! The guard decides over the policies indexed for an RPC, with no more of the
//! entities than those policies read. It has to decide like Cedar over all
//! policies and all entities.

use std::{
    collections::{BTreeSet, HashSet},
    str::FromStr,
    sync::LazyLock,
    time::Duration,
};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicyId, PolicySet, Request,
    RestrictedExpression, Schema, ValidationMode, Validator,
};
use countersign_guard::{Error, Guard};
use countersign_tokens::AuthMethods;
use countersign_types::UserId;
use proptest::{prelude::*, sample::select};

use crate::world::{COUNT, FRAGILE, GET, NOBODY, PURGE, RECENT, RULES, SCHEMA, World, settings};

/// Names in certificates: of none, of a host, of a host with one SPIFFE id or two.
const PEERS: [&[&str]; 5] = [
    &[],
    &["one.test"],
    &["one.test", "spiffe://test/one"],
    &["two.test", "spiffe://elsewhere/two"],
    &["two.test", "spiffe://test/one", "spiffe://test/two"],
];
pub const THING_RPCS: [&str; 3] = [GET, PURGE, NOBODY];
pub const SERVICE_RPCS: [&str; 3] = [COUNT, RECENT, FRAGILE];

static SCHEMA_OF_THINGS: LazyLock<Schema> =
    LazyLock::new(|| Schema::from_cedarschema_str(SCHEMA).unwrap().0);

/// A policy that the schema takes.
pub fn policy() -> impl Strategy<Value = String> {
    any_policy().prop_filter("a policy that can never apply is refused", |policy| {
        let set = PolicySet::from_str(policy).unwrap();
        let validator = Validator::new(SCHEMA_OF_THINGS.clone());
        let result = validator.validate_with_level(&set, ValidationMode::Strict, 1);
        result.validation_passed_without_warnings()
    })
}

fn any_policy() -> impl Strategy<Value = String> {
    let principal = select(vec!["principal", "principal in Role::\"admin\"", "principal is User"]);
    let effect = select(vec!["permit", "permit", "forbid"]);
    let about_all = select(vec![
        "principal.session_age < 30",
        "principal.session_age + principal.authentication_time > 9223372036854775000",
        "principal.authentication_time > 0",
        "principal.factors.contains(\"otp\")",
        "context.peer.names.contains(\"one.test\")",
        "context.peer has spiffe_id && context.peer.spiffe_id like \"spiffe://test/*\"",
        "principal in Role::\"auditor\"",
        "principal has session_age",
        "principal.tenant == \"default\"",
        "resource is Thing && resource.owner == principal",
        "resource is Thing && resource.open",
        "resource == Thing::\"lamp\"",
        "resource is Service",
        "true",
    ]);
    let about_things = select(vec![
        "resource.owner == principal",
        "resource.size > 5",
        "resource.size * 9223372036854775807 > 5",
        "resource.tags.contains(\"red\")",
        "resource.label like \"a*\"",
        "if principal in Role::\"admin\" then resource.open else false",
        "resource != Thing::\"lamp\"",
        "resource has size",
    ]);
    let scope = prop_oneof![
        (select(THING_RPCS.to_vec()), about_things).prop_map(|(rpc, condition)| {
            (format!("action == Action::\"{rpc}\", resource is Thing"), condition)
        }),
        (select(vec!["resource", "resource is Service"]), select(SERVICE_RPCS.to_vec())).prop_map(
            |(resource, rpc)| (format!("action == Action::\"{rpc}\", {resource}"), "true")
        ),
        about_all.clone().prop_map(|condition| ("action, resource".to_owned(), condition)),
        about_all
            .prop_map(|condition| ("action in Action::\"reads\", resource".to_owned(), condition)),
    ];
    (effect, principal, scope, any::<bool>()).prop_map(
        |(effect, principal, (scope, condition), unless)| {
            let word = if unless && effect == "forbid" { "unless" } else { "when" };
            format!("{effect} ({principal}, {scope}) {word} {{ {condition} }};")
        },
    )
}

/// What is known of a connection with these names, all of which are SPIFFE ids but
/// the first.
fn context(names: &[&str]) -> Context {
    let text = |name: &str| RestrictedExpression::new_string(name.to_owned());
    let set = RestrictedExpression::new_set(names.iter().map(|&name| text(name)));
    let mut peer = vec![("names".to_owned(), set)];
    if let [_, id] = names {
        peer.push(("spiffe_id".to_owned(), text(id)));
    }
    let peer = RestrictedExpression::new_record(peer).unwrap();
    Context::from_pairs([("peer".to_owned(), peer)]).unwrap()
}

/// What Cedar says over everything.
fn reference(
    policies: &str,
    world: &World,
    claims: &countersign_tokens::Claims,
    rpc: &str,
    id: &str,
    age: i64,
    names: &[&str],
) -> bool {
    let uid = |text: String| EntityUid::from_str(&text).unwrap();
    let user = uid(format!("User::\"{}\"", claims.subject));
    let roles: HashSet<_> =
        claims.roles.iter().map(|role| uid(format!("Role::\"{role}\""))).collect();
    let long = RestrictedExpression::new_long;
    let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let principal = Entity::new(
        user.clone(),
        [
            ("authentication_time".to_owned(), long(claims.auth_time.as_seconds())),
            ("session_age".to_owned(), long(age)),
            ("factors".to_owned(), RestrictedExpression::new_set(claims.methods.iter().map(text))),
            ("tenant".to_owned(), text("default")),
        ]
        .into(),
        roles,
    );
    let resource = if SERVICE_RPCS.contains(&rpc) {
        Entity::with_uid(uid("Service::\"test.v1.ThingService\"".to_owned()))
    } else {
        let owner = uid(format!("User::\"{}\"", world.things.owner));
        Entity::new(
            uid(format!("Thing::\"{id}\"")),
            [
                ("owner".to_owned(), RestrictedExpression::new_entity_uid(owner)),
                ("size".to_owned(), long(7)),
                ("tags".to_owned(), RestrictedExpression::new_set([text("red")])),
                ("label".to_owned(), text("a thing")),
                ("open".to_owned(), RestrictedExpression::new_bool(true)),
            ]
            .into(),
            HashSet::new(),
        )
        .unwrap()
    };
    let schema = &*SCHEMA_OF_THINGS;
    let entities =
        Entities::from_entities([principal.unwrap(), resource.clone()], Some(schema)).unwrap();
    let action = uid(format!("Action::\"{rpc}\""));
    let request = Request::new(user, action, resource.uid(), context(names), Some(schema)).unwrap();
    let policies = PolicySet::from_str(policies).unwrap();
    let response = Authorizer::new().is_authorized(&request, &policies, &entities);
    response.decision() == Decision::Allow && response.diagnostics().errors().next().is_none()
}

/// What Cedar has against a policy, over the whole schema.
fn faults(policy: &str) -> BTreeSet<String> {
    let set = PolicySet::from_str(policy).unwrap();
    let policies = set.policies().map(|policy| policy.new_id(PolicyId::new("p")));
    let set = PolicySet::from_policies(policies).unwrap();
    let validator = Validator::new(SCHEMA_OF_THINGS.clone());
    let result = validator.validate_with_level(&set, ValidationMode::Strict, 1);
    let errors: BTreeSet<_> = result.validation_errors().map(ToString::to_string).collect();
    match errors.is_empty() {
        true => result.validation_warnings().map(ToString::to_string).collect(),
        false => errors,
    }
}

proptest! {
    #![proptest_config(crate::fuzz::cases(96))]

    #[test]
    fn a_policy_is_refused_for_what_cedar_finds_over_the_whole_schema(
        policy in any_policy(),
        other in select(vec![GET, COUNT, "reads", "test.v1.ThingService/Removed"]),
        more in select(vec![
            "",
            "action == Action::\"RPC\"",
            "action in Action::\"RPC\"",
            "principal == User::\"x\"",
            "resource == Thing::\"x\"",
            "resource.owner.tenant == \"x\"",
            "principal.missing",
            "principal == resource",
            "Lamp::\"x\" == resource",
        ]),
    ) {
        let more = more.replace("RPC", other);
        let policy = match more.as_str() {
            "" => policy,
            more => policy.replace("};", &format!("}} when {{ {more} }};")),
        };
        let files = [("drawn.cedar", format!("@id(\"p\") {policy}"))];
        let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
        let built = Guard::builder(settings()).rules(RULES).policies(SCHEMA, &files).build();
        let found = match built {
            Ok(_) => BTreeSet::new(),
            Err(Error::Policies(problems)) => {
                problems.into_iter().map(|problem| problem.reason).collect()
            }
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        };
        prop_assert_eq!(found, faults(&policy), "{}", policy);
    }
}

proptest! {
    #![proptest_config(crate::fuzz::cases(96))]

    #[test]
    fn the_indexed_policies_decide_like_all_policies(
        policies in prop::collection::vec(policy(), 0..12),
        roles in prop::collection::vec(select(vec!["admin", "auditor", "user"]), 0..3),
        own: bool,
        otp: bool,
        id in select(vec!["lamp", "chair"]),
        age in 0..60_u64,
        names in select(PEERS.to_vec()),
    ) {
        let mut text = String::new();
        for (number, policy) in policies.iter().enumerate() {
            text.push_str(&format!("@id(\"p{number}\") {policy}\n"));
        }
        let mut world = World::default();
        let mut claims = world.claims();
        claims.roles = roles.into_iter().map(str::to_owned).collect();
        if otp {
            claims.methods = AuthMethods::new(["otp", "pwd"]).unwrap();
        }
        if !own {
            claims.subject = UserId::generate();
        }
        let (clock, hand) = countersign_types::Clock::manual(crate::world::START);
        let guard = Guard::builder(settings())
            .rules(RULES)
            .policies(SCHEMA, &[("drawn.cedar", &text)])
            .keys(world.ring.clone())
            .revocations(world.revocations.clone())
            .clock(clock)
            .build();
        world.guard = guard.unwrap().with_resolver("Thing", world.things.clone());
        hand.advance(Duration::from_secs(age));

        let token = crate::world::signed(&claims);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        for rpc in THING_RPCS.into_iter().chain(SERVICE_RPCS) {
            let expected = reference(&text, &world, &claims, rpc, id, age as i64, names);
            let decided = runtime.block_on(world.call_from(names, rpc, &token, id));
            if let Err(status) = &decided {
                prop_assert_eq!(status.code(), tonic::Code::PermissionDenied);
            }
            prop_assert_eq!(decided.is_ok(), expected, "{}: {}", rpc, text);
        }
    }
}
