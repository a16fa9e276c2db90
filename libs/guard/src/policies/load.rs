//! Reads policies, and refuses bad ones, all at once, each with file, line and
//! reason.

use std::collections::{BTreeSet, HashSet};

use cedar_policy::{EntityUid, Policy, PolicyId, PolicySet};

use super::{
    PolicyFile, Problem,
    schema::{PolicySchema, offset},
    step_up,
};
use crate::Error;

/// A policy that holds.
pub(super) struct Loaded {
    pub(super) policy: Policy,
    /// The actions that it can apply to.
    pub(super) actions: BTreeSet<EntityUid>,
    /// File and line.
    pub(super) place: (String, usize),
}

/// A file, with the places of its lines: to count them for each policy would take
/// a time that grows with the square of the file.
struct Source<'a> {
    file: &'a PolicyFile,
    /// Where each line ends.
    ends: Vec<usize>,
}

/// The policies of all files, each by its `@id`.
pub(super) fn policies(schema: &PolicySchema, files: &[PolicyFile]) -> Result<Vec<Loaded>, Error> {
    let (mut parts, mut names) = (schema.parts(), HashSet::new());
    let (mut loaded, mut problems) = (Vec::new(), Vec::new());
    for source in files.iter().map(Source::new) {
        for policy in parse(&source, &mut problems) {
            let offset = offset_of(&policy);
            let wrong = problems.len();
            problems.extend(step_up::fault(&policy).map(|reason| source.at(offset, reason)));
            if !names.insert(policy.id().clone()) {
                let reason = format!("there are two policies with @id(\"{}\")", policy.id());
                problems.push(source.at(offset, reason));
                continue;
            }
            let part = parts.of(&policy);
            let faults = part.faults(&policy)?.into_iter();
            problems.extend(faults.map(|(offset, reason)| source.at(offset, reason)));
            if problems.len() == wrong {
                let place = (source.file.name.clone(), source.line(offset));
                loaded.push(Loaded { actions: part.actions_of(&policy), policy, place });
            }
        }
    }
    // Cedar's own order within a line: the cause comes first.
    problems.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    problems.dedup();
    if problems.is_empty() { Ok(loaded) } else { Err(Error::Policies(problems)) }
}

fn parse(source: &Source<'_>, problems: &mut Vec<Problem>) -> Vec<Policy> {
    let set: PolicySet = match source.file.text.parse() {
        Ok(set) => set,
        Err(errors) => {
            let errors: &cedar_policy::ParseErrors = &errors;
            problems.extend(errors.iter().map(|error| source.at(offset(error), chain(error))));
            return Vec::new();
        }
    };
    problems.extend(set.templates().map(|template| {
        let reason = "a template is no policy: it has no place here".to_owned();
        source.at(template.as_ref().loc().map(|loc| loc.start()), reason)
    }));
    let mut named = Vec::new();
    for policy in set.policies() {
        match policy.annotation("id") {
            Some(id) if !id.is_empty() => named.push(policy.new_id(PolicyId::new(id))),
            _ => {
                let reason = "the policy has no @id".to_owned();
                problems.push(source.at(offset_of(policy), reason));
            }
        }
    }
    // A set has no order of its own: of two with one name the later one is wrong.
    named.sort_by_key(offset_of);
    named
}

impl<'a> Source<'a> {
    fn new(file: &'a PolicyFile) -> Self {
        let ends = file.text.match_indices('\n').map(|(end, _)| end).collect();
        Self { file, ends }
    }

    fn at(&self, offset: Option<usize>, reason: String) -> Problem {
        Problem { file: self.file.name.clone(), line: self.line(offset), reason }
    }

    /// The line, counted from 1, that an offset lies in.
    fn line(&self, offset: Option<usize>) -> usize {
        let offset = offset.unwrap_or(0);
        1 + self.ends.partition_point(|end| *end < offset)
    }
}

fn offset_of(policy: &Policy) -> Option<usize> {
    policy.as_ref().loc().map(|loc| loc.start())
}

/// An error and its causes in one line.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
