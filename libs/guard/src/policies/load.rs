//! Reads policy files, and refuses a bad one with file, line and reason.

use std::collections::HashMap;

use cedar_policy::{Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use miette::Diagnostic;

use super::step_up;
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

/// The policies of all files, each by its `@id`.
pub(super) fn policies(schema: &Schema, files: &[(String, String)]) -> Result<Vec<Policy>, Error> {
    let mut policies: Vec<Policy> = Vec::new();
    let mut origins = HashMap::new();
    for (index, (file, text)) in files.iter().enumerate() {
        for policy in parse(file, text)? {
            if let Some(reason) = step_up::fault(&policy) {
                return Err(at(file, line_of(&policy, text), reason));
            }
            if origins.insert(policy.id().clone(), index).is_some() {
                let reason = format!("there are two policies with @id(\"{}\")", policy.id());
                return Err(at(file, line_of(&policy, text), reason));
            }
            policies.push(policy);
        }
    }
    validate(schema, &policies, |id| origins.get(id).and_then(|index| files.get(*index)))?;
    Ok(policies)
}

fn parse(file: &str, text: &str) -> Result<Vec<Policy>, Error> {
    let set: PolicySet = text.parse().map_err(|errors: cedar_policy::ParseErrors| {
        at(file, line(text, offset(&errors)), chain(&errors))
    })?;
    if let Some(template) = set.templates().next() {
        let reason = "a template is no policy: it has no place here".to_owned();
        let line = line(text, template.as_ref().loc().map(|loc| loc.start()));
        return Err(at(file, line, reason));
    }
    let named = set.policies().map(|policy| match policy.annotation("id") {
        Some(id) if !id.is_empty() => Ok(policy.new_id(PolicyId::new(id))),
        _ => {
            let reason = "the policy has no @id".to_owned();
            Err(at(file, line_of(policy, text), reason))
        }
    });
    named.collect()
}

/// Strict, and warnings count: a policy that can never apply is a mistake.
fn validate<'a>(
    schema: &Schema,
    policies: &[Policy],
    origin: impl Fn(&PolicyId) -> Option<&'a (String, String)>,
) -> Result<(), Error> {
    let set = PolicySet::from_policies(policies.iter().cloned());
    let set = set.map_err(|error| Error::Schema(error.to_string()))?;
    let validator = Validator::new(schema.clone());
    let result = validator.validate_with_level(&set, ValidationMode::Strict, MAX_LEVEL);
    let errors = result.validation_errors().map(|e| (e.policy_id(), offset(e), e.to_string()));
    let warnings = result.validation_warnings().map(|w| (w.policy_id(), offset(w), w.to_string()));
    match errors.chain(warnings).next() {
        None => Ok(()),
        Some((id, offset, reason)) => match origin(id) {
            Some((file, text)) => Err(at(file, line(text, offset), reason)),
            None => Err(at("", 1, reason)),
        },
    }
}

fn at(file: &str, line: usize, reason: String) -> Error {
    Error::Policy { file: file.to_owned(), line, reason }
}

fn line_of(policy: &Policy, text: &str) -> usize {
    line(text, policy.as_ref().loc().map(|loc| loc.start()))
}

/// The line, counted from 1, that an offset lies in.
fn line(text: &str, offset: Option<usize>) -> usize {
    let before = text.as_bytes().get(..offset.unwrap_or(0)).unwrap_or_default();
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

fn offset(diagnostic: &dyn Diagnostic) -> Option<usize> {
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
