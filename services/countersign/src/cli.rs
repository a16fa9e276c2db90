//! What can be said on the command line. Parsing only: what a command does is
//! in its own room under `commands`.

mod policy;

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use countersign_events::admin;
use countersign_types::{EventId, Tenant, Timestamp};

pub use policy::{Assignment, Explain, Format, PolicyCommand, PolicySource};

/// Identity for gRPC systems: accounts, sessions, profiles and events.
///
/// Without a command it runs everything in one process: one port, one data
/// folder, nothing else needed.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, propagate_version = true)]
pub struct Cli {
    /// What overrides the file and the environment.
    #[command(flatten)]
    pub flags: Flags,
    /// What to do; nothing named means: run everything.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Flags that every command knows. A flag wins over the environment, the
/// environment over the file, the file over the defaults.
#[derive(Debug, Clone, Default, Args)]
pub struct Flags {
    /// Read this configuration file (TOML).
    #[arg(long, global = true, value_name = "FILE", env = "COUNTERSIGN_CONFIG")]
    pub config: Option<PathBuf>,
    /// Keep databases and keys in this folder [default: ./data].
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Listen on this address [default: 127.0.0.1:50051].
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
}

/// What can be done instead of running everything.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Run the auth service alone, as one of any number of replicas.
    Auth,
    /// Run the user service alone, as one of any number of replicas.
    User,
    /// Bring the tables up to date; servers of this and of the former version
    /// may run meanwhile.
    Migrate {
        /// Only the database of this service.
        #[arg(value_enum)]
        service: Option<Role>,
    },
    /// Ask a server whether it serves: for probes of containers, and for people.
    /// Where it does not, this ends with 1 and says why.
    Health(Probe),
    /// Print the configuration as it takes effect, secrets hidden.
    Config {
        /// Print the reference of all settings, as Markdown.
        #[arg(long)]
        reference: bool,
    },
    /// See and rotate the keys that sign access tokens, and those that seal data.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// See what happened, and set right what failed.
    #[command(subcommand)]
    Events(EventsCommand),
    /// Make accounts.
    #[command(subcommand)]
    Account(AccountCommand),
    /// See who was deleted, and delete them again after a backup was restored.
    #[command(subcommand)]
    Erasures(ErasuresCommand),
    /// Check and export the audit trails.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Write, check and try out policies. Needs no data and no configuration.
    #[command(subcommand)]
    Policy(PolicyCommand),
}

/// A service that can run alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Accounts, sessions and keys.
    Auth,
    /// Profiles.
    User,
}

/// Whom to ask, and about what.
#[derive(Debug, Clone, Args)]
pub struct Probe {
    /// The service that is asked about, such as
    /// "countersign.auth.v1.AuthService", or "countersign.process" for whether the
    /// process answers at all. Left out: everything that it serves.
    #[arg(default_value = "", hide_default_value = true)]
    pub service: String,
    /// Ask this server, such as http://127.0.0.1:50051 or https://auth:50051
    /// [default: where this configuration says to listen].
    #[arg(long, value_name = "TARGET")]
    pub at: Option<String>,
}

/// See and rotate the keys that sign access tokens, and those that seal data.
#[derive(Debug, Clone, Subcommand)]
pub enum KeysCommand {
    /// List the keys and where each stands in its life.
    List,
    /// Announce a new key. It signs once every guard had time to fetch it.
    Rotate,
    /// Seal the personal data that an earlier release has left in the clear. No
    /// server of that release may run any more, and none can afterwards.
    SealData,
    /// Give each person a new data key, and seal what is stored of them with it.
    /// Servers may run; killed, it goes on where it was.
    RotateData,
    /// Turn to the last master key of the file, or to a new one. Servers may run,
    /// and must have the file; killed, it goes on where it was.
    RotateMaster,
}

/// See what happened, and set right what failed.
#[derive(Debug, Clone, Subcommand)]
pub enum EventsCommand {
    /// List events of all services, the latest last.
    List {
        /// Only events of this kind, such as "UserCreated".
        #[arg(long)]
        kind: Option<String>,
        /// Only events since then: a time such as 2026-11-23T08:00:00Z, or a
        /// span back from now, such as 90s, 30m, 12h, 7d.
        #[arg(long, value_name = "TIME")]
        since: Option<Since>,
        /// Only what is not published yet.
        #[arg(long)]
        unpublished: bool,
        /// At most so many of each service, the latest ones.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=admin::LIST_MAX))]
        limit: u64,
    },
    /// List the dead letters: events that a consumer gave up on, and why.
    Dead,
    /// Deliver a dead letter once more.
    Requeue(DeadLetter),
    /// Remove a dead letter for good. Its effect will never happen.
    Drop(DeadLetter),
    /// Publish again what was published. Nothing takes effect a second time.
    Replay {
        /// Only events since then: a time such as 2026-11-23T08:00:00Z, or a
        /// span back from now, such as 90s, 30m, 12h, 7d.
        #[arg(long, value_name = "TIME")]
        since: Since,
        /// Only events of this kind, such as "UserCreated".
        #[arg(long)]
        kind: Option<String>,
    },
}

/// A dead letter, by the event and the consumer that gave up on it.
#[derive(Debug, Clone, Args)]
pub struct DeadLetter {
    /// The id of the event (UUID).
    pub event: EventId,
    /// The consumer, as `events dead` lists it.
    #[arg(long)]
    pub consumer: String,
}

