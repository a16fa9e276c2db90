//! Why a request is decided as it is: what each policy of the RPC says to it.

use cedar_policy::{
    Decision, Effect, Policy, PolicyId, PolicySet, PrincipalConstraint, ResourceConstraint,
};
use serde_json::{Value, json};

use super::{Answer, Desk, Question, question::Asked};
use crate::Error;

/// An answer, and what each policy that can apply to the RPC has to do with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The answer.
    pub answer: Answer,
    /// Each policy, in the order of their `@id`s.
    pub policies: Vec<Verdict>,
}

/// What one policy says to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Its `@id`.
    pub id: String,
    /// Whether it permits; else it forbids.
    pub permits: bool,
    /// Whether it applies.
    pub outcome: Outcome,
}

/// Whether a policy applies to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It does.
    Applies,
    /// It does not: this part of it, in Cedar's words, does not hold.
    Misses(String),
    /// It cannot be evaluated, which denies: this part of it, and why.
    Fails(String),
}

impl Desk {
    /// The answer to a question, with what each policy says to it.
    ///
    /// # Errors
    /// [`Error::Question`]: the schema knows no such request.
    pub fn explain(&self, question: &Question) -> Result<Explanation, Error> {
        let asked = self.ask(question)?;
        let answer = self.decide(&asked);
        let mut policies: Vec<_> = self
            .index
            .of(&asked.action)
            .iter()
            .map(|policy| Verdict {
                id: policy.id().to_string(),
                permits: policy.effect() == Effect::Permit,
                outcome: self.outcome(policy, &asked),
            })
            .collect();
        policies.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(Explanation { answer, policies })
    }

    fn outcome(&self, policy: &Policy, asked: &Asked) -> Outcome {
        let parts = parts(policy).unwrap_or_default();
        for Part { shown, probe, wanted } in parts {
            match self.holds(probe, asked) {
                Ok(holds) if holds == wanted => {}
                Ok(_) => return Outcome::Misses(shown),
                Err(reason) => return Outcome::Fails(format!("{shown}: {reason}")),
            }
        }
        Outcome::Applies
    }

    /// Whether a permit of this form applies.
    fn holds(&self, probe: Value, asked: &Asked) -> Result<bool, String> {
        let policy = Policy::from_json(Some(PolicyId::new("probe")), probe);
        let policy = policy.map_err(|error| error.to_string())?;
        let set = PolicySet::from_policies([policy]).map_err(|error| error.to_string())?;
        let response = self.authorizer.is_authorized(&asked.request, &set, &asked.entities);
        match response.diagnostics().errors().next() {
            Some(error) => Err(super::reason(error)),
            None => Ok(response.decision() == Decision::Allow),
        }
    }
}

/// A part of a policy that has to hold for it to apply.
struct Part {
    /// In Cedar's words.
    shown: String,
    /// A permit that applies where the part is true.
    probe: Value,
    /// What the part has to be: false for `unless`.
    wanted: bool,
}

/// The parts, in the order in which Cedar looks at them.
fn parts(policy: &Policy) -> Option<Vec<Part>> {
    let written = policy.to_json().ok()?;
    let mut parts = Vec::new();
    let scope = [("principal", principal(policy)), ("resource", resource(policy))];
    for (part, shown) in scope {
        if let Some(shown) = shown {
            let mut probe = anything();
            *probe.get_mut(part)? = written.get(part)?.clone();
            parts.push(Part { shown, probe, wanted: true });
        }
    }
    for condition in written.get("conditions")?.as_array()? {
        let wanted = condition.get("kind")? == "when";
        let body = condition.get("body")?;
        // Each side of an `&&` is told by itself, and in order: the left one may
        // be what makes the right one safe to look at.
        for side in if wanted { conjuncts(body) } else { vec![body] } {
            let mut probe = anything();
            *probe.get_mut("conditions")? = json!([{ "kind": "when", "body": side }]);
            let shown = words(&probe, wanted);
            parts.push(Part { shown, probe, wanted });
        }
    }
    Some(parts)
}

fn anything() -> Value {
    let all = json!({ "op": "All" });
    json!({ "effect": "permit", "principal": all, "action": all, "resource": all, "conditions": [] })
}

fn conjuncts(body: &Value) -> Vec<&Value> {
    match (body.pointer("/&&/left"), body.pointer("/&&/right")) {
        (Some(left), Some(right)) => [conjuncts(left), conjuncts(right)].concat(),
        _ => vec![body],
    }
}

fn principal(policy: &Policy) -> Option<String> {
    match policy.principal_constraint() {
        PrincipalConstraint::Any => None,
        PrincipalConstraint::In(uid) => Some(format!("principal in {uid}")),
        PrincipalConstraint::Eq(uid) => Some(format!("principal == {uid}")),
        PrincipalConstraint::Is(kind) => Some(format!("principal is {kind}")),
        PrincipalConstraint::IsIn(kind, uid) => Some(format!("principal is {kind} in {uid}")),
    }
}

fn resource(policy: &Policy) -> Option<String> {
    match policy.resource_constraint() {
        ResourceConstraint::Any => None,
        ResourceConstraint::In(uid) => Some(format!("resource in {uid}")),
        ResourceConstraint::Eq(uid) => Some(format!("resource == {uid}")),
        ResourceConstraint::Is(kind) => Some(format!("resource is {kind}")),
        ResourceConstraint::IsIn(kind, uid) => Some(format!("resource is {kind} in {uid}")),
    }
}

/// The condition of a probe, as Cedar writes it.
fn words(probe: &Value, wanted: bool) -> String {
    let written = Policy::from_json(None, probe.clone()).ok().and_then(|policy| policy.to_cedar());
    let written = written.unwrap_or_default();
    let begin = written.find('{').map_or(0, |at| at + 1);
    let end = written.rfind('}').unwrap_or(written.len());
    let body = written.get(begin..end).unwrap_or_default();
    let body = body.split_whitespace().collect::<Vec<_>>().join(" ");
    if wanted { body } else { format!("unless {body}") }
}
