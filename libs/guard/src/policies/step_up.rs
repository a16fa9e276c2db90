//! Policies that forbid only until the caller proves again who they are:
//! `@step_up("…")` on a `forbid`, whose text tells the client what is needed.

use cedar_policy::{Effect, Policy, PolicySet};

/// What clients use to write of what is needed.
pub(super) const ANNOTATION: &str = "step_up";
/// Octets of what is needed.
const NEEDS_MAX: usize = 64;

/// The policies of one RPC that ask for a step-up, and those that do not.
pub(crate) struct StepUp {
    /// By `@id`, what is needed.
    needs: Vec<(String, String)>,
    rest: PolicySet,
}

/// What is wrong with the annotation of a policy, if anything is.
pub(super) fn fault(policy: &Policy) -> Option<String> {
    let needs = policy.annotation(ANNOTATION)?;
    if policy.effect() != Effect::Forbid {
        return Some("only a forbid can ask for a step-up: what it permits needs none".to_owned());
    }
    let plain = |c: char| matches!(c, '!'..='~');
    let fits = !needs.is_empty() && needs.len() <= NEEDS_MAX && needs.chars().all(plain);
    (!fits).then(|| {
        format!("@step_up says what is needed, in 1 to {NEEDS_MAX} characters without spaces")
    })
}

impl StepUp {
    /// None where no policy asks for one.
    pub(super) fn of(policies: &[Policy]) -> Result<Option<Self>, String> {
        let asks = |policy: &&Policy| policy.annotation(ANNOTATION).is_some();
        let needs: Vec<_> = policies
            .iter()
            .filter_map(|policy| {
                Some((policy.id().to_string(), policy.annotation(ANNOTATION)?.to_owned()))
            })
            .collect();
        if needs.is_empty() {
            return Ok(None);
        }
        let rest = policies.iter().filter(|policy| !asks(policy)).cloned();
        let rest = PolicySet::from_policies(rest).map_err(|error| error.to_string())?;
        Ok(Some(Self { needs, rest }))
    }

    /// Whether nothing else than the lack of a step-up forbids.
    pub(crate) fn explains(&self, reasons: &[String]) -> bool {
        !reasons.is_empty() && reasons.iter().all(|reason| self.need(reason).is_some())
    }

    /// What these policies need, each once.
    pub(crate) fn needs(&self, reasons: &[String]) -> String {
        let mut needs: Vec<_> = reasons.iter().filter_map(|reason| self.need(reason)).collect();
        needs.sort_unstable();
        needs.dedup();
        needs.join(" ")
    }

    /// The policies that do not ask for one: what they deny, a step-up does not help.
    pub(crate) const fn rest(&self) -> &PolicySet {
        &self.rest
    }

    fn need(&self, policy: &str) -> Option<&str> {
        self.needs.iter().find(|(id, _)| id == policy).map(|(_, needs)| needs.as_str())
    }
}
