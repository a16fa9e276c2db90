//! Policies asked, explained and compared away from a guard.

use countersign_guard::policies::{Comparison, Desk, Outcome, Party, PolicyFile, Question};
use serde_json::{Value, json};

use crate::world::{COUNT, FRAGILE, GET, POLICIES, PURGE, RECENT, SCHEMA};

fn desk(text: &str) -> Desk {
    Desk::open(SCHEMA, &[PolicyFile::new("my.cedar", text)]).unwrap()
}

fn party(id: &str, roles: &[&str], attributes: Value) -> Party {
    let Value::Object(attributes) = attributes else { unreachable!("attributes are an object") };
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    Party { id: id.to_owned(), roles, attributes }
}

fn thing(owner: &str) -> Party {
    let attributes =
        json!({ "owner": owner, "size": 7, "tags": ["red"], "label": "lamp", "open": true });
    party("lamp", &[], attributes)
}

fn question(rpc: &str, principal: Party, resource: Party) -> Question {
    Question { rpc: rpc.to_owned(), principal, resource, peer: Vec::new() }
}

fn ada(roles: &[&str]) -> Party {
    party("ada", roles, json!({}))
}

/// What each policy says, in short.
fn said(policies: &str, question: &Question) -> Vec<(String, String)> {
    let explained = desk(policies).explain(question).unwrap();
    let short = |outcome| match outcome {
        Outcome::Applies => "applies".to_owned(),
        Outcome::Misses(part) => part,
        Outcome::Fails(reason) => format!("fails: {reason}"),
    };
    explained.policies.into_iter().map(|verdict| (verdict.id, short(verdict.outcome))).collect()
}

