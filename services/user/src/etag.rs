//! The etag of a profile (AIP-154): opaque to clients, strong, the same for
//! the same state.

use std::fmt::Write;

use countersign_types::UserId;
use sha2::{Digest, Sha256};

/// Bytes of the hash that are shown: far more than chance needs, and short.
const SHOWN: usize = 16;

/// The etag of a profile at a version. The hash keeps clients from counting
/// with the version, and from using one profile's etag on another.
pub fn of(user: UserId, version: i64) -> String {
    let hash = Sha256::new()
        .chain_update(b"countersign.profile.etag\0")
        .chain_update(user.as_uuid().as_bytes())
        .chain_update(version.to_be_bytes())
        .finalize();
    let mut etag = String::with_capacity(2 * SHOWN);
    for byte in hash.iter().take(SHOWN) {
        // Writing to a String cannot fail.
        let _ = write!(etag, "{byte:02x}");
    }
    etag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_is_one_of_its_profile_and_version() {
        let (ada, bob) = (UserId::generate(), UserId::generate());
        assert_eq!(of(ada, 1), of(ada, 1));
        assert_ne!(of(ada, 1), of(ada, 2));
        assert_ne!(of(ada, 1), of(bob, 1));
        assert_eq!(of(ada, 1).len(), 32);
    }
}
