//! Questions and answers as they are printed.

use countersign_guard::policies::{Answer, Party, Question};
use serde_json::{Value, json};

pub(super) fn decision(allowed: bool) -> &'static str {
    if allowed { "allow" } else { "deny" }
}

/// The decision, with the policies that have led to it.
pub(super) fn answer(answer: &Answer) -> String {
    let Answer { allowed, policies, errors, step_up } = answer;
    let by = match policies.as_slice() {
        [] if errors.is_empty() => ": no policy permits it".to_owned(),
        [] => String::new(),
        policies => format!(" by {}", policies.join(", ")),
    };
    let errors = errors.iter().map(|(id, reason)| format!("; {id} fails: {reason}"));
    let lifted = step_up.as_ref().map(|needs| format!("; would be allowed with {needs}"));
    let (lifted, errors) = (lifted.unwrap_or_default(), errors.collect::<String>());
    format!("{}{by}{lifted}{errors}", decision(*allowed))
}

pub(super) fn question(question: &Question) -> String {
    let Question { rpc, principal, resource, peer } = question;
    let about =
        if resource.id.is_empty() { String::new() } else { format!(" on {}", party(resource)) };
    let from = if peer.is_empty() { String::new() } else { format!(" from {}", peer.join(",")) };
    format!("{rpc} by {}{about}{from}", party(principal))
}

fn party(party: &Party) -> String {
    let Party { id, roles, attributes } = party;
    let roles = if roles.is_empty() { None } else { Some(format!("roles={}", roles.join(","))) };
    let attributes = attributes.iter().map(|(name, value)| format!("{name}={value}"));
    let known: Vec<_> = roles.into_iter().chain(attributes).collect();
    if known.is_empty() { id.clone() } else { format!("{id} ({})", known.join(" ")) }
}

pub(super) fn question_json(question: &Question) -> Value {
    let party = |party: &Party| {
        let Party { id, roles, attributes } = party;
        json!({ "id": id, "roles": roles, "attributes": attributes })
    };
    json!({
        "rpc": question.rpc,
        "principal": party(&question.principal),
        "resource": party(&question.resource),
        "peer": question.peer,
    })
}

pub(super) fn answer_json(answer: &Answer) -> Value {
    let Answer { allowed, policies, errors, step_up } = answer;
    let errors = errors.iter().map(|(id, reason)| json!({ "policy": id, "reason": reason }));
    let errors: Vec<_> = errors.collect();
    let decision = decision(*allowed);
    json!({ "decision": decision, "policies": policies, "errors": errors, "step_up": step_up })
}
