//! Policies on a desk, away from any guard: to be checked, asked, explained and
//! compared.

mod compare;
mod draw;
mod explain;
mod question;
mod shape;

use std::fmt;

use cedar_policy::{AuthorizationError, Authorizer, Decision, PolicySet};

use super::{PolicyFile, index::Index, schema::PolicySchema, step_up::StepUp};
use crate::{Access, Error, Rule, decision::permits};

pub use compare::{Comparison, Coverage, Difference};
pub use explain::{Explanation, Outcome, Verdict};
use question::Asked;
pub use question::{Party, Question};
use shape::Shapes;

/// A schema and a set of policies over it that holds.
pub struct Desk {
    schema: PolicySchema,
    shapes: Shapes,
    index: Index,
    authorizer: Authorizer,
}

/// What policies say to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether the call is let through. An error denies.
    pub allowed: bool,
    /// The `@id`s of the policies that have decided, in order; none where
    /// nothing permits.
    pub policies: Vec<String>,
    /// The `@id`s of the policies that cannot be evaluated, each with why.
    pub errors: Vec<(String, String)>,
    /// What would lift the denial, where a step-up would.
    pub step_up: Option<String>,
}

impl Desk {
    /// Reads and checks as a guard does: strictly, to level 1 (principal and
    /// resource with their attributes), warnings as errors, each policy with an
    /// `@id` of its own.
    ///
    /// # Errors
    /// [`Error::Schema`]; or [`Error::Policies`] with everything that is wrong.
    pub fn open(schema: &str, files: &[PolicyFile]) -> Result<Self, Error> {
        let shapes = Shapes::of(schema)?;
        let schema = PolicySchema::parse(schema)?;
        let index = Index::load(&schema, files)?;
        Ok(Self { schema, shapes, index, authorizer: Authorizer::new() })
    }

    /// How many policies there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.index.count()
    }

    /// The RPCs that no policy can apply to: nobody may call them.
    #[must_use]
    pub fn closed(&self) -> Vec<String> {
        let closed = self.actions().filter(|action| self.index.of(action).is_empty());
        let mut rpcs: Vec<_> = closed.map(|action| action.id().unescaped().to_owned()).collect();
        rpcs.sort();
        rpcs
    }

    /// Whether lists can be decided by these policies, as a guard with these
    /// rules makes sure of.
    ///
    /// # Errors
    /// [`Error::Policies`] with each policy that a list cannot bear;
    /// [`Error::Question`] where the schema lacks an RPC.
    pub fn check_lists(&self, rules: &[Rule]) -> Result<(), Error> {
        let mut problems = Vec::new();
        for rule in rules {
            let Access::List { resource } = rule.access else { continue };
            match self.index.list(self.action(rule.rpc)?, resource) {
                Err(Error::Policies(more)) => problems.extend(more),
                other => drop(other?),
            }
        }
        problems.sort();
        problems.dedup();
        if problems.is_empty() { Ok(()) } else { Err(Error::Policies(problems)) }
    }

    /// What a guard with these policies would answer.
    ///
    /// # Errors
    /// [`Error::Question`]: the schema knows no such request.
    pub fn answer(&self, question: &Question) -> Result<Answer, Error> {
        Ok(self.decide(&self.ask(question)?))
    }

    fn decide(&self, asked: &Asked) -> Answer {
        let policies = self.index.of(&asked.action).iter().cloned();
        // Names are unique since the policies were read: no set fails to be made.
        let set = PolicySet::from_policies(policies).unwrap_or_default();
        let ask =
            |set: &PolicySet| self.authorizer.is_authorized(&asked.request, set, &asked.entities);
        let response = ask(&set);
        let mut policies: Vec<_> =
            response.diagnostics().reason().map(ToString::to_string).collect();
        policies.sort();
        let errors = response.diagnostics().errors();
        let mut errors: Vec<_> = errors.map(|error| (failed(error), reason(error))).collect();
        errors.sort();
        let allowed = response.decision() == Decision::Allow && errors.is_empty();
        let step_up = if allowed || !errors.is_empty() {
            None
        } else {
            // What a step-up asks for was found to hold when the policies were read.
            let step_up = StepUp::of(self.index.of(&asked.action)).ok().flatten();
            step_up.and_then(|step_up| step_up.lifting(&policies, |set| permits(&ask(set))))
        };
        Answer { allowed, policies, errors, step_up }
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Desk({} policies)", self.count())
    }
}

fn failed(error: &AuthorizationError) -> String {
    let AuthorizationError::PolicyEvaluationError(error) = error;
    error.policy_id().to_string()
}

fn reason(error: &AuthorizationError) -> String {
    let AuthorizationError::PolicyEvaluationError(error) = error;
    error.inner().to_string()
}
