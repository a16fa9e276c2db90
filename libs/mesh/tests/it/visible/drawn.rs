//! Policies, things and people as chance draws them.

use proptest::{prelude::*, sample::select};
use sea_orm::prelude::Uuid;

use super::{LABELS, Person, Thing};

fn condition() -> impl Strategy<Value = String> {
    let first = Uuid::from_u128(1);
    let leaves = vec![
        "resource.owner == principal".to_owned(),
        "principal != resource.owner".to_owned(),
        "resource.tenant == principal.tenant".to_owned(),
        "resource.size < 5".to_owned(),
        "5 < resource.size".to_owned(),
        "3 <= resource.size".to_owned(),
        "resource.size > 2".to_owned(),
        "resource.size >= principal.session_age".to_owned(),
        "principal.session_age < 4".to_owned(),
        "resource.open".to_owned(),
        "resource.label == \"it's %_\\\\ \\\"ünder\\\"\"".to_owned(),
        "[\"red\", \"blue\"].contains(resource.label)".to_owned(),
        "principal in Role::\"admin\"".to_owned(),
        "principal is User && principal in Role::\"auditor\"".to_owned(),
        "principal has sites && principal.sites.contains(resource.label)".to_owned(),
        "principal has level && principal.level > resource.size".to_owned(),
        "principal has department && resource.label == principal.department".to_owned(),
        "context.peer.names.contains(\"one.test\")".to_owned(),
        "context.peer.names.contains(resource.label)".to_owned(),
        "context.peer has spiffe_id && context.peer.spiffe_id == \"spiffe://one\"".to_owned(),
        "context.peer has spiffe_id && resource.label != context.peer.spiffe_id".to_owned(),
        format!("resource == Thing::\"{first}\""),
        format!("resource != Thing::\"{first}\""),
        format!("principal == User::\"{first}\""),
        format!("resource.owner == User::\"{first}\""),
        "if resource.open then principal in Role::\"auditor\" else resource.size == 7".to_owned(),
    ];
    select(leaves).prop_recursive(3, 8, 2, |inner| {
        let pair = (inner.clone(), inner.clone());
        prop_oneof![
            pair.clone().prop_map(|(one, two)| format!("({one}) && ({two})")),
            pair.prop_map(|(one, two)| format!("({one}) || ({two})")),
            inner.prop_map(|one| format!("!({one})")),
        ]
    })
}

pub(super) fn policy() -> impl Strategy<Value = String> {
    let first = Uuid::from_u128(1);
    let effect = select(vec!["permit", "permit", "permit", "forbid"]);
    let who = select(vec![
        "principal".to_owned(),
        "principal is User".to_owned(),
        "principal in Role::\"admin\"".to_owned(),
        "principal is User in Role::\"auditor\"".to_owned(),
        format!("principal == User::\"{first}\""),
    ]);
    let what = select(vec![
        "resource".to_owned(),
        "resource is Thing".to_owned(),
        format!("resource == Thing::\"{first}\""),
    ]);
    (effect, who, what, condition(), any::<bool>()).prop_map(
        |(effect, who, what, condition, unless)| {
            let word = if unless { "unless" } else { "when" };
            format!("{effect} ({who}, action, {what}) {word} {{ {condition} }};")
        },
    )
}

pub(super) fn thing() -> impl Strategy<Value = Thing> {
    (1..4_u128, select(vec!["default", "acme"]), 0..9_i64, select(LABELS.to_vec()), any::<bool>())
        .prop_map(|(owner, tenant, size, label, open)| Thing { owner, tenant, size, label, open })
}

pub(super) fn person() -> impl Strategy<Value = Person> {
    let label = || select(LABELS.to_vec());
    (
        1..4_u128,
        prop::collection::vec(select(vec!["admin", "auditor"]), 0..2),
        select(vec!["default", "acme"]),
        prop::option::of(label()),
        prop::option::of(0..9_i64),
        prop::option::of(prop::collection::vec(label(), 0..3)),
        0..9_u64,
        select(vec![vec![], vec!["one.test", "red"], vec!["spiffe://one"], vec!["spiffe://two"]]),
    )
        .prop_map(|(id, roles, tenant, department, level, sites, age, names)| Person {
            id,
            roles,
            tenant,
            department,
            level,
            sites,
            age,
            names,
        })
}
