//! One database for each service, opened the same way for a server and for an
//! operator's command.

use countersign_mesh::{
    config::DatabaseConfig,
    database::{connect, migrate, pending},
};
use sea_orm::DatabaseConnection;
use sea_orm_migration::MigratorTrait;
use secrecy::ExposeSecret;

use crate::{Config, Error, folder::DataFolder};

const AUTH_FILE: &str = "auth.db";
const USER_FILE: &str = "user.db";

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
        let auth = open(&config.database.auth, folder, AUTH_FILE).await?;
        let user = open(&config.database.user, folder, USER_FILE).await?;
        Ok(Self { auth, user })
    }

    /// Brings the tables of both up to date.
    ///
    /// # Errors
    /// [`Error::Mesh`]: a migration failed.
    pub async fn migrate(&self) -> Result<(), Error> {
        migrate::<countersign_auth::Migrator>(&self.auth).await?;
        migrate::<countersign_user::Migrator>(&self.user).await?;
        Ok(())
    }

    /// Whether the auth service has no data yet, not even tables.
    ///
    /// # Errors
    /// [`Error::Mesh`]: the database cannot be read.
    pub async fn is_new(&self) -> Result<bool, Error> {
        let waiting = pending::<countersign_auth::Migrator>(&self.auth).await?;
        Ok(waiting.len() == countersign_auth::Migrator::migrations().len())
    }

    /// Closes both, so that SQLite folds its log into the database. A failure
    /// loses nothing: the next start does it.
    pub async fn close(self) {
        for (name, db) in self.each() {
            if let Err(error) = db.close_by_ref().await {
                let error = countersign_events::reason(&error);
                tracing::warn!(db.name = name, error, "the database was not closed");
            }
        }
    }

    /// Each database with the name of its service.
    #[must_use]
    pub const fn each(&self) -> [(&'static str, &DatabaseConnection); 2] {
        [("auth", &self.auth), ("user", &self.user)]
    }
}

async fn open(
    config: &DatabaseConfig,
    folder: &DataFolder,
    file: &str,
) -> Result<DatabaseConnection, Error> {
    let url = config.secret_url(&folder.database_url(file)?)?;
    Ok(connect(config, url.expose_secret()).await?)
}
