//! The networks that accounts are used from, so that a new one is noticed. They
//! are kept as keyed hashes: what is stored says nothing to who has no key.

use std::net::IpAddr;

use countersign_types::UserId;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::network::Surroundings;

/// The secret of these marks in the vault.
pub(crate) const NETWORK_KEY: &str = "countersign/account-network/v1";
/// A block of SHA-256: HMAC pads a shorter key to it with zeros (RFC 2104, section 2).
const BLOCK_BYTES: usize = 64;
/// Bytes of a mark: two networks of one account do not meet in so many.
const MARK_BYTES: usize = 16;

/// Marks networks.
pub(crate) struct NetworkKey(Zeroizing<[u8; BLOCK_BYTES]>);

impl NetworkKey {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        let mut key = Zeroizing::new([0; BLOCK_BYTES]);
        for (padded, byte) in key.iter_mut().zip(secret) {
            *padded = *byte;
        }
        Self(key)
    }

    /// What the surroundings of an address are kept as, for this account alone.
    pub(crate) fn mark(&self, account: UserId, address: Option<IpAddr>) -> Vec<u8> {
        let surroundings = address.map(|address| Surroundings::from(address).to_string());
        let mac = <Hmac<Sha256> as KeyInit>::new((&*self.0).into())
            .chain_update(account.as_uuid().as_bytes())
            .chain_update(surroundings.unwrap_or_default())
            .finalize()
            .into_bytes();
        mac.iter().copied().take(MARK_BYTES).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_of_one_account_and_its_surroundings() {
        let key = NetworkKey::new(&[1; 32]);
        let (ada, bob) = (UserId::generate(), UserId::generate());
        let at = |text: &str| Some(text.parse().unwrap());
        assert_eq!(key.mark(ada, at("192.0.2.1")), key.mark(ada, at("192.0.2.200")));
        assert_ne!(key.mark(ada, at("192.0.2.1")), key.mark(ada, at("192.0.3.1")));
        assert_ne!(key.mark(ada, at("192.0.2.1")), key.mark(bob, at("192.0.2.1")));
        assert_ne!(key.mark(ada, at("192.0.2.1")), key.mark(ada, None));
        let other = NetworkKey::new(&[2; 32]);
        assert_ne!(key.mark(ada, None), other.mark(ada, None));
    }
}
