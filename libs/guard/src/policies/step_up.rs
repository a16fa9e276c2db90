//! Policies that forbid only until the caller proves again who they are:
//! `@step_up("…")` on a `forbid`, whose text tells the client what is needed.

mod need;

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Policy, PolicySet};

use need::Need;

/// The policies of one RPC that ask for a step-up, and those that do not.
pub(crate) struct StepUp {
    /// By `@id`, what is needed.
    needs: BTreeMap<String, BTreeSet<Need>>,
    rest: PolicySet,
}

/// What is wrong with the annotation of a policy, if anything is.
pub(super) fn fault(policy: &Policy) -> Option<String> {
    need::needs(policy).err()
}

impl StepUp {
    /// None where no policy asks for one.
    pub(super) fn of(policies: &[Policy]) -> Result<Option<Self>, String> {
        let mut needs = BTreeMap::new();
        let mut rest = Vec::new();
        for policy in policies {
            let needed = need::needs(policy)?;
            if needed.is_empty() {
                rest.push(policy.clone());
            } else {
                needs.insert(policy.id().to_string(), needed);
            }
        }
        if needs.is_empty() {
            return Ok(None);
        }
        let rest = PolicySet::from_policies(rest).map_err(|error| error.to_string())?;
        Ok(Some(Self { needs, rest }))
    }

    /// What would lift a denial for these reasons, where anything would; `permits`
    /// tells whether some policies permit the call.
    pub(crate) fn lifting(
        &self,
        reasons: &[String],
        permits: impl FnOnce(&PolicySet) -> bool,
    ) -> Option<String> {
        let explains =
            !reasons.is_empty() && reasons.iter().all(|reason| self.needs.contains_key(reason));
        // What the policies deny that do not ask for one, a step-up does not help.
        (explains && permits(&self.rest)).then(|| self.needs(reasons))
    }

    /// What these policies need together: of several ages the least.
    fn needs(&self, reasons: &[String]) -> String {
        let needs: BTreeSet<_> =
            reasons.iter().filter_map(|reason| self.needs.get(reason)).flatten().collect();
        let is_age = |need: &&&Need| matches!(need, Need::Age(_));
        let ages = needs.iter().filter(is_age).take(1);
        let others = needs.iter().filter(|need| !is_age(need));
        let needs: Vec<_> = ages.chain(others).map(ToString::to_string).collect();
        needs.join(" ")
    }
}
