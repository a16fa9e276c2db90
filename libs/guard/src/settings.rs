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
    /// Verified tokens that are remembered; each takes about 2 KiB.
    pub cache_capacity: u64,
    /// Octets of the longest message that a guarded service decodes.
    pub max_message_bytes: usize,
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
