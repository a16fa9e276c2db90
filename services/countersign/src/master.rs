//! The master key of a data folder: made at the first start, the same for ever
//! after. Whether it belongs to the data is checked by the service that seals
//! with it.

use countersign_seal::MasterKey;

use sea_orm::DatabaseConnection;

use crate::{Config, Error, folder::DataFolder};

/// Reads the master key; makes it where nothing was sealed with one yet. A
/// key that is lost is not replaced, wherever the data is kept: a new one could
/// not open what the old one sealed.
///
/// A process without a data folder has a file named for the key in its settings.
///
/// # Errors
/// [`Error::Seal`] says what is wrong with the file and what to do;
/// [`Error::Auth`] where the database cannot be read.
pub async fn open(
    config: &Config,
    folder: Option<&DataFolder>,
    auth: &DatabaseConnection,
) -> Result<MasterKey, Error> {
    let in_folder = || folder.map(|folder| folder.file("master.key"));
    let path = config.master_key_file.clone().or_else(in_folder).unwrap_or_default();
    let key = if countersign_auth::has_master_key(auth).await? {
        MasterKey::load(path)
    } else {
        MasterKey::load_or_create(path)
    };
    Ok(key?)
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
        async fn open(&self) -> Result<MasterKey, Error> {
            open(&self.config, Some(&self.folder), &self.databases.auth).await
        }

        /// Tables, and something sealed in them.
        async fn set_up(&self) -> MasterKey {
            self.databases.prepare(&self.config).await.unwrap();
            let key = self.open().await.unwrap();
            countersign_auth::check_master_key(&self.databases.auth, &key).await.unwrap();
            key
        }
    }

    #[tokio::test]
    async fn the_first_start_makes_a_key_and_the_second_finds_it() {
        let place = fresh().await;
        let first = place.set_up().await;
        let mode = place.folder.file("master.key").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(place.open().await.unwrap().id(), first.id());
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
