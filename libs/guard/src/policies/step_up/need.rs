//! What a `@step_up("…")` asks for: `factor=NAME` and `authentication_age<SECONDS`,
//! with one space between them.
//!
//! The code generator compiles this same file, so that a build refuses what a
//! guard would refuse when it loads the policy.

use std::{collections::BTreeSet, fmt};

use cedar_policy::{Effect, Policy};

/// The annotation.
pub(crate) const ANNOTATION: &str = "step_up";

/// Octets of the name of a factor, as tokens can carry it.
const FACTOR_MAX: usize = 16;
/// What an author reads who has written something else.
const GRAMMAR: &str = "write factor=NAME, such as factor=otp, with 1 to 16 characters out of \
     a-z, 0-9, - and _, or authentication_age<SECONDS with a whole number above 0";

/// One thing that a caller has to bring.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// A login that is younger than so many seconds.
    Age(u32),
    /// A login by this method, as RFC 8176 names it.
    Factor(String),
}

/// What a policy asks for: nothing, where it is not annotated.
pub(crate) fn needs(policy: &Policy) -> Result<BTreeSet<Need>, String> {
    let Some(annotation) = policy.annotation(ANNOTATION) else { return Ok(BTreeSet::new()) };
    if policy.effect() != Effect::Forbid {
        return Err("only a forbid can ask for a step-up: what it permits needs none".to_owned());
    }
    let needs = annotation.split(' ').map(need).collect::<Result<BTreeSet<_>, _>>()?;
    let written = policy.to_json().map_err(|error| error.to_string())?;
    let conditions = written.get("conditions").map(ToString::to_string).unwrap_or_default();
    match needs.iter().find(|need| !need.is_looked_at(&conditions)) {
        Some(need) => Err(format!(
            "@step_up asks for {need}, which the policy does not look at: \
             who brings it would be refused again"
        )),
        None => Ok(needs),
    }
}

fn need(text: &str) -> Result<Need, String> {
    let read = match (text.strip_prefix("factor="), text.strip_prefix("authentication_age<")) {
        (Some(name), _) if is_factor(name) => Some(Need::Factor(name.to_owned())),
        // `parse` takes a sign, which is none of the grammar.
        (_, Some(age)) if age.bytes().all(|byte| byte.is_ascii_digit()) => {
            age.parse().ok().filter(|seconds| *seconds > 0).map(Need::Age)
        }
        _ => None,
    };
    read.ok_or_else(|| {
        format!("@step_up says what is needed, and {text:?} says nothing: {GRAMMAR}")
    })
}

fn is_factor(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    (1..=FACTOR_MAX).contains(&name.len()) && name.bytes().all(allowed)
}

impl Need {
    /// Whether conditions, in Cedar's JSON form, ask for what would fulfil it.
    fn is_looked_at(&self, conditions: &str) -> bool {
        let reads = |attribute: &str| conditions.contains(&format!("\"attr\":\"{attribute}\""));
        match self {
            Self::Age(_) => reads("session_age") || reads("authentication_time"),
            Self::Factor(name) => {
                reads("factors") && conditions.contains(&format!("\"Value\":\"{name}\""))
            }
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Age(seconds) => write!(f, "authentication_age<{seconds}"),
            Self::Factor(name) => write!(f, "factor={name}"),
        }
    }
}
