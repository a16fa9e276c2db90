//! What access tokens say about their origin, and what the guard asks of them.

use std::time::Duration;

use countersign_guard::{AttributeKinds, Settings};
use countersign_mesh::{
    Error,
    config::{ServerConfig, duration_in_range, in_range},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest text in a claim, in bytes: a token stays far below 4 KiB.
const TEXT_MAX: usize = 255;

/// Settings of access tokens, the same for who signs and who verifies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TokenConfig {
    /// Who issues the tokens (claim `iss`), 1 to 255 bytes.
    pub issuer: String,
    /// For which services the tokens are (claim `aud`), 1 to 255 bytes.
    pub audience: String,
    /// Name of the environment, 1 to 255 bytes. A token of one environment is refused in every other, even where the keys are the same.
    pub environment: String,
    /// How far the clocks of two machines may lie apart, 0s to 1m.
    #[serde(with = "countersign_mesh::config::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub leeway: Duration,
    /// How old the news of revoked sessions may be before a server without the auth service refuses calls with UNAVAILABLE, 5s to 1h, but for RPCs whose rule names a `max_staleness` of its own; 0s means that it goes on with what it knows. News stop when the broker is away; what they could tell of is over when the access tokens of the time have expired.
    #[serde(with = "countersign_mesh::config::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub max_staleness: Duration,
    /// The attributes that accounts can have and policies may ask for, each as `name:type`, at most 32; the types are `string`, `long`, `bool` and `strings`. A name has up to 32 lower-case letters, digits and `_`. The same in all processes.
    pub attributes: Vec<String>,
    /// Those of them that policies of other services read. Access tokens carry these, and what the policies of the auth service read.
    pub attributes_elsewhere: Vec<String>,
    /// How many verified tokens the guard remembers, 100 to 10000000; each takes about 3 KiB once it is seen.
    pub cache_capacity: u32,
    /// How many tokens that do not hold are verified for one peer (an IPv4 address or an IPv6 /64) in a second, four times as many at once, 1 to 10000; its further new tokens are answered RESOURCE_EXHAUSTED. 0 sets no limit: for servers behind a proxy, to which all calls come from one address.
    pub bad_tokens_per_second: u32,
}

impl Default for TokenConfig {
    fn default() -> Self {
        Self {
            issuer: "countersign".to_owned(),
            audience: "countersign".to_owned(),
            environment: "development".to_owned(),
            leeway: Duration::from_secs(5),
            max_staleness: Duration::ZERO,
            attributes: Vec::new(),
            attributes_elsewhere: Vec::new(),
            cache_capacity: 10_000,
            bad_tokens_per_second: Settings::default().bad_tokens_per_second,
        }
    }
}

impl TokenConfig {
    /// Checks every range; `section` is where these settings stand.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for the first value that can not be used.
    pub fn validate(&self, section: &str) -> Result<(), Error> {
        for (name, text) in [
            ("issuer", &self.issuer),
            ("audience", &self.audience),
            ("environment", &self.environment),
        ] {
            if text.is_empty() || text.len() > TEXT_MAX {
                return Err(Error::OutOfRange {
                    key: format!("{section}.{name}"),
                    reason: format!("must have 1 to {TEXT_MAX} bytes, and has {}", text.len()),
                });
            }
        }
        let leeway = Duration::ZERO..=Duration::from_secs(60);
        duration_in_range(&format!("{section}.leeway"), self.leeway, &leeway)?;
        if self.max_staleness > Duration::ZERO {
            let range = Duration::from_secs(5)..=Duration::from_secs(3_600);
            duration_in_range(&format!("{section}.max_staleness"), self.max_staleness, &range)?;
        }
        let declared = self
            .declared()
            .map_err(|reason| Error::OutOfRange { key: format!("{section}.attributes"), reason })?;
        if let Some(name) =
            self.attributes_elsewhere.iter().find(|name| declared.get(name).is_none())
        {
            return Err(Error::OutOfRange {
                key: format!("{section}.attributes_elsewhere"),
                reason: format!("names `{name}`, which {section}.attributes does not declare"),
            });
        }
        let capacity = format!("{section}.cache_capacity");
        in_range(&capacity, &self.cache_capacity, &(100..=10_000_000))?;
        let bad_tokens = format!("{section}.bad_tokens_per_second");
        in_range(&bad_tokens, &self.bad_tokens_per_second, &(0..=10_000))
    }

    fn declared(&self) -> Result<AttributeKinds, String> {
        AttributeKinds::parse(self.attributes.iter().map(String::as_str))
    }

    /// The settings of a guard that takes these tokens in such a server.
    #[must_use]
    pub fn guard(&self, server: &ServerConfig) -> Settings {
        Settings {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            environment: self.environment.clone(),
            leeway: self.leeway,
            cache_capacity: self.cache_capacity.into(),
            // Checked when the configuration was read.
            attributes: self.declared().unwrap_or_default(),
            max_message_bytes: usize::try_from(server.max_message_bytes).unwrap_or(usize::MAX),
            bad_tokens_per_second: self.bad_tokens_per_second,
            ..Settings::default()
        }
    }
}
