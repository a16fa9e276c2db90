//! Reading files that hold secrets: for their owner only, as the master key.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

use countersign_types::is_private;
use rustix::process::geteuid;
use secrecy::zeroize::Zeroizing;

use crate::Error;

/// Bytes that are read at most; whoever reads says what is too long for it.
const MAX_BYTES: u64 = 64 * 1024;

/// The text of a file that holds a secret, up to 64 KiB of it.
pub(super) fn read_secret(path: &Path) -> Result<Zeroizing<String>, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    // Asked of the open file: the path may point elsewhere a moment later.
    let about = file.metadata().map_err(failed)?;
    if !is_private(about.mode(), about.uid(), geteuid().as_raw()) {
        return Err(Error::Exposed(path.to_owned()));
    }
    // Made as long as it can become: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES as usize));
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| failed(io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8")))?;
    Ok(Zeroizing::new(text.to_owned()))
}
