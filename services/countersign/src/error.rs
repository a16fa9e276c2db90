//! Why a command could not be carried out, as a sentence for the operator: what
//! is wrong, and what to do about it.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    path::PathBuf,
};

use countersign_types::{EventId, Violation};

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refuses something about the data folder.
    #[error(
        "cannot {action} data folder {path}: {source}; make it a folder that this user owns, \
         or name another with --data-dir or COUNTERSIGN_DATA_DIR",
        path = path.display()
    )]
    Folder {
        /// What was tried: `make`, `read`, `write in`, `lock`.
        action: &'static str,
        /// The folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Others may look into the data folder.
    #[error("data folder {path} is open to others: run chmod 0700 {path}", path = .0.display())]
    FolderExposed(PathBuf),
    /// Another server runs on the data.
    #[error(
        "data folder {path} is in use by another countersign: stop that one, or name another \
         folder with --data-dir or COUNTERSIGN_DATA_DIR",
        path = .0.display()
    )]
    FolderInUse(PathBuf),
    /// The path of the data folder cannot stand in the address of a database.
    #[error(
        "data folder {path} has a question mark or something that is not UTF-8 in its path: \
         name another with --data-dir or COUNTERSIGN_DATA_DIR",
        path = .0.display()
    )]
    FolderName(PathBuf),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {reason}", reason = listen_reason(.source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// A service cannot run alone on a bus in memory.
    #[error(
        "countersign {0} runs beside other processes and meets them over NATS JetStream: set \
         bus.url, for instance COUNTERSIGN_BUS__URL=nats://127.0.0.1:4222; `countersign` without \
         a command runs everything in one process and needs no broker"
    )]
    NoBroker(&'static str),
    /// The user service does not know where the keys are.
    #[error(
        "countersign user fetches the keys that verify access tokens from the auth service: set \
         keys.source, for instance COUNTERSIGN_KEYS__SOURCE=http://127.0.0.1:50051"
    )]
    NoKeySource,
    /// A server that was asked for its health does not serve.
    #[error("{target} does not serve: {reason}")]
    NotServing {
        /// The server, as it was named.
        target: String,
        /// What it says, or why it says nothing.
        reason: String,
    },
    /// The authorities for the certificates of auth services cannot be used.
    #[error(
        "cannot use {path}, which keys.ca_file names: {reason}; it must be a PEM file with the \
         certificates of the authorities",
        path = path.display()
    )]
    KeySourceCa {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The tables are of an earlier version, or not there at all.
    #[error(
        "the {service} database lacks {}: run `countersign migrate`, or set \
         COUNTERSIGN_DATABASE__MIGRATE_AT_START=true", pending.join(", ")
    )]
    NotMigrated {
        /// The service.
        service: &'static str,
        /// Names of the migrations, in their order.
        pending: Vec<String>,
    },
    /// A command needs the database of a service that is not here.
    #[error(
        "there is no database of the {service} service here: set database.{service}.url, for \
         instance COUNTERSIGN_DATABASE__{}__URL=postgres://USER@HOST/NAME, or name the data folder \
         that holds {service}.db with --data-dir", service.to_uppercase()
    )]
    NoDatabase {
        /// The service.
        service: &'static str,
    },
    /// The database does not tell the time.
    #[error("cannot ask the database for the time: {0}")]
    Time(String),
    /// A setting of a service cannot be used.
    #[error("in section {0}: {1}")]
    Section(&'static str, String),
    /// A path on the command line is not UTF-8.
    #[error("{path} is not UTF-8: name it otherwise", path = .0.display())]
    NotText(PathBuf),
    /// No password was given.
    #[error(
        "no password: standard input is no terminal to ask at, so name a file with \
         --password-file, or pipe it in and say --password-stdin"
    )]
    NoPassword,
    /// The password was typed in two ways.
    #[error("the two passwords are not the same: nothing was made")]
    PasswordsDiffer,
    /// The password cannot be read.
    #[error("cannot read the password from {origin}: {source}")]
    Password {
        /// The file, or `standard input`.
        origin: String,
        /// The system's answer.
        source: io::Error,
    },
    /// Rules of input are broken.
    #[error("{}", sentence(.0))]
    Refused(Vec<Violation>),
    /// There is no such dead letter.
    #[error(
        "consumer {consumer} has no dead letter {event}: `countersign events dead` lists what there is"
    )]
    NoDeadLetter {
        /// The event.
        event: EventId,
        /// The consumer.
        consumer: String,
    },
    /// The audit trail was changed.
    #[error(
        "the audit trail of {0} was changed: see above where, and keep this data folder as evidence"
    )]
    AuditChanged(&'static str),
    /// Policies do not hold.
    #[error(
        "{problems} problems in the policies of {dir}: see above, each with file and line",
        dir = dir.display()
    )]
    Policies {
        /// Their folder.
        dir: PathBuf,
        /// How many problems there are.
        problems: usize,
    },
    /// Policies do not decide as their tables expect.
    #[error("{failed} of {cases} cases are decided otherwise than expected")]
    Unexpected {
        /// How many.
        failed: usize,
        /// How many there are.
        cases: usize,
    },
    /// A table of expected decisions cannot be used.
    #[error("{file}: {reason}", file = file.display())]
    Table {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is nothing to test by.
    #[error("{folder} has no table of expected decisions (*.test.toml)", folder = .0.display())]
    NoTable(PathBuf),
    /// Two sets of policies decide differently.
    #[error("{0} requests are decided differently")]
    Different(usize),
    /// A file that the command line names cannot be read.
    #[error("cannot read {file}: {source}", file = file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    /// Configuration, logs, database or server.
    #[error(transparent)]
    Mesh(#[from] countersign_mesh::Error),
    /// The master key.
    #[error(transparent)]
    Seal(#[from] countersign_seal::Error),
    /// What the databases are sealed with.
    #[error(transparent)]
    Vault(#[from] countersign_vault::Error),
    /// The guard.
    #[error("the guard cannot be built: {0}")]
    Guard(#[from] countersign_guard::Error),
    /// Events.
    #[error(transparent)]
    Events(#[from] countersign_events::Error),
    /// The audit trail.
    #[error(transparent)]
    Audit(#[from] countersign_audit::Error),
    /// The auth service.
    #[error(transparent)]
    Auth(#[from] countersign_auth::Error),
    /// The user service.
    #[error(transparent)]
    User(#[from] countersign_user::Error),
}

fn listen_reason(error: &io::Error) -> String {
    let other = "name another address with --listen or COUNTERSIGN_LISTEN";
    match error.kind() {
        ErrorKind::AddrInUse => format!("another process does already; stop it, or {other}"),
        ErrorKind::AddrNotAvailable => format!("this machine has no such address; {other}"),
        ErrorKind::PermissionDenied => format!("this user may not; {other}, its port above 1023"),
        _ => format!("{error}; {other}"),
    }
}

fn sentence(rules: &[Violation]) -> String {
    let rules = rules.iter().map(|rule| format!("{} {}", rule.field, rule.description));
    rules.collect::<Vec<_>>().join("; ")
}
