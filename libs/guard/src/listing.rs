//! Policies as lists need them. When they are loaded, each that can apply to the
//! RPC becomes a formula; one that cannot is refused. A call puts in what is known
//! of its caller, and what is left speaks of the resource alone.

mod condition;
mod formula;
mod translate;

use cedar_policy::{Effect, Policy};

use formula::Formula;

pub use condition::{Condition, Operator};
pub(crate) use formula::Asking;

/// What the policies of an RPC say of its list. None of them: nothing is listed.
#[derive(Default)]
pub(crate) struct ListFormulas {
    permits: Vec<Formula>,
    forbids: Vec<Formula>,
}

impl ListFormulas {
    /// Adds a policy over resources of this type, or says what of it a list
    /// cannot bear.
    pub(crate) fn add(&mut self, policy: &Policy, resource: &str) -> Result<(), String> {
        let formula = translate::policy(policy, resource)?;
        match policy.effect() {
            Effect::Permit => self.permits.push(formula),
            Effect::Forbid => self.forbids.push(formula),
        }
        Ok(())
    }

    /// What holds of each resource that the caller may see; `None` where a policy
    /// fails to evaluate.
    pub(crate) fn resolve(&self, asking: &Asking<'_>) -> Option<Condition> {
        let any = |formulas: &[Formula]| {
            let each = formulas.iter().map(|formula| formula.resolve(asking));
            each.collect::<Option<Vec<_>>>().map(Condition::any)
        };
        Some(Condition::all(vec![any(&self.permits)?, any(&self.forbids)?.negated()]))
    }
}
