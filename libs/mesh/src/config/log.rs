//! Settings of the logs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, logs};

/// What is logged, and in which form. Logs go to stderr.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// `error`, `warn`, `info`, `debug` or `trace`, also per module: `info,countersign_auth=debug`.
    pub level: String,
    /// `text` for people, `json` for machines.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object on a line.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

impl LogConfig {
    /// Checks the level; `section` is where these settings stand, such as `log`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when the level can not be read.
    pub fn validate(&self, section: &str) -> Result<(), Error> {
        logs::filter(self).map(drop).map_err(|_| Error::OutOfRange {
            key: format!("{section}.level"),
            reason: format!("must be a level or a list of levels, and is {:?}", self.level),
        })
    }
}
