//! What is wrong with a contract, told so that its author finds the place.

use std::{fmt, io, path::PathBuf};

/// Why the contracts do not compile. `Debug` reads like `Display`, because that
/// is what cargo prints when a build script returns an error.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A proto is not valid protobuf, or imports what is not there.
    #[error("{0}")]
    Proto(String),
    /// The protos are valid and break rules of ours; all of them at once.
    #[error("the contracts do not hold:{}", list(.0))]
    Contract(Vec<Problem>),
    /// A file or folder cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// prost refuses to write code for a proto.
    #[error("cannot generate code: {0}")]
    Generate(io::Error),
    /// It runs outside of a build script and no folder was named.
    #[error("OUT_DIR is not set: call this from build.rs, or name a folder with out_dir")]
    NoOutDir,
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One broken rule: `file: place: reason`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The proto by its import path, or the policy file by its name.
    pub file: String,
    /// The RPC, field, resource or line; empty where the whole file is meant.
    pub place: String,
    /// What is wrong, and what to write instead where there is one answer.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, place, reason } = self;
        match place.as_str() {
            "" => write!(f, "{file}: {reason}"),
            _ => write!(f, "{file}: {place}: {reason}"),
        }
    }
}

/// The problems found so far.
#[derive(Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn add(
        &mut self,
        file: impl Into<String>,
        place: impl Into<String>,
        reason: impl Into<String>,
    ) {
        self.0.push(Problem { file: file.into(), place: place.into(), reason: reason.into() });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn into_result(mut self) -> Result<(), Error> {
        self.0.sort();
        self.0.dedup();
        if self.is_empty() { Ok(()) } else { Err(Error::Contract(self.0)) }
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}
