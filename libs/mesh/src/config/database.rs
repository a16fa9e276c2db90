//! Settings of the database.

use std::{path::PathBuf, time::Duration};

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{duration_in_range, in_range, secret::read_secret};
use crate::Error;

/// Where the data is, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseConfig {
    /// `sqlite://PATH` or `postgres://USER@HOST/NAME`, without a password. Unset: SQLite in the data folder.
    pub url: Option<String>,
    /// A file (mode 0600, or 0640 where root owns it) with the URL in its first line, password and all; in place of `url`.
    pub url_file: Option<PathBuf>,
    /// Connections to the database, 1 to 500.
    pub max_connections: u32,
    /// How long a call waits for a free connection, 100ms to 1m.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub acquire_timeout: Duration,
    /// How long SQLite waits for another writer, 100ms to 1m.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub busy_timeout: Duration,
    /// How long PostgreSQL may take for one statement, 100ms to 10m.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub statement_timeout: Duration,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self {
            url: None,
            url_file: None,
            max_connections: 8,
            acquire_timeout: Duration::from_secs(5),
            busy_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
        }
    }
}

impl DatabaseConfig {
    /// Checks every range; `section` is where these settings stand, such as `database`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for the first value that can not be used, such as a
    /// URL with a password in it.
    pub fn validate(&self, section: &str) -> Result<(), Error> {
        const SECOND: Duration = Duration::from_secs(1);
        let key = |name: &str| format!("{section}.{name}");
        let refuse = |reason: String| Err(Error::OutOfRange { key: key("url"), reason });
        if self.url.is_some() && self.url_file.is_some() {
            return refuse(format!("and {} exclude each other", key("url_file")));
        }
        if self.url.as_deref().is_some_and(has_password) {
            return refuse(format!(
                "must not hold a password: write the URL to a file and name it in {}",
                key("url_file")
            ));
        }
        in_range(&key("max_connections"), &self.max_connections, &(1..=500))?;
        for (name, value, range) in [
            ("acquire_timeout", self.acquire_timeout, SECOND / 10..=60 * SECOND),
            ("busy_timeout", self.busy_timeout, SECOND / 10..=60 * SECOND),
            ("statement_timeout", self.statement_timeout, SECOND / 10..=600 * SECOND),
        ] {
            duration_in_range(&key(name), value, &range)?;
        }
        Ok(())
    }

    /// The URL to connect to: from the file, else as configured, else `default`.
    ///
    /// # Errors
    /// [`Error::Read`] when the file can not be read, [`Error::Exposed`] when
    /// others than the server may ([`countersign_types::is_private`]).
    pub fn secret_url(&self, default: &str) -> Result<SecretString, Error> {
        let Some(path) = &self.url_file else {
            return Ok(self.url.as_deref().unwrap_or(default).into());
        };
        let text = read_secret(path)?;
        Ok(text.lines().next().unwrap_or_default().trim().into())
    }
}

/// Whether the part before the host of a URL, or a parameter, holds a password.
fn has_password(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else { return false };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    user.is_some_and(|user| user.contains(':')) || rest.contains("password=")
}
