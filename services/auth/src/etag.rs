//! The etag of an account (AIP-154): opaque to clients, strong, the same for the
//! same state.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::store::account::{Account, Status};

/// Bytes of the hash that are shown: far more than chance needs, and short.
const SHOWN: usize = 16;

/// The etag of an account. Every change of it makes a new epoch, but for the
/// one by which it becomes active for the first time.
pub(crate) fn of(account: &Account) -> String {
    let hash = Sha256::new()
        .chain_update(b"countersign.account.etag\0")
        .chain_update(account.id.as_uuid().as_bytes())
        .chain_update(account.epoch.to_be_bytes())
        .chain_update([u8::from(account.status == Status::Pending)])
        .finalize();
    let mut etag = String::with_capacity(2 * SHOWN);
    for byte in hash.iter().take(SHOWN) {
        // Writing to a String cannot fail.
        let _ = write!(etag, "{byte:02x}");
    }
    etag
}
