//! One database for each service, opened the same way for a server and for an
//! operator's command.

use countersign_mesh::{
    Task,
    config::DatabaseConfig,
    database::{MigratorTrait, connect, keep_time, keep_time_until, migrate, pending},
};
use countersign_types::Clock;
use sea_orm::DatabaseConnection;
use secrecy::ExposeSecret;

use crate::{Config, Error, folder::DataFolder};

/// The file of the auth service's database, where no other place is named.
pub const AUTH_FILE: &str = "auth.db";
/// The same of the user service.
pub const USER_FILE: &str = "user.db";

/// The databases of the services.
#[derive(Debug, Clone)]
pub struct Databases {
    /// Accounts, credentials, sessions and signing keys.
    pub auth: DatabaseConnection,
    /// Profiles.
    pub user: DatabaseConnection,
}

impl Databases {
    /// Opens the databases as configured, in `folder` where no other place is named.
    ///
    /// # Errors
    /// [`Error::Mesh`] names the database and the reason.
    pub async fn open(config: &Config, folder: &DataFolder) -> Result<Self, Error> {
        let auth = open(&config.database.auth, Some(folder), AUTH_FILE).await?;
        let user = open(&config.database.user, Some(folder), USER_FILE).await?;
        Ok(Self { auth, user })
    }

    /// Brings the tables of both up to date, or refuses where the settings
    /// leave that to somebody else who has not done it.
    ///
    /// # Errors
    /// [`Error::NotMigrated`]; [`Error::Mesh`]: a migration failed.
    pub async fn prepare(&self, config: &Config) -> Result<(), Error> {
        prepare::<countersign_auth::Migrator>("auth", &self.auth, config).await?;
        prepare::<countersign_user::Migrator>("user", &self.user, config).await
    }

    /// Each database with the name of its service.
    #[must_use]
    pub const fn each(&self) -> [(&'static str, &DatabaseConnection); 2] {
        [("auth", &self.auth), ("user", &self.user)]
    }
}

/// Whether the settings name a place for a database, so that it is not in the
/// data folder.
pub const fn has_place(config: &DatabaseConfig) -> bool {
    config.url.is_some() || config.url_file.is_some()
}

/// Opens a database as configured, or `file` in `folder` where no other place
/// is named.
///
/// # Errors
/// [`Error::Mesh`] names the database and the reason.
pub async fn open(
    config: &DatabaseConfig,
    folder: Option<&DataFolder>,
    file: &str,
) -> Result<DatabaseConnection, Error> {
    let default = match folder {
        Some(folder) => folder.database_url(file)?,
        None => String::new(),
    };
    let url = config.secret_url(&default)?;
    Ok(connect(config, url.expose_secret()).await?)
}

/// As [`Databases::prepare`], for the database of one service.
///
/// # Errors
/// [`Error::NotMigrated`]; [`Error::Mesh`]: a migration failed.
pub async fn prepare<M: MigratorTrait>(
    service: &'static str,
    db: &DatabaseConnection,
    config: &Config,
) -> Result<(), Error> {
    if config.database.migrate_at_start {
        return Ok(migrate::<M>(db).await?);
    }
    let pending = pending::<M>(db).await?;
    if pending.is_empty() { Ok(()) } else { Err(Error::NotMigrated { service, pending }) }
}

/// A clock for one of several replicas on `db`: set right by the database where
/// it is wrong. [`time`] keeps it so.
///
/// # Errors
/// [`Error::Time`]: the database does not tell.
pub async fn in_time(clock: Clock, db: &DatabaseConnection) -> Result<Clock, Error> {
    let clock = clock.correctable();
    keep_time(db, &clock).await.map_err(|error| Error::Time(countersign_events::reason(&error)))?;
    Ok(clock)
}

/// Keeps such a clock right.
pub fn time(db: &DatabaseConnection, clock: Clock) -> Task {
    let db = db.clone();
    Task::new("time", |cancel| keep_time_until(cancel, db, clock))
}

/// Closes a database, so that SQLite folds its log into it. A failure loses
/// nothing: the next start does it.
pub async fn close(name: &'static str, db: &DatabaseConnection) {
    if let Err(error) = db.close_by_ref().await {
        let error = countersign_events::reason(&error);
        tracing::warn!(db.name = name, error, "the database was not closed");
    }
}
