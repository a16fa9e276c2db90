//! What differs between one mounted guard and another.

use std::time::Duration;

use crate::{AttributeKinds, Error};

/// Settings of a guard. The default has limits only: who issues the tokens,
/// for whom and in which environment has to be said.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Issuer whose tokens are taken (`iss`).
    pub issuer: String,
    /// Audience that the guarded services belong to (`aud`).
    pub audience: String,
    /// Environment that the tokens are bound to, such as `production`.
    pub environment: String,
    /// How far the clocks of issuer and guard may lie apart.
    pub leeway: Duration,
    /// Verified tokens that are remembered; each takes about 3 KiB, with its last permits.
    pub cache_capacity: u64,
    /// Octets of the longest message that a guarded service decodes.
    pub max_message_bytes: usize,
    /// How long the first message of a stream may take that has to name its
    /// resource. The call is answered DEADLINE_EXCEEDED then.
    pub first_message_timeout: Duration,
    /// How long a resolver may take. The call is answered DEADLINE_EXCEEDED then.
    pub resolver_timeout: Duration,
    /// Tokens with a bad signature, or good only elsewhere or in the past, that
    /// are verified for one peer (an IPv4 address or an IPv6 /64) in a second,
    /// four times as many at once. Beyond that, new tokens of this peer are
    /// answered RESOURCE_EXHAUSTED, and remembered ones go on. 0 sets no limit:
    /// for guards behind a proxy, to which all calls come from one address.
    pub bad_tokens_per_second: u32,
    /// The attributes of accounts that policies may ask for.
    pub attributes: AttributeKinds,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audience: String::new(),
            environment: String::new(),
            leeway: Duration::from_secs(5),
            cache_capacity: 10_000,
            max_message_bytes: 1024 * 1024,
            first_message_timeout: Duration::from_secs(10),
            resolver_timeout: Duration::from_secs(5),
            bad_tokens_per_second: 50,
            attributes: AttributeKinds::default(),
        }
    }
}

impl Settings {
    /// Names the first setting that is missing.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let texts = [
            ("issuer", &self.issuer),
            ("audience", &self.audience),
            ("environment", &self.environment),
        ];
        match texts.into_iter().find(|(_, text)| text.is_empty()) {
            Some((name, _)) => Err(Error::Setting(name)),
            None => Ok(()),
        }
    }
}
