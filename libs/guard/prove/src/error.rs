//! Why nothing could be proved.

use std::{io, path::PathBuf};

/// Why nothing could be proved. That a property does not hold is no error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}: {reason}", path = path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The solver cannot be started.
    #[error(
        "the solver cannot be started: {0}; `make prove` installs one, or set CVC5 to the path of cvc5"
    )]
    Solver(String),
    /// The symbolic compiler or the solver gave up.
    #[error("{property} on {rpc}: {reason}")]
    Undecided {
        /// The property.
        property: String,
        /// The RPC.
        rpc: String,
        /// What was said.
        reason: String,
    },
    /// The result cannot be printed.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}
