//! What holds is proved, and what is broken is shown with a request.

#![expect(clippy::unwrap_used, reason = "what stands around a test may panic like the test")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use countersign_prove::{Error, Finding, Property, Prover};
use tempfile::TempDir;

const SCHEMA: &str = r#"
entity Role;
entity User in [Role] { session_age: Long, factors: Set<String> };
entity Service;
entity Note { owner: User, size: Long };
action "acme.v1.Notes/Read" appliesTo { principal: [User], resource: [Note], context: {} };
action "acme.v1.Notes/Write" appliesTo { principal: [User], resource: [Note], context: {} };
action "acme.v1.Notes/Count" appliesTo { principal: [User], resource: [Service], context: {} };
"#;

const POLICIES: &str = r#"
@id("owner") permit (principal, action in [Action::"acme.v1.Notes/Read", Action::"acme.v1.Notes/Write"], resource is Note)
when { resource.owner == principal };
@id("support-reads") permit (principal in Role::"support", action == Action::"acme.v1.Notes/Read", resource is Note);
@id("fresh-counts") permit (principal, action == Action::"acme.v1.Notes/Count", resource is Service)
when { principal.session_age < 60 };
"#;

const READERS: &str = r#"
name = "owners and support read"
claim = "at_most"
rpcs = ["acme.v1.Notes/Read"]
policies = '''
permit (principal, action, resource) when { resource.owner == principal };
permit (principal in Role::"support", action, resource);
'''
"#;

/// A folder of policies and one of properties.
struct Place(TempDir);

impl Place {
    fn new(policies: &str, property: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        for (file, text) in
            [("schema", SCHEMA), ("policies/my.cedar", policies), ("properties/my.toml", property)]
        {
            let file = place.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        Self(place)
    }

    async fn prove(&self) -> Result<Vec<Finding>, Error> {
        let at = |name: &str| self.0.path().join(name);
        let properties = Property::read_all(&at("properties"))?;
        let mut prover = Prover::new(&at("schema"), &[at("policies")])?;
        prover.prove(&properties[0]).await
    }

    /// The RPCs on which the property is broken, each with its request.
    async fn broken(&self) -> Vec<(String, String)> {
        let findings = self.prove().await.unwrap();
        assert!(!findings.is_empty());
        findings.into_iter().filter_map(|found| Some((found.rpc, found.counterexample?))).collect()
    }
}

#[tokio::test]
async fn what_holds_is_proved() {
    for property in [
        READERS,
        "name = 'x'\nclaim = 'never_errs'",
        "name = 'x'\nclaim = 'not_always_allowed'",
        "name = 'x'\nclaim = 'at_least'\nrpcs = ['acme.v1.Notes/Write']\npolicies = 'permit (principal, action, resource) when { resource.owner == principal };'",
        "name = 'x'\nclaim = 'never'\nrpcs = ['acme.v1.Notes/Count']\npolicies = 'permit (principal, action, resource) when { principal.session_age > 60 };'",
    ] {
        assert_eq!(Place::new(POLICIES, property).broken().await, [], "{property}");
    }
}

#[tokio::test]
async fn a_hole_is_shown_with_the_request_that_goes_through() {
    let hole = r#"@id("hole") permit (principal, action == Action::"acme.v1.Notes/Read", resource is Note) when { resource.size > 4242 };"#;
    let broken = Place::new(&[POLICIES, hole].concat(), READERS).broken().await;
    let [(rpc, request)] = broken.as_slice() else { unreachable!("{broken:?}") };
    assert_eq!(rpc, "acme.v1.Notes/Read");
    assert!(request.contains("principal User::") && request.contains("\"size\":"), "{request}");
    let size = request.split("\"size\":").nth(1).unwrap();
    let size: i64 = size.split([',', '}']).next().unwrap().parse().unwrap();
    assert!(size > 4242, "the request is one that goes through: {request}");
}

#[tokio::test]
async fn a_policy_that_can_err_is_named() {
    let fragile = r#"@id("fragile") forbid (principal, action == Action::"acme.v1.Notes/Read", resource is Note) when { resource.size * 2 > 5 };"#;
    let property = "name = 'x'\nclaim = 'never_errs'";
    let broken = Place::new(&[POLICIES, fragile].concat(), property).broken().await;
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert!(broken[0].1.starts_with("fragile fails on"), "{broken:?}");
}

#[tokio::test]
async fn an_rpc_that_is_open_is_named() {
    let open =
        r#"@id("open") permit (principal, action == Action::"acme.v1.Notes/Count", resource);"#;
    let property = "name = 'x'\nclaim = 'not_always_allowed'";
    let broken = Place::new(&[POLICIES, open].concat(), property).broken().await;
    assert_eq!(broken, [("acme.v1.Notes/Count".to_owned(), "every request is allowed".to_owned())]);
    let except = format!("{property}\nexcept = ['acme.v1.Notes/Count']");
    assert_eq!(Place::new(&[POLICIES, open].concat(), &except).broken().await, []);
}

#[tokio::test]
async fn a_property_that_does_not_fit_is_refused() {
    for (property, reason) in [
        ("name = 'x'\nclaim = 'never_errs'\nrpcs = ['acme.v1.Notes/Gone']", "Notes/Gone"),
        ("name = 'x'\nclaim = 'at_most'", "needs `policies`"),
        ("name = 'x'\nclaim = 'never_errs'\npolicies = 'x'", "takes no `policies`"),
        ("name = 'x'\nclaim = 'at_most'\npolicies = 'permit'", "my.toml"),
        (
            "name = 'x'\nclaim = 'at_most'\npolicies = 'permit (principal, action, resource) when { resource.colour == 1 };'",
            "do not fit",
        ),
    ] {
        let refused = Place::new(POLICIES, property).prove().await.unwrap_err().to_string();
        assert!(refused.contains(reason), "{refused}");
    }
}

/// What is shipped, with one more hole in it.
#[tokio::test]
async fn the_shipped_properties_notice_a_hole_in_the_shipped_policies() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../proto/policies");
    let schema = PathBuf::from(std::env::var("COUNTERSIGN_SCHEMA").unwrap());
    let hole = tempfile::tempdir().unwrap();
    let text = r#"@id("hole") permit (principal in Role::"intern", action, resource is Profile);"#;
    fs::write(hole.path().join("hole.cedar"), text).unwrap();
    let properties = Property::read_all(&shipped.join("properties")).unwrap();
    let mut sound = Prover::new(&schema, &[&shipped]).unwrap();
    let mut holed = Prover::new(&schema, &[&shipped, hole.path()]).unwrap();
    let mut noticed = Vec::new();
    for property in &properties {
        let broken = |findings: Vec<Finding>| {
            findings.into_iter().filter(|found| found.counterexample.is_some()).count()
        };
        assert_eq!(broken(sound.prove(property).await.unwrap()), 0, "{}", property.name);
        if broken(holed.prove(property).await.unwrap()) > 0 {
            noticed.push(property.name.clone());
        }
    }
    assert_eq!(noticed.len(), 2, "readers and writers: {noticed:?}");
}

/// What is proved of another version of Cedar says nothing about the guard's.
#[test]
fn the_guard_has_the_same_version_of_cedar() {
    let version = |lock: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(lock);
        let lock: toml::Table = fs::read_to_string(path).unwrap().parse().unwrap();
        let packages = lock["package"].as_array().unwrap();
        let cedar =
            packages.iter().find(|package| package["name"].as_str() == Some("cedar-policy"));
        cedar.unwrap()["version"].as_str().unwrap().to_owned()
    };
    assert_eq!(version("Cargo.lock"), version("../../../Cargo.lock"));
}
