//! The master key of a data folder: made at the first start, the same for ever
//! after. Whether it belongs to the data is checked by the service that seals
//! with it.

use countersign_seal::MasterKey;

use crate::{Config, Error, databases, folder::DataFolder};

/// Reads the master key; makes it where there is no data yet. A key that is
/// lost is not replaced: a new one could not open what the old one sealed.
///
/// # Errors
/// [`Error::Seal`] says what is wrong with the file and what to do.
///
/// A process without a data folder has a file named for the key in its settings.
pub fn open(config: &Config, folder: Option<&DataFolder>) -> Result<MasterKey, Error> {
    let in_folder = |name| folder.map(|folder| folder.file(name));
    let path = config.master_key_file.clone().or_else(|| in_folder("master.key"));
    let path = path.unwrap_or_default();
    let key = if in_folder(databases::AUTH_FILE).is_some_and(|file| file.exists()) {
        MasterKey::load(path)
    } else {
        MasterKey::load_or_create(path)
    };
    Ok(key?)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn fresh() -> (tempfile::TempDir, Config, DataFolder) {
        let parent = tempfile::tempdir().unwrap();
        let config = Config { data_dir: parent.path().join("data"), ..Config::default() };
        let folder = DataFolder::claim(&config.data_dir).unwrap();
        (parent, config, folder)
    }

    #[test]
    fn the_first_start_makes_a_key_and_the_second_finds_it() {
        let (_parent, config, folder) = fresh();
        let first = open(&config, Some(&folder)).unwrap();
        let mode = folder.file("master.key").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(open(&config, Some(&folder)).unwrap().id(), first.id());
    }

    #[test]
    fn a_key_that_is_lost_is_not_replaced() {
        let (_parent, config, folder) = fresh();
        fs::write(folder.file(databases::AUTH_FILE), "").unwrap();
        let refused = open(&config, Some(&folder)).unwrap_err().to_string();
        assert!(refused.contains("put the file that belongs to this data there"), "{refused}");
        assert!(!folder.file("master.key").exists());
    }

    #[test]
    fn the_key_may_lie_outside_of_the_folder() {
        let (parent, mut config, folder) = fresh();
        config.master_key_file = Some(parent.path().join("elsewhere.key"));
        open(&config, Some(&folder)).unwrap();
        assert!(parent.path().join("elsewhere.key").exists());
        assert!(!folder.file("master.key").exists());
    }
}
