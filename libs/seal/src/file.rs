//! The file of the master key. It is written once, whole, for its owner only,
//! and never overwritten.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use countersign_types::is_private;
use rustix::process::geteuid;
use zeroize::Zeroizing;

use crate::{Error, key::KEY_LEN};

const PREFIX: &str = "csmk1_";
/// Prefix, 43 characters, a line end, and room to notice that there is more.
const FILE_MAX: u64 = 64;

pub(crate) fn read(path: &Path) -> Result<Zeroizing<[u8; KEY_LEN]>, Error> {
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
    let mut text = Zeroizing::new(Vec::with_capacity(128));
    file.take(FILE_MAX).read_to_end(&mut text).map_err(failed)?;
    parse(&text).ok_or_else(|| Error::NotAKey(path.into()))
}

pub(crate) fn write_new(path: &Path, key: &[u8; KEY_LEN]) -> Result<(), Error> {
    let failed = |source| Error::File { action: "write", path: path.into(), source };
    if path.symlink_metadata().is_ok() {
        return Err(Error::Exists(path.into()));
    }
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|_| Error::Random)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{:016x}", u64::from_ne_bytes(random)));
    let draft = path.with_file_name(name);

    let written = write_synced(&draft, key)
        // A link, unlike a rename, fails where another process was first.
        .and_then(|()| fs::hard_link(&draft, path));
    // What is left over of a draft is no key file, only clutter.
    let _ = fs::remove_file(&draft);
    written.and_then(|()| sync_folder(path)).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Error::Exists(path.into()),
        _ => failed(error),
    })
}

fn parse(text: &[u8]) -> Option<Zeroizing<[u8; KEY_LEN]>> {
    let line = text.strip_suffix(b"\n").unwrap_or(text);
    let encoded = line.strip_prefix(PREFIX.as_bytes())?;
    // One byte more than a key, so that a longer text is refused.
    let mut bytes = Zeroizing::new([0; KEY_LEN + 1]);
    let length = BASE64_URL_SAFE_NO_PAD.decode_slice(encoded, bytes.as_mut_slice()).ok()?;
    let key = bytes.first_chunk::<KEY_LEN>().filter(|_| length == KEY_LEN)?;
    Some(Zeroizing::new(*key))
}

fn write_synced(path: &Path, key: &[u8; KEY_LEN]) -> io::Result<()> {
    let mut line = Zeroizing::new(String::with_capacity(128));
    line.push_str(PREFIX);
    BASE64_URL_SAFE_NO_PAD.encode_string(key, &mut line);
    line.push('\n');
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
