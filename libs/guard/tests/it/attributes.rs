//! Attributes of accounts: what can be declared, and what policies see of it.

use countersign_guard::{AttributeKind, AttributeKinds, Error, Guard};
use countersign_tokens::{AccountAttributes, AttributeValue, Claims};

use crate::world::{COUNT, NOBODY, POLICIES, RULES, SCHEMA, World, settings, signed};

const DEPARTMENT: &str = r#"
@id("department")
permit (principal, action == Action::"test.v1.ThingService/CountThings", resource)
when {
    (principal has department && principal.department == "stores") ||
    (principal has sites && principal.sites.contains("graz")) ||
    principal.tenant == "acme"
};
"#;

fn declared() -> AttributeKinds {
    AttributeKinds::parse(["department:string", "sites: strings", "level:long"]).unwrap()
}

fn world() -> World {
    let further = |builder: countersign_guard::GuardBuilder| {
        builder.policies(SCHEMA, &[("department.cedar", DEPARTMENT)])
    };
    World::with_attributes(declared(), further)
}

fn with(name: &str, value: AttributeValue) -> AccountAttributes {
    let mut attributes = AccountAttributes::default();
    attributes.set(name, value);
    attributes
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::String(value.to_owned())
}

#[tokio::test]
async fn policies_read_what_is_declared_and_of_its_type() {
    let world = world();
    let sites = AttributeValue::StringSet(["bonn".to_owned(), "graz".to_owned()].into());
    for (attributes, permitted) in [
        (AccountAttributes::default(), false),
        (with("department", text("stores")), true),
        (with("department", text("sales")), false),
        (with("sites", sites), true),
        // Of another type than is declared: as if it were not there, and no error.
        (with("sites", text("graz")), false),
        (with("department", AttributeValue::Long(1)), false),
        (with("tenant", text("acme")), true),
        (with("tenant", text("default")), false),
    ] {
        let token = signed(&Claims { attributes: attributes.clone(), ..world.claims() });
        let answer = world.call(COUNT, &token, "").await;
        assert_eq!(answer.is_ok(), permitted, "{attributes:?}");
    }
}

#[tokio::test]
async fn a_token_that_names_a_tenant_that_cannot_be_one_is_of_none() {
    let world = world();
    for bad in [text("No Tenant"), AttributeValue::Bool(true)] {
        let mut attributes = with("department", text("stores"));
        attributes.set("tenant", bad);
        let token = signed(&Claims { attributes, ..world.claims() });
        assert!(world.call(COUNT, &token, "").await.is_err());
    }
}

#[tokio::test]
async fn no_attribute_takes_the_place_of_what_the_guard_says() {
    let world = world();
    let token = signed(&Claims { attributes: with("session_age", text("x")), ..world.claims() });
    assert!(world.call(NOBODY, &token, "lamp").await.is_err());
    assert!(world.call(crate::world::RECENT, &token, "").await.is_ok(), "its age is the guard's");
}

#[test]
fn a_guard_knows_which_attributes_its_policies_read() {
    let world = world();
    for (name, read) in
        [("department", true), ("sites", true), ("level", false), ("owner", false), ("size", false)]
    {
        assert_eq!(world.guard.reads_attribute(name), read, "{name}");
    }
    let kind = world.guard.declared_attributes().get("level");
    assert_eq!(kind, Some(AttributeKind::Long));
}

#[test]
fn a_policy_that_reads_what_is_not_declared_is_refused_and_one_that_does_not_ask_first() {
    let build = |attributes, policy: &str| {
        let settings = countersign_guard::Settings { attributes, ..settings() };
        let files = [("things.cedar", POLICIES), ("department.cedar", policy)];
        Guard::builder(settings).rules(RULES).policies(SCHEMA, &files).build()
    };
    assert!(build(declared(), DEPARTMENT).is_ok());
    let unasked = DEPARTMENT.replace("principal has department && ", "");
    for attributes in [AttributeKinds::default(), declared()] {
        assert!(matches!(build(attributes, &unasked), Err(Error::Policies(_))));
    }
    let wrong_type = DEPARTMENT.replace("== \"stores\"", "< 3");
    assert!(matches!(build(declared(), &wrong_type), Err(Error::Policies(_))));
}

#[test]
fn what_cannot_be_declared_is_refused_with_a_sentence() {
    let long = format!("{}:long", "a".repeat(33));
    for (declared, part) in [
        ("department", "name:type"),
        ("department:text", "no type"),
        ("Department:string", "can not be the name"),
        ("tenant:string", "can not be the name"),
        ("session_age:long", "can not be the name"),
        (long.as_str(), "can not be the name"),
    ] {
        let refused = AttributeKinds::parse([declared]).unwrap_err();
        assert!(refused.contains(part), "{declared}: {refused}");
    }
    assert!(AttributeKinds::parse(["a:long", "a:bool"]).unwrap_err().contains("twice"));
    let many: Vec<_> = (0..33).map(|n| format!("a{n}:long")).collect();
    assert!(AttributeKinds::parse(many.iter().map(String::as_str)).is_err());
}
