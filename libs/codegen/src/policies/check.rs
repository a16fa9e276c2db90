//! Every file parses, every policy has an `@id` of its own and validates
//! strictly, so that a renamed RPC breaks its policies here.

use std::{collections::BTreeMap, str::FromStr as _};

use cedar_policy::{PolicyId, PolicySet, Schema, ValidationMode, Validator};
use miette::Diagnostic;

use super::need;
use crate::{error::Problems, output::PolicyFile};

/// How far a policy may follow entities: principal and resource, no further.
/// It is what the guard loads for a request.
const DEREFERENCE_LEVEL: u32 = 1;

/// Where a policy was written.
struct Source<'a> {
    file: &'a str,
    text: &'a str,
    id: String,
}

/// Checks the policies over the schema.
pub(crate) fn check(files: &[PolicyFile], schema: &str, problems: &mut Problems) {
    let schema = match Schema::from_cedarschema_str(schema) {
        Ok((schema, _)) => schema,
        // The declarations have been checked before: this would be a fault of ours.
        Err(error) => return problems.add("(generated schema)", "", error.to_string()),
    };
    let mut sources = BTreeMap::new();
    let mut all = PolicySet::new();
    for (file, text) in files {
        add(file, text, &mut all, &mut sources, problems);
    }
    validate(&all, &sources, schema, problems);
}

/// Adds the policies of a file under their `@id`s: the parser would call them
/// `policy0`, `policy1` in every file.
fn add<'a>(
    file: &'a str,
    text: &'a str,
    all: &mut PolicySet,
    sources: &mut BTreeMap<String, Source<'a>>,
    problems: &mut Problems,
) {
    let set = match PolicySet::from_str(text) {
        Ok(set) => set,
        Err(errors) => {
            for error in errors.iter() {
                problems.add(file, line(error, text), error.to_string());
            }
            return;
        }
    };
    if set.templates().next().is_some() {
        problems.add(file, "", "has a template; write a policy without slots");
    }
    for policy in set.policies() {
        let id = policy.annotation("id").unwrap_or_default().to_owned();
        if id.is_empty() {
            let written = policy.to_cedar().unwrap_or_default();
            let at = text.find(written.trim()).map(|offset| line_of(offset, text));
            problems.add(file, at.unwrap_or_default(), "a policy has no @id");
            continue;
        }
        if let Err(reason) = need::needs(policy) {
            let at = policy.as_ref().loc().map(|loc| line_of(loc.start(), text));
            problems.add(file, at.unwrap_or_default(), reason);
        }
        let number = sources.len();
        let unique = PolicyId::new(format!("{number}"));
        if let Some(other) = sources.values().find(|source| source.id == id) {
            problems.add(file, "", format!("the @id {id:?} is also used in {}", other.file));
        }
        if let Err(error) = all.add(policy.new_id(unique)) {
            problems.add(file, "", error.to_string());
        }
        sources.insert(number.to_string(), Source { file, text, id });
    }
}

fn validate(
    all: &PolicySet,
    sources: &BTreeMap<String, Source<'_>>,
    schema: Schema,
    problems: &mut Problems,
) {
    let result =
        Validator::new(schema).validate_with_level(all, ValidationMode::Strict, DEREFERENCE_LEVEL);
    let errors =
        result.validation_errors().map(|error| (error.policy_id(), error as &dyn Diagnostic));
    // A policy that can never apply is a mistake, though Cedar only warns of it.
    let warnings = result
        .validation_warnings()
        .map(|warning| (warning.policy_id(), warning as &dyn Diagnostic));
    for (policy, diagnostic) in errors.chain(warnings) {
        let number: &str = policy.as_ref();
        let Some(source) = sources.get(number) else { continue };
        let reason = diagnostic
            .to_string()
            .replace(&format!("for policy `{number}`"), &format!("policy {:?}", source.id));
        problems.add(source.file, line(diagnostic, source.text), reason);
    }
}

/// `line N`, or nothing where the error has no place.
fn line(diagnostic: &(impl Diagnostic + ?Sized), text: &str) -> String {
    let first = diagnostic.labels().and_then(|mut labels| labels.next());
    first.map(|label| line_of(label.offset(), text)).unwrap_or_default()
}

fn line_of(offset: usize, text: &str) -> String {
    let before = text.bytes().take(offset);
    format!("line {}", before.filter(|byte| *byte == b'\n').count() + 1)
}
