//! Policy files in a folder, read as one snapshot.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{Error, policies::Problem};

/// Policy files that a folder may have.
pub const MAX_FILES: usize = 1_000;
/// Octets that all policy files of a folder may have together.
pub const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Where Kubernetes keeps what a volume holds now: the link is replaced in one
/// step, and the files beside it are links through it.
const CURRENT: &str = "..data";

/// A policy file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyFile {
    /// What problems call it, such as `profile.cedar`.
    pub name: String,
    /// What is written in it.
    pub text: String,
}

/// A folder of policies: its files `*.cedar`, in the order of their names.
/// Folders in it, and names that begin with a dot, do not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFolder {
    path: PathBuf,
}

/// What a folder held at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The policy files, by name.
    pub files: Vec<PolicyFile>,
    /// The same for the same names and texts, and for no others.
    pub digest: [u8; 32],
}

impl PolicyFile {
    /// A file of this name.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }
}

impl PolicyFolder {
    /// The folder at `path`; nothing is read yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its policy files. Links are followed once, at the beginning, so that a
    /// link to the folder, or the one of a Kubernetes volume, may be replaced
    /// meanwhile: what is read is one state or the other.
    ///
    /// # Errors
    /// [`Error::Policies`] with every file that cannot be read or is no text, or
    /// that goes beyond [`MAX_FILES`] or [`MAX_BYTES`].
    pub fn read(&self) -> Result<Snapshot, Error> {
        let folder = self.current().map_err(|error| self.refuse(&error.to_string()))?;
        let (mut files, mut problems, mut left) = (Vec::new(), Vec::new(), MAX_BYTES);
        for path in self.listed(&folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match read(&path, &mut left) {
                Ok(text) => files.push(PolicyFile { name, text }),
                Err(reason) => problems.push(Problem { file: self.shown(&name), line: 0, reason }),
            }
        }
        if !problems.is_empty() {
            return Err(Error::Policies(problems));
        }
        Ok(Snapshot { digest: digest(&files), files: self.named(files) })
    }

    fn current(&self) -> io::Result<PathBuf> {
        let folder = fs::canonicalize(&self.path)?;
        match fs::canonicalize(folder.join(CURRENT)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(folder),
            found => found,
        }
    }

    fn listed(&self, folder: &Path) -> Result<Vec<PathBuf>, Error> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(|error| self.refuse(&error.to_string()))? {
            let path = entry.map_err(|error| self.refuse(&error.to_string()))?.path();
            let is_hidden =
                path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
            if path.extension().is_some_and(|extension| extension == "cedar") && !is_hidden {
                paths.push(path);
            }
        }
        if paths.len() > MAX_FILES {
            return Err(self.refuse(&format!("has more than {MAX_FILES} policy files")));
        }
        paths.sort();
        Ok(paths)
    }

    /// As an operator finds them: by the path that the folder was named with.
    fn named(&self, files: Vec<PolicyFile>) -> Vec<PolicyFile> {
        let shown = |file: PolicyFile| PolicyFile { name: self.shown(&file.name), ..file };
        files.into_iter().map(shown).collect()
    }

    fn shown(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }

    fn refuse(&self, reason: &str) -> Error {
        let file = self.path.display().to_string();
        Error::Policies(vec![Problem { file, line: 0, reason: reason.to_owned() }])
    }
}

fn read(path: &Path, left: &mut u64) -> Result<String, String> {
    // A pipe would keep whoever opens it waiting.
    if !fs::metadata(path).map_err(|error| error.to_string())?.is_file() {
        return Err("is no file".to_owned());
    }
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    let mut bounded = file.take(left.saturating_add(1));
    bounded.read_to_string(&mut text).map_err(|error| error.to_string())?;
    *left = left
        .checked_sub(text.len() as u64)
        .ok_or_else(|| format!("with it the folder has more than {MAX_BYTES} octets"))?;
    Ok(text)
}

fn digest(files: &[PolicyFile]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for text in files.iter().flat_map(|file| [&file.name, &file.text]) {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}
