//! Where a process without the auth service learns which keys verify tokens.

use std::{path::PathBuf, time::Duration};

use countersign_mesh::{Error, channel::Target, config::duration_in_range};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const SECOND: Duration = Duration::from_secs(1);

/// The way to the verification keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeysConfig {
    /// Auth services to fetch the keys from, `http://HOST:PORT` or `https://HOST:PORT`, all of one kind, called as `client` says; every address of a name is one. Only a process without the auth service asks.
    pub source: Vec<String>,
    /// A PEM file with the authorities that sign the certificates of those with `https`. Unset: `client.tls.ca_file`, or else those of the system.
    pub ca_file: Option<PathBuf>,
    /// How often the keys are fetched, 1s to 1d: at most half of `auth.signing_keys.announce_period`, so that a fetch may fail once and no key is missed.
    #[serde(with = "countersign_mesh::config::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub refresh_interval: Duration,
    /// How long a fetch may take with all its attempts, 100ms to 1m.
    #[serde(with = "countersign_mesh::config::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub timeout: Duration,
}

impl Default for KeysConfig {
    fn default() -> Self {
        Self {
            source: Vec::new(),
            ca_file: None,
            refresh_interval: 240 * SECOND,
            timeout: 3 * SECOND,
        }
    }
}

impl KeysConfig {
    /// Checks every value; `section` is where these settings stand.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for the first value that can not be used.
    pub fn validate(&self, section: &str) -> Result<(), Error> {
        let key = |name: &str| format!("{section}.{name}");
        let day = 24 * 3600 * SECOND;
        duration_in_range(&key("refresh_interval"), self.refresh_interval, &(SECOND..=day))?;
        duration_in_range(&key("timeout"), self.timeout, &(SECOND / 10..=60 * SECOND))?;
        let host = |url: &str| {
            let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
            rest.is_some_and(|host| !host.is_empty())
        };
        let refused = |reason: String| Error::OutOfRange { key: key("source"), reason };
        if let Some(url) = self.source.iter().find(|url| !host(url)) {
            return Err(refused(format!(
                "must name auth services as http://HOST:PORT or https://HOST:PORT, and has {url:?}"
            )));
        }
        match self.target() {
            None | Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(refused(format!("cannot be used: {error}"))),
        }
    }

    /// The auth services, as a channel calls them; `None` where there are none.
    pub(crate) fn target(&self) -> Option<Result<Target, Error>> {
        (!self.source.is_empty()).then(|| self.source.join(",").parse())
    }

    /// Checks that each key is known to who fetches before it signs.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] names both settings.
    pub fn fit(&self, section: &str, announce_period: Duration) -> Result<(), Error> {
        if 2 * self.refresh_interval <= announce_period {
            return Ok(());
        }
        Err(Error::OutOfRange {
            key: format!("{section}.refresh_interval"),
            reason: "must be at most half of auth.signing_keys.announce_period: a key would sign \
                     before every guard has fetched it"
                .to_owned(),
        })
    }
}
