//! The arrows of the house run downwards only, and what is dangerous has one owner.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

/// Each package, and all of ours that it may name as a dependency.
const ARROWS: &[(&str, &[&str])] = &[
    ("countersign-types", &[]),
    ("countersign-codegen", &[]),
    ("countersign-tokens", &["types"]),
    ("countersign-seal", &["types"]),
    ("countersign-guard", &["types", "tokens"]),
    ("countersign-contracts", &["types", "guard", "codegen"]),
    // Somebody else's contracts, as the tests of the generator see them.
    ("countersign-codegen-fixture", &["types", "guard", "codegen"]),
    ("countersign-events", &["types"]),
    // What any service may use whose guard is away from the auth service.
    ("countersign-feed", &["contracts", "events", "guard", "tokens", "types"]),
    // Somebody else's service, as the guide of the guard builds it.
    ("notes", &["codegen", "events", "feed", "guard", "types"]),
    ("countersign-audit", &["contracts", "events", "guard", "mesh", "seal", "tokens", "types"]),
    ("countersign-vault", &["events", "seal", "types"]),
    // The contracts by HTTP, for any service: it reads them, and decides nothing.
    ("countersign-gateway", &["guard", "types"]),
    ("countersign-mesh", &["contracts", "gateway", "guard", "types"]),
    ("countersign-auth", SERVICE),
    ("countersign-user", SERVICE),
    (
        "countersign",
        &[
            "auth",
            "user",
            "audit",
            "contracts",
            "events",
            "feed",
            "guard",
            "mesh",
            "seal",
            "tokens",
            "types",
            "vault",
        ],
    ),
];

const SERVICE: &[&str] =
    &["audit", "contracts", "events", "guard", "mesh", "seal", "tokens", "types", "vault"];

/// Crates of others that only these packages may name.
const OWNERS: &[(&str, &[&str])] = &[
    // The benchmark of the guard holds it against pasetors alone.
    ("pasetors", &["countersign-tokens", "countersign-guard"]),
    // The code generator checks the policies at build time, the guard at run time.
    ("cedar-policy", &["countersign-guard", "countersign-codegen"]),
    ("aes-gcm", &["countersign-seal"]),
    ("argon2", &["countersign-auth"]),
    ("async-nats", &["countersign-events"]),
    ("tonic-web", &["countersign-gateway"]),
    ("tower-http", &["countersign-gateway"]),
    ("rustls", &["countersign-mesh"]),
    ("rustls-native-certs", &["countersign-mesh"]),
    ("x509-cert", &["countersign-mesh"]),
];

struct Arrow {
    from: String,
    to: String,
    kind: Option<String>,
}

fn arrows() -> (BTreeSet<String>, Vec<Arrow>) {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version=1", "--offline"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let arrows = packages.iter().flat_map(|package| {
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        dependencies.map(|dependency| Arrow {
            from: name(package),
            to: name(dependency),
            kind: dependency["kind"].as_str().map(str::to_owned),
        })
    });
    (packages.iter().map(name).collect(), arrows.collect())
}

fn short(package: &str) -> &str {
    package.strip_prefix("countersign-").unwrap_or(package)
}

#[test]
fn every_package_has_its_place_in_the_house() {
    let (packages, _) = arrows();
    let placed: BTreeSet<_> = ARROWS.iter().map(|(package, _)| (*package).to_owned()).collect();
    let unplaced: Vec<_> =
        packages.difference(&placed).filter(|package| *package != "countersign-tests").collect();
    assert!(unplaced.is_empty(), "packages without a row in ARROWS: {unplaced:?}");
}

#[test]
fn arrows_run_downwards_only() {
    let (packages, arrows) = arrows();
    for Arrow { from, to, kind } in &arrows {
        if !packages.contains(to) || from == "countersign-tests" || kind.as_deref() == Some("dev") {
            continue;
        }
        let (_, allowed) = ARROWS.iter().find(|(package, _)| package == from).expect("a row");
        assert!(allowed.contains(&short(to)), "{from} must not depend on {to}");
    }
}

#[test]
fn the_contracts_need_the_guard_only_to_serve_and_the_generator_only_to_build() {
    let (_, arrows) = arrows();
    let kind = |to: &str| {
        let arrow = arrows.iter().find(|a| a.from == "countersign-contracts" && a.to == to);
        arrow.expect("the arrow exists").kind.clone()
    };
    assert_eq!(kind("countersign-codegen").as_deref(), Some("build"));
    assert_eq!(kind("countersign-guard"), None);
}

#[test]
fn the_guard_names_pasetors_only_to_measure() {
    let (_, arrows) = arrows();
    let mut named = arrows.iter().filter(|a| a.from == "countersign-guard" && a.to == "pasetors");
    assert!(named.all(|arrow| arrow.kind.as_deref() == Some("dev")));
}

#[test]
fn what_is_dangerous_has_one_owner() {
    let (_, arrows) = arrows();
    for (dependency, owners) in OWNERS {
        let users: BTreeSet<_> = arrows
            .iter()
            .filter(|arrow| arrow.to == *dependency)
            .map(|arrow| arrow.from.as_str())
            .collect();
        assert_eq!(users, owners.iter().copied().collect(), "who names {dependency}");
    }
}
