//! Reads policies, and refuses bad ones, all at once, each with file, line and
//! reason.

use std::collections::{HashMap, hash_map};

use cedar_policy::{Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use miette::Diagnostic;

use super::{PolicyFile, Problem, step_up};
use crate::Error;

/// Principal and resource with their attributes are all that a decision has:
/// a policy may follow no reference further than that.
const MAX_LEVEL: u32 = 1;

pub(super) fn schema(text: &str) -> Result<Schema, Error> {
    match Schema::from_cedarschema_str(text) {
        Ok((schema, _)) => Ok(schema),
        Err(error) => Err(Error::Schema(chain(&error))),
    }
}

/// File and line of each policy.
pub(super) type Places = HashMap<PolicyId, (String, usize)>;

/// The policies of all files, each by its `@id`.
pub(super) fn policies(
    schema: &Schema,
    files: &[PolicyFile],
) -> Result<(Vec<Policy>, Places), Error> {
    let (mut policies, mut problems) = (Vec::new(), Vec::new());
    let mut origins = HashMap::new();
    for file in files {
        for policy in parse(file, &mut problems) {
            let fault = step_up::fault(&policy);
            problems.extend(fault.map(|reason| at(file, offset_of(&policy), reason)));
            match origins.entry(policy.id().clone()) {
                hash_map::Entry::Vacant(free) => {
                    free.insert(file);
                    policies.push(policy);
                }
                hash_map::Entry::Occupied(_) => {
                    let reason = format!("there are two policies with @id(\"{}\")", policy.id());
                    problems.push(at(file, offset_of(&policy), reason));
                }
            }
        }
    }
    validate(schema, &policies, &origins, &mut problems)?;
    // Cedar's own order within a line: the cause comes first.
    problems.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    problems.dedup();
    if !problems.is_empty() {
        return Err(Error::Policies(problems));
    }
    let place = |policy: &Policy| {
        let file = origins.get(policy.id())?;
        let place = (file.name.clone(), line(&file.text, offset_of(policy)));
        Some((policy.id().clone(), place))
    };
    let places = policies.iter().filter_map(place).collect();
    Ok((policies, places))
}

fn parse(file: &PolicyFile, problems: &mut Vec<Problem>) -> Vec<Policy> {
    let set: PolicySet = match file.text.parse() {
        Ok(set) => set,
        Err(errors) => {
            let errors: &cedar_policy::ParseErrors = &errors;
            problems.extend(errors.iter().map(|error| at(file, offset(error), chain(error))));
            return Vec::new();
        }
    };
    problems.extend(set.templates().map(|template| {
        let reason = "a template is no policy: it has no place here".to_owned();
        at(file, template.as_ref().loc().map(|loc| loc.start()), reason)
    }));
    let mut named = Vec::new();
    for policy in set.policies() {
        match policy.annotation("id") {
            Some(id) if !id.is_empty() => named.push(policy.new_id(PolicyId::new(id))),
            _ => problems.push(at(file, offset_of(policy), "the policy has no @id".to_owned())),
        }
    }
    // A set has no order of its own: of two with one name the later one is wrong.
    named.sort_by_key(offset_of);
    named
}

/// Strict, and warnings count: a policy that can never apply is a mistake.
fn validate(
    schema: &Schema,
    policies: &[Policy],
    origins: &HashMap<PolicyId, &PolicyFile>,
    problems: &mut Vec<Problem>,
) -> Result<(), Error> {
    let set = PolicySet::from_policies(policies.iter().cloned());
    let set = set.map_err(|error| Error::Schema(error.to_string()))?;
    let validator = Validator::new(schema.clone());
    let result = validator.validate_with_level(&set, ValidationMode::Strict, MAX_LEVEL);
    let errors: Vec<_> = result.validation_errors().collect();
    // A policy that is wrong can never apply either: that says nothing more.
    let is_wrong = |id: &PolicyId| errors.iter().any(|error| error.policy_id() == id);
    let warnings = result.validation_warnings().filter(|warning| !is_wrong(warning.policy_id()));
    let warnings = warnings.map(|w| (w.policy_id(), offset(w), w.to_string()));
    let errors = errors.iter().map(|e| (e.policy_id(), offset(*e), e.to_string()));
    problems.extend(errors.chain(warnings).map(|(id, offset, reason)| match origins.get(id) {
        Some(file) => at(file, offset, reason),
        None => Problem { file: String::new(), line: 0, reason },
    }));
    Ok(())
}

fn at(file: &PolicyFile, offset: Option<usize>, reason: String) -> Problem {
    Problem { file: file.name.clone(), line: line(&file.text, offset), reason }
}

fn offset_of(policy: &Policy) -> Option<usize> {
    policy.as_ref().loc().map(|loc| loc.start())
}

/// The line, counted from 1, that an offset lies in.
fn line(text: &str, offset: Option<usize>) -> usize {
    let before = text.as_bytes().get(..offset.unwrap_or(0)).unwrap_or_default();
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

fn offset(diagnostic: &(impl Diagnostic + ?Sized)) -> Option<usize> {
    diagnostic.labels()?.next().map(|label| label.offset())
}

/// An error and its causes in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
