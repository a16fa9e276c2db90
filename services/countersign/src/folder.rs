//! The data folder: for its owner only, and for one server at a time.
//!
//! Owns the names of the files in it. It must not know what is in them.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::Error;

/// What others may do in the folder (mode bits): nothing. The group may be
/// meant, as with the volumes of Kubernetes; the world never is.
const OTHERS: u32 = 0o007;
/// How long a server waits for commands that bring the tables up to date.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it looks whether they are done.
const LOOK: Duration = Duration::from_millis(50);

/// An open data folder. Dropping it lets the next server in.
///
/// A server holds the lock for itself and for its whole life. Commands share
/// it, and hold it only while they make what a server would make, so that
/// neither a server nor another command is in their way.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    lock: Option<File>,
    alone: bool,
}

impl DataFolder {
    /// Opens the folder for a server, which must be the only one; makes it
    /// (mode 0700) where there is none. Waits up to 5 s, on this thread, for
    /// commands that bring the tables up to date.
    ///
    /// # Errors
    /// [`Error::FolderInUse`], and those of [`DataFolder::join`].
    pub fn claim(path: &Path) -> Result<Self, Error> {
        let lock = open(path)?;
        let began = Instant::now();
        loop {
            if locked(path, lock.try_lock())? {
                return Ok(Self { path: path.to_path_buf(), lock: Some(lock), alone: true });
            }
            // What can be shared is held by commands, and they end soon.
            let shared = locked(path, lock.try_lock_shared())?;
            lock.unlock().map_err(failed("lock", path))?;
            if !shared || began.elapsed() >= PATIENCE {
                return Err(Error::FolderInUse(path.to_path_buf()));
            }
            thread::sleep(LOOK);
        }
    }

    /// Opens the folder for an operator's command, which may run beside a
    /// server; makes it (mode 0700) where there is none.
    ///
    /// # Errors
    /// [`Error::FolderExposed`] where others than the owner and the group may
    /// look in, [`Error::Folder`] where the system refuses.
    pub fn join(path: &Path) -> Result<Self, Error> {
        let lock = open(path)?;
        let alone = locked(path, lock.try_lock_shared())?;
        Ok(Self { path: path.to_path_buf(), lock: alone.then_some(lock), alone })
    }

    /// Whether no server ran on this data when the folder was opened. None can
    /// start before [`DataFolder::release`].
    #[must_use]
    pub const fn is_alone(&self) -> bool {
        self.alone
    }

    /// Lets servers in, for a command that only reads and writes rows from here on.
    pub fn release(&mut self) {
        self.lock = None;
    }

    /// The folder, as an absolute path where the system tells it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone())
    }

    /// A file in the folder.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The address of a SQLite database in the folder.
    ///
    /// # Errors
    /// [`Error::FolderName`] for a path that such an address cannot hold.
    pub fn database_url(&self, name: &str) -> Result<String, Error> {
        let file = self.file(name);
        let path = file.to_str().filter(|path| !path.contains('?'));
        let path = path.ok_or_else(|| Error::FolderName(self.path.clone()))?;
        Ok(format!("sqlite://{path}"))
    }
}

/// The file that is locked, in a folder for its owner only.
fn open(path: &Path) -> Result<File, Error> {
    let make = DirBuilder::new().recursive(true).mode(0o700).create(path);
    make.map_err(failed("make", path))?;
    let mode = path.metadata().map_err(failed("read", path))?.permissions().mode();
    if mode & OTHERS != 0 {
        return Err(Error::FolderExposed(path.to_path_buf()));
    }
    // SQLite and the key need to write here: say so before they try.
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    options.open(path.join("lock")).map_err(failed("write in", path))
}

/// Whether the lock was free.
fn locked(path: &Path, tried: Result<(), TryLockError>) -> Result<bool, Error> {
    match tried {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(source)) => Err(failed("lock", path)(source)),
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::Folder { action, path, source }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_new_folder_is_for_its_owner_only() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("deep/data");
        let folder = DataFolder::claim(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let lock = folder.file("lock").metadata().unwrap();
        assert_eq!(lock.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_folder_that_others_can_read_is_refused_with_what_to_do() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let refused = DataFolder::claim(&path).unwrap_err().to_string();
        assert!(refused.contains("chmod 0700"), "{refused}");
    }

    #[test]
    fn one_server_at_a_time_and_commands_beside_it() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let first = DataFolder::claim(&path).unwrap();
        let refused = DataFolder::claim(&path).unwrap_err().to_string();
        assert!(refused.contains("in use") && refused.contains("stop"), "{refused}");
        assert!(!DataFolder::join(&path).unwrap().is_alone());
        drop(first);
        assert!(DataFolder::claim(&path).is_ok());
    }

    #[test]
    fn commands_share_the_folder_and_a_server_waits_until_they_release_it() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let mut first = DataFolder::join(&path).unwrap();
        let mut second = DataFolder::join(&path).unwrap();
        assert!(first.is_alone() && second.is_alone(), "both bring the tables up to date");
        let server = thread::spawn({
            let path = path.clone();
            move || DataFolder::claim(&path)
        });
        first.release();
        second.release();
        let server = server.join().unwrap().unwrap();
        assert!(first.is_alone(), "it remembers");
        assert!(!DataFolder::join(&path).unwrap().is_alone());
        drop(server);
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_is_a_sentence() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = DataFolder::claim(file.path()).unwrap_err().to_string();
        assert!(refused.contains("cannot make data folder"), "{refused}");
    }

    #[test]
    fn a_name_that_no_database_address_can_hold_is_a_sentence() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::claim(&parent.path().join("why?")).unwrap();
        let refused = folder.database_url("auth.db").unwrap_err().to_string();
        assert!(refused.contains("question mark"), "{refused}");
    }
}
