//! The database: opening it the same way everywhere. `migrate` brings its
//! schema up to date, `probe` finds out whether it can be written, `presence` whether its server is there, `retry` repeats
//! what lost against somebody else, `time` gives all replicas one time, `visible`, `filter` and `page` make the query of a list, and
//! what went wrong becomes a fault in `fault`.

mod fault;
mod filter;
mod migrate;
mod page;
mod presence;
mod probe;
mod retry;
mod time;
mod visible;

use std::{
    fs::OpenOptions,
    io::{self, ErrorKind},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Duration,
};

use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DbErr,
    sqlx::{self, Connection},
};
use secrecy::ExposeSecret;
use tokio::time::timeout;

use crate::{Error, config::DatabaseConfig};
pub(crate) use fault::away;
pub use fault::{fault, is_conflict};
pub use filter::{Comparison, Since, comparisons};
pub use migrate::{Progress, migrate, migrate_telling, pending};
pub use page::{List, Page};
pub use presence::Presence;
pub use probe::{Probe, migrations};
pub use retry::retry;
pub use sea_orm_migration::MigratorTrait;
pub use time::{keep_time, keep_time_until};
pub use visible::visible;

/// Nobody but the owner reads the file.
const PRIVATE: u32 = 0o600;
/// How long a connection may take to be of use again, once its call is over.
const RETURN: Duration = Duration::from_secs(5);

/// Opens the database at `url`: `sqlite://PATH` (made with mode 0600 when it is
/// missing; its folder has to exist), `sqlite::memory:`, or `postgres://…`.
///
/// SQLite runs in WAL mode with `synchronous=FULL`, so that a commit survives a
/// power cut, with foreign keys, and overwrites what is deleted. Statements are never logged: they would
/// carry their values along.
///
/// # Errors
/// [`Error::Connect`] says what can not be opened and why, without a password.
pub async fn connect(config: &DatabaseConfig, url: &str) -> Result<DatabaseConnection, Error> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(config.max_connections)
        .acquire_timeout(config.acquire_timeout)
        .connect_timeout(config.acquire_timeout)
        .sqlx_logging(false)
        // Without its values, and only to tell which table it is about.
        .record_stmt_in_spans(true);
    let target = match url.strip_prefix("sqlite:") {
        Some(":memory:") => {
            in_memory(config, &mut options);
            "the database in memory".to_owned()
        }
        Some(path) => {
            let path =
                path.strip_prefix("//").unwrap_or(path).split('?').next().unwrap_or_default();
            in_file(config, Path::new(path), &mut options).map_err(|reason| Error::Connect {
                target: format!("the database {path}"),
                reason,
            })?;
            format!("the database {path}")
        }
        None => {
            options.statement_timeout(config.statement_timeout);
            options.set_application_name("countersign");
            give_up_what_does_not_return(&mut options);
            "the PostgreSQL database".to_owned()
        }
    };
    let connection = Database::connect(options).await;
    connection.map_err(|error| Error::Connect { target, reason: reason(&error) })
}

/// Opens the database that `config` names, else the one at `default`; as [`connect`].
///
/// # Errors
/// [`Error::Connect`]; [`Error::Read`] and [`Error::Exposed`] for the file with the URL.
pub async fn open(config: &DatabaseConfig, default: &str) -> Result<DatabaseConnection, Error> {
    connect(config, config.secret_url(default)?.expose_secret()).await
}

/// A call that was given up leaves its connection with an answer on the way. It
/// goes back to the pool when that has come; from a server that is gone without a
/// word it never comes, and the pool would be one connection smaller for good.
fn give_up_what_does_not_return(options: &mut ConnectOptions) {
    options.map_sqlx_postgres_pool_opts(|pool| {
        pool.after_release(|connection, _| {
            Box::pin(async move {
                let returned = timeout(RETURN, connection.flush()).await;
                returned.map_err(|_| sqlx::Error::Io(ErrorKind::TimedOut.into()))?.map(|()| true)
            })
        })
    });
}

fn in_file(
    config: &DatabaseConfig,
    path: &Path,
    options: &mut ConnectOptions,
) -> Result<(), String> {
    create_private(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => "its folder does not exist".to_owned(),
        _ => error.to_string(),
    })?;
    let (path, busy_timeout) = (path.to_owned(), config.busy_timeout);
    options.map_sqlx_sqlite_opts(move |sqlite| {
        sqlite
            .filename(&path)
            .busy_timeout(busy_timeout)
            .foreign_keys(true)
            .pragma("journal_mode", "WAL")
            .pragma("synchronous", "FULL")
            // What was erased leaves no bytes behind in the file.
            .pragma("secure_delete", "ON")
    });
    Ok(())
}

/// One connection that never closes, for the database lives no longer than that.
fn in_memory(config: &DatabaseConfig, options: &mut ConnectOptions) {
    let busy_timeout = config.busy_timeout;
    options.max_connections(1).min_connections(1).idle_timeout(None).max_lifetime(None);
    options
        .map_sqlx_sqlite_opts(move |sqlite| sqlite.busy_timeout(busy_timeout).foreign_keys(true));
}

fn create_private(path: &Path) -> io::Result<()> {
    let created = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path);
    match created {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Only what the engine says: an error of the configuration could repeat the URL.
fn reason(error: &DbErr) -> String {
    use sea_orm::RuntimeErr;
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(inner)) => match inner.as_ref() {
            sqlx::Error::Configuration(_) => "the URL is not valid".to_owned(),
            sqlx::Error::Database(database) => database.message().to_owned(),
            sqlx::Error::Io(io) => io.to_string(),
            other => other.to_string(),
        },
        DbErr::Conn(RuntimeErr::Internal(_)) => "the URL is not valid".to_owned(),
        DbErr::ConnectionAcquire(error) => error.to_string(),
        _ => "the database refuses the connection".to_owned(),
    }
}
