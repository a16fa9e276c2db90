//! What stops a process from starting or makes it stop. Operators read these;
//! clients never do.

use std::{io, path::PathBuf};

/// Why a process can not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that was named can not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file that holds a secret lets others in.
    #[error("{path} holds a secret and is open to others: run chmod 0600 {path}", path = .0.display())]
    Exposed(PathBuf),
    /// A configuration file is not TOML.
    #[error("{path} is not valid TOML: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why, without the text of the file.
        reason: String,
    },
    /// A setting that does not exist.
    #[error("unknown setting {key} in {origin}{hint}")]
    UnknownKey {
        /// The key or variable as it was written.
        key: String,
        /// The file, `the environment` or `the command line`.
        origin: String,
        /// Empty, or the setting that was probably meant.
        hint: String,
    },
    /// A value of the wrong type or form.
    #[error("{key} in {origin}: {reason}")]
    BadValue {
        /// The key.
        key: String,
        /// The file, the variable or `the command line`.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A value of the right form that can not be used.
    #[error("{key} {reason}")]
    OutOfRange {
        /// The key.
        key: String,
        /// What is allowed.
        reason: String,
    },
    /// The settings can not be written as TOML.
    #[error("cannot print the settings: {0}")]
    Render(String),
    /// The database can not be opened.
    #[error("cannot open {target}: {reason}")]
    Connect {
        /// The database, without its password.
        target: String,
        /// What the system or the engine says.
        reason: String,
    },
    /// A migration failed; the database is as it was before it.
    #[error("cannot migrate the database: {0}")]
    Migrate(sea_orm::DbErr),
    /// Somebody else held the database for too long.
    #[error(
        "cannot migrate the database: another process has been at migration {0} for 10 minutes; \
         end it or let it end, and start again"
    )]
    MigrationHeld(String),
    /// The contracts cannot be called by HTTP.
    #[error("cannot answer HTTP: {0}")]
    Http(String),
    /// Logging is set up already, or the level can not be read.
    #[error("cannot set up logging: {0}")]
    Logs(String),
    /// Traces or metrics cannot leave the process as they are asked to.
    #[error("cannot set up telemetry: {0}")]
    Telemetry(String),
    /// The system refuses to deliver signals.
    #[error("cannot listen for signals: {0}")]
    Signal(io::Error),
    /// Two parts want to serve one service.
    #[error("the service {0} is mounted twice")]
    MountedTwice(String),
    /// An RPC of a mounted service that the guard before it has no rule for.
    #[error(
        "{0} has no rule in the guard before it: the contracts and the guard do not belong together"
    )]
    Unruled(String),
    /// A rule for an RPC that a mounted service does not have.
    #[error("{0} has a rule, and is not in the contracts: the two do not belong together")]
    Undescribed(String),
    /// A part says when calls of an RPC are turned away that it does not serve.
    #[error("{0} has a priority, and its part does not serve it")]
    Unknown(String),
    /// The descriptors that reflection serves are broken.
    #[error("cannot serve reflection: {0}")]
    Reflection(String),
    /// What a channel shall call is no target.
    #[error("cannot call {target:?}: it {reason}")]
    Target {
        /// The target as it was written.
        target: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A file for TLS cannot be used.
    #[error("cannot use {path} for TLS: {reason}")]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, without its content.
        reason: String,
    },
    /// Servers shall show certificates, and nobody says whose are good.
    #[error(
        "the system has no authorities to check the certificates of servers with: name a file of \
         them with ca_file"
    )]
    NoAuthorities,
    /// Descriptors that a channel was given cannot be read.
    #[error("cannot read the contracts of a channel: {0}")]
    Descriptors(String),
    /// A background task panicked, so the process stopped rather than run on
    /// without it.
    #[error("the task {task} of {part} panicked")]
    TaskPanicked {
        /// The part.
        part: &'static str,
        /// The task.
        task: &'static str,
    },
}
