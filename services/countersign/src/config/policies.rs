//! Policies of one's own, and where they come from.

use std::{path::PathBuf, time::Duration};

use countersign_contracts::BASE_POLICIES;
use countersign_guard::policies::{PolicyFile, PolicyFolder};
use countersign_mesh::{Error, config::duration_in_range};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which policies the guard decides by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PoliciesConfig {
    /// A folder of policies of one's own, files `*.cedar`: at most 1000, of 16 MiB together.
    pub dir: Option<PathBuf>,
    /// Whether the base policies hold beside those of `dir`. Without them only what `dir` permits is permitted.
    pub base: bool,
    /// How often `dir` is looked at for changes, 100ms to 1h; SIGHUP looks at once. Policies that do not hold are refused, and those from before stay.
    #[serde(with = "countersign_mesh::config::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub poll_interval: Duration,
    /// A folder of policies on trial, in place of those of `dir`: what they would decide differently is counted and logged, and changes no answer. At most 1000 calls a second are looked at.
    pub shadow_dir: Option<PathBuf>,
}

impl Default for PoliciesConfig {
    fn default() -> Self {
        Self { dir: None, base: true, poll_interval: Duration::from_secs(2), shadow_dir: None }
    }
}

impl PoliciesConfig {
    /// Checks every value, and that there is anything to decide by; `section` is
    /// where these settings stand.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for the first value that can not be used.
    pub fn validate(&self, section: &str) -> Result<(), Error> {
        let interval = Duration::from_millis(100)..=Duration::from_secs(3600);
        duration_in_range(&format!("{section}.poll_interval"), self.poll_interval, &interval)?;
        if self.base || self.dir.is_some() {
            return Ok(());
        }
        Err(Error::OutOfRange {
            key: format!("{section}.base"),
            reason: format!("is false, and without {section}.dir nobody could call anything"),
        })
    }

    /// The base policies, where they hold.
    #[must_use]
    pub fn base(&self) -> Vec<PolicyFile> {
        if self.base { base_policies() } else { Vec::new() }
    }

    /// The folder of one's own policies.
    #[must_use]
    pub fn folder(&self) -> Option<PolicyFolder> {
        self.dir.as_ref().map(PolicyFolder::new)
    }
}

/// The policies that are built in. Their names tell them from files on disk.
pub fn base_policies() -> Vec<PolicyFile> {
    let file = |(name, text): &(&str, &str)| PolicyFile::new(format!("(base) {name}"), *text);
    BASE_POLICIES.iter().map(file).collect()
}
