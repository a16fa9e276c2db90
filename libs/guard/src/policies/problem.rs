//! What is wrong with a policy, and where.

use std::fmt;

/// One thing that is wrong with a policy file: `file:line: reason`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Name of the file; empty where it is no file's.
    pub file: String,
    /// Line in the file, counted from 1; 0 where the whole file is meant.
    pub line: usize,
    /// What is wrong there.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, reason } = self;
        match line {
            0 => write!(f, "{file}: {reason}"),
            _ => write!(f, "{file}:{line}: {reason}"),
        }
    }
}

/// The first one, and how many there are beside it: one line for a log or a
/// refused start. Whoever wants all of them goes through the list.
pub(crate) fn first(problems: &[Problem]) -> String {
    match problems {
        [] => "nothing is wrong".to_owned(),
        [only] => only.to_string(),
        [first, more @ ..] => format!("{first} (and {} more)", more.len()),
    }
}