#[test]
fn a_desk_answers_like_a_guard() {
    let desk = desk(POLICIES);
    for (rpc, principal, resource, expected) in [
        (GET, ada(&[]), thing("ada"), (true, vec!["thing-owner"])),
        ("GetThing", ada(&[]), thing("bob"), (false, vec![])),
        (PURGE, ada(&["admin"]), thing("bob"), (true, vec!["thing-admin"])),
        (COUNT, ada(&["auditor"]), Party::default(), (true, vec!["auditor-reads"])),
        (RECENT, ada(&[]), Party::default(), (true, vec!["fresh"])),
        (
            RECENT,
            party("ada", &[], json!({ "session_age": 60 })),
            Party::default(),
            (false, vec![]),
        ),
    ] {
        let answer = desk.answer(&question(rpc, principal, resource)).unwrap();
        assert_eq!((answer.allowed, answer.policies), (expected.0, strings(&expected.1)), "{rpc}");
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn who_is_at_the_other_end_can_be_asked_about_and_compared() {
    let permit = |id: &str| {
        format!(
            "@id(\"from\") permit (principal, action == Action::\"{COUNT}\", resource) when \
             {{ context.peer has spiffe_id && context.peer.spiffe_id == \"spiffe://{id}\" }};"
        )
    };
    let (one, two) = (desk(&permit("one")), desk(&permit("two")));
    let asked = question(COUNT, ada(&[]), Party::default());
    let from = |name: &str| Question { peer: vec![name.to_owned()], ..asked.clone() };
    assert!(one.answer(&from("spiffe://one")).unwrap().allowed);
    assert!(!one.answer(&from("spiffe://two")).unwrap().allowed);
    assert!(!one.answer(&asked).unwrap().allowed);
    let found = one.compare(&two, 1000).unwrap().differences;
    let peers: Vec<_> = found.iter().map(|found| found.question.peer.join(" ")).collect();
    assert_eq!(peers, ["spiffe://one", "spiffe://two"]);
}

#[test]
fn a_policy_that_errs_denies_and_is_named() {
    let late = party("ada", &[], json!({ "authentication_time": 1 }));
    let answer = desk(POLICIES).answer(&question(FRAGILE, late, Party::default())).unwrap();
    assert!(!answer.allowed);
    assert_eq!(answer.errors[0].0, "fragile-forbid");
    assert!(answer.errors[0].1.contains("overflow"), "{:?}", answer.errors);
}

#[test]
fn what_a_policy_lacks_is_told_part_by_part() {
    let policies = r#"
        @id("a") permit (principal in Role::"admin", action == Action::"test.v1.ThingService/GetThing", resource);
        @id("b") permit (principal, action == Action::"test.v1.ThingService/GetThing", resource == Thing::"chair");
        @id("c") permit (principal, action == Action::"test.v1.ThingService/GetThing", resource)
        when { resource.open && resource.owner == principal && resource.size > 5 };
        @id("d") forbid (principal, action == Action::"test.v1.ThingService/GetThing", resource)
        unless { resource.open };
        @id("e") permit (principal, action == Action::"test.v1.ThingService/GetThing", resource)
        when { resource.size * 9223372036854775807 > 5 };
        @id("f") permit (principal, action == Action::"test.v1.ThingService/PurgeThing", resource);
    "#;
    let said = said(policies, &question(GET, ada(&[]), thing("bob")));
    let expected = [
        ("a", "principal in Role::\"admin\""),
        ("b", "resource == Thing::\"chair\""),
        ("d", "unless "),
        ("e", "fails: "),
    ];
    for (id, part) in expected {
        let (_, outcome) = said.iter().find(|(of, _)| of == id).unwrap();
        assert!(outcome.starts_with(part), "{id}: {outcome}");
    }
    let (_, conjunct) = &said[2];
    assert!(conjunct.contains("owner") && !conjunct.contains("size"), "{conjunct}");
    assert_eq!(said.len(), 5, "a policy of another RPC has nothing to say: {said:?}");
    let applies = self::said(policies, &question(GET, ada(&["admin"]), thing("ada")));
    assert_eq!(applies[0].1, "applies");
}

#[test]
fn a_question_that_the_schema_does_not_know_is_refused_with_the_reason() {
    let small = |attributes| party("lamp", &[], attributes);
    for (question, reason) in [
        (question("Thing", ada(&[]), thing("ada")), "no RPC \"Thing\""),
        (question(GET, party("", &[], json!({})), thing("ada")), "caller has no id"),
        (question(GET, ada(&[]), small(json!({}))), "needs the attribute `label`"),
        (question(GET, party("ada", &[], json!({ "age": 1 })), thing("ada")), "no User has that"),
        (
            question(GET, party("ada", &[], json!({ "session_age": "old" })), thing("ada")),
            "`session_age` is to be a whole number",
        ),
    ] {
        let refused = desk(POLICIES).answer(&question).unwrap_err().to_string();
        assert!(refused.contains(reason), "{refused}");
    }
}

fn compare(old: &str, new: &str, limit: u64) -> Comparison {
    desk(old).compare(&desk(new), limit).unwrap()
}

#[test]
fn the_same_policies_have_no_differences() {
    let compared = compare(POLICIES, POLICIES, 5_000);
    assert!(compared.differences.is_empty());
    assert!(compared.coverage.iter().any(|of| of.rpc == GET && of.asked == of.total));
}

#[test]
fn a_change_is_found_at_the_edge_where_it_is() {
    for (old, new, rpc) in [
        ("resource.owner == principal", "resource.open", GET),
        ("principal.session_age < 60", "principal.session_age <= 60", GET),
        ("resource.size < -40", "resource.size <= -40", GET),
        ("resource.tags.contains(\"red\")", "resource.tags.contains(\"blue\")", GET),
        ("principal in Role::\"admin\"", "principal in Role::\"support\"", GET),
        ("resource.label like \"a*\"", "resource.label like \"b*\"", GET),
        ("resource == Thing::\"lamp\"", "resource == Thing::\"lantern\"", GET),
    ] {
        let policy = |condition: &str| {
            format!(
                "@id(\"p\") permit (principal, action == Action::\"{rpc}\", resource is Thing) when {{ {condition} }};"
            )
        };
        let compared = compare(&policy(old), &policy(new), 100_000);
        let differing: Vec<_> =
            compared.differences.iter().filter(|found| found.question.rpc == rpc).collect();
        assert!(!differing.is_empty(), "{old} against {new}");
        assert_eq!(differing.len(), compared.differences.len(), "only {rpc} has changed");
    }
}

#[test]
fn what_is_too_much_is_drawn_the_same_each_time() {
    let other = POLICIES.replace("resource.owner == principal", "resource.open");
    let once = compare(POLICIES, &other, 3);
    assert_eq!(once, compare(POLICIES, &other, 3));
    let of = once.coverage.iter().find(|of| of.rpc == GET).unwrap();
    assert!(of.asked == 3 && of.total > 3, "{of:?}");
}
