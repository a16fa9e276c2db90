//! The master keys of a data folder: the first made at the first start, and never
//! replaced. Whether they belong to the data is checked by the vault that they open.

use std::path::PathBuf;

use countersign_seal::MasterKeys;
use countersign_vault::Vault;
use sea_orm::DatabaseConnection;

use crate::{Config, Error, Role, folder::DataFolder};

/// The file that the settings name for a service.
pub fn file(role: Role, config: &Config) -> Option<&PathBuf> {
    let own = match role {
        Role::Auth => None,
        Role::User => config.user_master_key_file.as_ref(),
    };
    own.or(config.master_key_file.as_ref())
}

/// Reads the master keys of a service; makes one where nothing was sealed with one
/// yet. A key that is lost is not replaced, wherever the data is kept: a new one could
/// not open what the old one sealed.
///
/// A process without a data folder has a file named for the keys in its settings.
///
/// # Errors
/// [`Error::Seal`] says what is wrong with the file and what to do;
/// [`Error::Vault`] where the database cannot be read.
pub async fn open(
    role: Role,
    config: &Config,
    folder: Option<&DataFolder>,
    db: &DatabaseConnection,
) -> Result<MasterKeys, Error> {
    let in_folder = || folder.map(|folder| folder.file("master.key"));
    let path = file(role, config).cloned().or_else(in_folder).unwrap_or_default();
    let keys = if Vault::is_set_up(db).await? {
        MasterKeys::load(path)
    } else {
        MasterKeys::load_or_create(path)
    };
    Ok(keys?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::Databases;

    struct Place {
        parent: tempfile::TempDir,
        config: Config,
        folder: DataFolder,
        databases: Databases,
    }

    /// Data that is kept elsewhere, as with PostgreSQL: its files tell nothing.
    async fn fresh() -> Place {
        let parent = tempfile::tempdir().unwrap();
        let mut config = Config { data_dir: parent.path().join("data"), ..Config::default() };
        let elsewhere = parent.path().join("elsewhere.db");
        config.database.auth.url = Some(format!("sqlite://{}", elsewhere.display()));
        let folder = DataFolder::claim(&config.data_dir).unwrap();
        let databases = Databases::open(&config, &folder).await.unwrap();
        Place { parent, config, folder, databases }
    }

    impl Place {
        async fn open(&self) -> Result<MasterKeys, Error> {
            open(Role::Auth, &self.config, Some(&self.folder), &self.databases.auth).await
        }

        /// Tables, and something sealed in them.
        async fn set_up(&self) -> MasterKeys {
            self.databases.prepare(&self.config).await.unwrap();
            let key = self.open().await.unwrap();
            Vault::open(&self.databases.auth, key.clone()).await.unwrap();
            key
        }
    }

    #[tokio::test]
    async fn the_first_start_makes_a_key_and_the_second_finds_it() {
        let place = fresh().await;
        let first = place.set_up().await;
        let mode = place.folder.file("master.key").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(place.open().await.unwrap().ids(), first.ids());
    }

    #[tokio::test]
    async fn a_key_that_is_lost_is_not_replaced() {
        let place = fresh().await;
        place.set_up().await;
        std::fs::remove_file(place.folder.file("master.key")).unwrap();
        let refused = place.open().await.unwrap_err().to_string();
        assert!(refused.contains("put the file that belongs to this data there"), "{refused}");
        assert!(!place.folder.file("master.key").exists());
    }

    #[tokio::test]
    async fn the_key_may_lie_outside_of_the_folder() {
        let mut place = fresh().await;
        let elsewhere = place.parent.path().join("elsewhere.key");
        place.config.master_key_file = Some(elsewhere.clone());
        place.open().await.unwrap();
        assert!(elsewhere.exists());
        assert!(!place.folder.file("master.key").exists());
    }
}
