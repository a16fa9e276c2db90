//! Device tokens: a proof that a device has logged in to an account before
//! (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").
//!
//! A token opens nothing; the throttle tells by it the owner of an account from
//! those who guess. It is a MAC under a key of the server, and stored nowhere.

use std::{fmt, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use countersign_types::{Timestamp, UserId};
use hmac::{Hmac, KeyInit, Mac};
use sea_orm::prelude::Uuid;
use sha2::Sha256;
use zeroize::Zeroizing;

/// The secret of device tokens in the vault.
pub(crate) const DEVICE_KEY: &str = "countersign/device-token/v1";
/// Tells a device token from everything else, and its format from later ones.
const PREFIX: &str = "csd1_";
/// Account, device and time of issue.
const CONTENT_BYTES: usize = 16 + 16 + 8;
/// A block of SHA-256: HMAC pads a shorter key to it with zeros (RFC 2104, section 2).
const BLOCK_BYTES: usize = 64;

/// Issues and checks device tokens.
pub(crate) struct DeviceKey {
    key: Zeroizing<[u8; BLOCK_BYTES]>,
    lifetime: Duration,
}

/// A device that has logged in to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) user: UserId,
    /// Random, and the same in all tokens that followed from one.
    pub(crate) id: Uuid,
}

impl Device {
    /// A device that is seen for the first time.
    pub(crate) fn new(user: UserId) -> Self {
        Self { user, id: Uuid::new_v4() }
    }
}

impl DeviceKey {
    /// Tokens are good for `lifetime` after they were issued.
    pub(crate) fn new(secret: &[u8; 32], lifetime: Duration) -> Self {
        let mut key = Zeroizing::new([0; BLOCK_BYTES]);
        for (padded, byte) in key.iter_mut().zip(secret) {
            *padded = *byte;
        }
        Self { key, lifetime }
    }

    pub(crate) fn issue(&self, device: Device, now: Timestamp) -> String {
        let Device { user, id } = device;
        let content =
            [user.as_uuid().as_bytes().as_slice(), id.as_bytes(), &now.as_micros().to_be_bytes()]
                .concat();
        let mac = self.mac(&content).finalize().into_bytes();
        let mut text = PREFIX.to_owned();
        BASE64_URL_SAFE_NO_PAD.encode_string([&content, mac.as_slice()].concat(), &mut text);
        text
    }

    /// The device of a token that was issued here and lives; `None` for anything else.
    pub(crate) fn check(&self, text: &str, now: Timestamp) -> Option<Device> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let (content, mac) = bytes.split_at_checked(CONTENT_BYTES)?;
        self.mac(content).verify_slice(mac).ok()?;
        let (user, rest) = content.split_first_chunk::<16>()?;
        let (id, issued) = rest.split_first_chunk::<16>()?;
        let issued = Timestamp::from_micros(i64::from_be_bytes(*issued.first_chunk()?));
        let device = Device { user: Uuid::from_bytes(*user).into(), id: Uuid::from_bytes(*id) };
        (now.since(issued) < self.lifetime).then_some(device)
    }

    fn mac(&self, content: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new((&*self.key).into());
        mac.update(content);
        mac
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceKey(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIFETIME: Duration = Duration::from_secs(100);
    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn key() -> DeviceKey {
        let secret = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
        DeviceKey::new(secret.first_chunk().unwrap(), LIFETIME)
    }

    #[test]
    fn a_token_names_its_device_until_its_time_is_over() {
        let (key, device) = (key(), Device::new(UserId::generate()));
        let token = key.issue(device, NOW);
        assert!(token.len() <= 512);
        let last = NOW.plus(LIFETIME - Duration::from_micros(1));
        assert_eq!(key.check(&token, last), Some(device));
        assert_eq!(key.check(&token, NOW.plus(LIFETIME)), None);
    }

    #[test]
    fn a_token_of_another_key_is_none() {
        let device = Device::new(UserId::generate());
        assert_eq!(key().check(&key().issue(device, NOW), NOW), None);
    }

    proptest! {
        #[test]
        fn a_changed_token_is_none(place in 0..101_usize, with in "[A-Za-z0-9_-]") {
            let (key, device) = (key(), Device::new(UserId::generate()));
            let token = key.issue(device, NOW);
            let mut changed = token.clone();
            changed.replace_range(place..=place, &with);
            prop_assert_eq!(key.check(&changed, NOW).is_some(), changed == token);
        }

        #[test]
        fn any_other_text_is_none(text in "(csd1_)?\\PC{0,120}") {
            prop_assert_eq!(key().check(&text, NOW), None);
        }
    }
}
