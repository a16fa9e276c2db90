//! The file of the master keys. It is written whole, for its owner only; a key
//! in it is never overwritten, and a new one is added as the last line.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use countersign_types::is_private;
use rustix::process::geteuid;
use zeroize::Zeroizing;

use crate::{Error, MasterKey, key::KEY_LEN};

/// Master keys in one file: the one in use, the one to come, and those before
/// that backups may still need.
pub const KEYS_MAX: usize = 8;

const PREFIX: &str = "csmk1_";
/// Prefix, 43 characters and a line end, so often as there may be keys, and
/// room to notice that there is more.
const FILE_MAX: usize = KEYS_MAX * 50 + 14;

pub(crate) fn read(path: &Path) -> Result<Vec<Zeroizing<[u8; KEY_LEN]>>, Error> {
    let failed = |source| match source {
        source if ErrorKind::NotFound == io::Error::kind(&source) => Error::Missing(path.into()),
        source => Error::File { action: "read", path: path.into(), source },
    };
    let file = File::open(path).map_err(failed)?;
    // Asked of the open file: the path may point elsewhere a moment later.
    let about = file.metadata().map_err(failed)?;
    if !is_private(about.mode(), about.uid(), geteuid().as_raw()) {
        return Err(Error::Exposed(path.into()));
    }
    // Never grown, which would leave a copy behind.
    let mut text = Zeroizing::new(Vec::with_capacity(2 * FILE_MAX));
    file.take(FILE_MAX as u64).read_to_end(&mut text).map_err(failed)?;
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    let keys: Option<Vec<_>> = text.split(|byte| *byte == b'\n').map(parse).collect();
    let twice = |keys: &[Zeroizing<[u8; KEY_LEN]>]| {
        keys.iter().enumerate().any(|(at, key)| keys.iter().skip(at + 1).any(|later| later == key))
    };
    let keys = keys.filter(|keys| keys.len() <= KEYS_MAX && !twice(keys));
    keys.ok_or_else(|| Error::NotAKey(path.into()))
}

pub(crate) fn write_new(path: &Path, key: &[u8; KEY_LEN]) -> Result<(), Error> {
    let failed = |source| Error::File { action: "write", path: path.into(), source };
    if path.symlink_metadata().is_ok() {
        return Err(Error::Exists(path.into()));
    }
    let draft = draft_of(path)?;
    let written = write_synced(&draft, [key])
        // A link, unlike a rename, fails where another process was first.
        .and_then(|()| fs::hard_link(&draft, path));
    // What is left over of a draft is no key file, only clutter.
    let _ = fs::remove_file(&draft);
    written.and_then(|()| sync_folder(path)).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Error::Exists(path.into()),
        _ => failed(error),
    })
}

/// Keeps every other process that asks for it from changing the file, until it is
/// dropped. The folder is locked: the file itself is replaced.
pub(crate) fn lock(path: &Path) -> Result<File, Error> {
    let failed = |source| Error::File { action: "lock", path: path.into(), source };
    let folder = folder_of(path).map_err(failed)?;
    folder.lock().map_err(failed)?;
    Ok(folder)
}

/// Puts `keys` in the place of those that are in the file.
pub(crate) fn replace(path: &Path, keys: &[MasterKey]) -> Result<(), Error> {
    if keys.len() > KEYS_MAX {
        return Err(Error::TooMany(path.into()));
    }
    let failed = |source| Error::File { action: "write", path: path.into(), source };
    let draft = draft_of(path)?;
    let written = write_synced(&draft, keys.iter().map(MasterKey::bytes))
        .and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written.and_then(|()| sync_folder(path)).map_err(failed)
}

fn draft_of(path: &Path) -> Result<PathBuf, Error> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|_| Error::Random)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{:016x}", u64::from_ne_bytes(random)));
    Ok(path.with_file_name(name))
}

fn parse(line: &[u8]) -> Option<Zeroizing<[u8; KEY_LEN]>> {
    let encoded = line.strip_prefix(PREFIX.as_bytes())?;
    // One byte more than a key, so that a longer text is refused.
    let mut bytes = Zeroizing::new([0; KEY_LEN + 1]);
    let length = BASE64_URL_SAFE_NO_PAD.decode_slice(encoded, bytes.as_mut_slice()).ok()?;
    let key = bytes.first_chunk::<KEY_LEN>().filter(|_| length == KEY_LEN)?;
    Some(Zeroizing::new(*key))
}

fn write_synced<'a>(
    path: &Path,
    keys: impl IntoIterator<Item = &'a [u8; KEY_LEN]>,
) -> io::Result<()> {
    let mut lines = Zeroizing::new(String::with_capacity(2 * FILE_MAX));
    for key in keys {
        lines.push_str(PREFIX);
        BASE64_URL_SAFE_NO_PAD.encode_string(key, &mut lines);
        lines.push('\n');
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(lines.as_bytes())?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    folder_of(path)?.sync_all()
}

fn folder_of(path: &Path) -> io::Result<File> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))
}