/// Make accounts.
#[derive(Debug, Clone, Subcommand)]
pub enum AccountCommand {
    /// Make an account, the first administrator for instance. Its password is
    /// asked for, or read from standard input or a file; it is never an
    /// argument, because other users of the machine can read those.
    Create {
        /// The address of the person.
        #[arg(long)]
        email: String,
        /// A role that policies ask for, such as "admin"; may be repeated.
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// The tenant that the account belongs to.
        #[arg(long, value_name = "NAME", default_value_t)]
        tenant: Tenant,
        /// Read the password from the first line of this file.
        #[arg(long, value_name = "FILE", conflicts_with = "password_stdin")]
        password_file: Option<PathBuf>,
        /// Read the password from the first line of standard input.
        #[arg(long)]
        password_stdin: bool,
    },
}

/// See who was deleted, and delete them again after a backup was restored.
#[derive(Debug, Clone, Subcommand)]
pub enum ErasuresCommand {
    /// List the ids of the accounts that were deleted, and when. Kept beside the
    /// backups, the list is what a restored one has to forget.
    List,
    /// Erase in each database who is deleted in the other one or named in a list.
    /// To be run after a backup was restored and before servers start.
    Apply {
        /// A file as `erasures list` prints it.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// Check and export the audit trails.
#[derive(Debug, Clone, Subcommand)]
pub enum AuditCommand {
    /// Follow the hash chains from their beginning and hold them against their
    /// signed checkpoints; name the first row that was changed, or say that
    /// there is none.
    Verify {
        /// Trust this audit key (PASERK, k4.public…), and no other; may be
        /// repeated. Without any, those are trusted that the master key opens
        /// and, where there is no master key, those of the database.
        #[arg(long = "key", value_name = "KEY")]
        keys: Vec<String>,
        /// Hold the trail against this checkpoint as well, which was kept
        /// elsewhere (the statement of an AuditCheckpoint event); may be repeated.
        #[arg(long = "checkpoint", value_name = "STATEMENT")]
        checkpoints: Vec<String>,
    },
    /// Print the trails as lines of JSON, one an entry.
    Export {
        /// Only the trail of this service.
        #[arg(value_enum)]
        service: Option<Role>,
        /// Only entries since then: a time such as 2026-11-23T08:00:00Z, or a
        /// span back from now, such as 90s, 30m, 12h, 7d.
        #[arg(long, value_name = "TIME")]
        since: Option<Since>,
    },
}

const SINCE: &str = "a time such as 2026-11-23T08:00:00Z, or a span such as 90s, 30m, 12h, 7d";

/// A point in time, or a span back from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// A point in time.
    At(Timestamp),
    /// So long before now.
    Ago(Duration),
}

impl Since {
    /// The point in time that is meant, seen from `now`.
    #[must_use]
    pub fn from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(span) => now.minus(span),
        }
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(time) = text.parse::<prost_types::Timestamp>() {
            let rest = Duration::from_nanos(u64::try_from(time.nanos).unwrap_or(0));
            return Ok(Self::At(Timestamp::from_seconds(time.seconds).plus(rest)));
        }
        let unit = match text.chars().last() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 60 * 60,
            Some('d') => 24 * 60 * 60,
            _ => return Err(SINCE.to_owned()),
        };
        let number = text.get(..text.len() - 1).and_then(|number| number.parse::<u32>().ok());
        let number = number.ok_or_else(|| SINCE.to_owned())?;
        Ok(Self::Ago(Duration::from_secs(unit * u64::from(number))))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parsed(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_means_run_everything() {
        assert!(parsed("countersign").unwrap().command.is_none());
    }

    #[test]
    fn a_flag_may_stand_behind_the_command() {
        let cli = parsed("countersign config --data-dir /srv/data").unwrap();
        assert_eq!(cli.flags.data_dir, Some(PathBuf::from("/srv/data")));
    }

    #[test]
    fn a_password_is_no_argument() {
        let line = "countersign account create --email ada@example.org";
        assert!(parsed(&format!("{line} --role admin")).is_ok());
        assert!(parsed(&format!("{line} --tenant acme")).is_ok());
        assert!(parsed(&format!("{line} --tenant A/B")).is_err());
        assert!(parsed(&format!("{line} --password secret")).is_err());
        assert!(parsed(&format!("{line} --password-stdin --password-file p")).is_err());
    }

    #[test]
    fn the_tables_of_one_service_can_be_named() {
        for (line, expected) in [
            ("migrate", None),
            ("migrate auth", Some(Role::Auth)),
            ("migrate user", Some(Role::User)),
        ] {
            let command = parsed(&format!("countersign {line}")).unwrap().command;
            let Some(Command::Migrate { service }) = command else { unreachable!("{line}") };
            assert_eq!(service, expected, "{line}");
        }
        assert!(parsed("countersign migrate audit").is_err());
    }

    #[test]
    fn a_time_is_a_point_or_a_span() {
        let now = Timestamp::from_seconds(1_000_000);
        for (text, expected) in [
            ("1970-01-01T00:00:05Z", 5),
            ("1970-01-01T01:00:05+01:00", 5),
            ("90s", 999_910),
            ("2h", 992_800),
            ("1d", 913_600),
        ] {
            let since: Since = text.parse().unwrap();
            assert_eq!(since.from(now), Timestamp::from_seconds(expected), "{text}");
        }
        for text in ["", "h", "5", "-3s", "1w", "1.5h", "99999999999d", "tomorrow"] {
            assert!(text.parse::<Since>().is_err(), "{text}");
        }
    }
}
