//! Where the generator stands, and the pieces that every check is made of.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::error::Problems;

/// The field that is being read.
pub(super) struct Scope<'a> {
    pub(super) file: &'a str,
    pub(super) place: String,
    pub(super) problems: &'a mut Problems,
    pub(super) patterns: &'a mut Patterns,
}

impl Scope<'_> {
    pub(super) fn wrong(&mut self, reason: impl Into<String>) {
        self.problems.add(self.file, self.place.clone(), reason);
    }

    pub(super) fn uncovered(&mut self, rule: &str) {
        self.wrong(format!("the generator does not cover the validation rule {rule}"));
    }
}

/// The regular expressions of one package, each compiled once.
#[derive(Default)]
pub(super) struct Patterns(BTreeMap<String, usize>);

impl Patterns {
    /// The name of the static that holds the expression.
    pub(super) fn name(&mut self, pattern: &str) -> String {
        let next = self.0.len();
        let number = self.0.entry(pattern.to_owned()).or_insert(next);
        format!("PATTERN_{number}")
    }

    /// The statics. The expressions were compiled once while generating; should
    /// one fail all the same, it is `None` and matches nothing.
    pub(super) fn statics(&self) -> String {
        let mut text = String::new();
        for (pattern, number) in &self.0 {
            let _ = writeln!(
                text,
                "static PATTERN_{number}: ::std::sync::LazyLock<Option<::regex::Regex>> =
                    ::std::sync::LazyLock::new(|| ::regex::Regex::new({pattern:?}).ok());"
            );
        }
        text
    }
}

/// The function that every check calls; written once in each package.
pub(super) const REFUSE: &str = "
fn refuse(
    violations: &mut Vec<::countersign_types::Violation>,
    path: &::countersign_types::FieldPath<'_>,
    broken: bool,
    rule: &'static str,
    description: &'static str,
) {
    if broken {
        let path = path.to_string();
        violations.push(::countersign_types::Violation::new(path, rule, description));
    }
}
";

/// Code that reports a rule where the Rust expression `broken` holds. `rule` is
/// protovalidate's id of it.
pub(super) fn check(broken: &str, rule: &str, description: &str) -> String {
    format!("refuse(violations, path, {broken}, {rule:?}, {description:?});\n")
}

/// `1 character`, `15 characters`.
pub(super) fn count(number: u64, unit: &str) -> String {
    match number {
        1 => format!("1 {unit}"),
        _ => format!("{number} {unit}s"),
    }
}
