//! What an operator can set for the audit trails.

use std::time::Duration;

use countersign_mesh::config::duration_in_range;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How the audit trails are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long entries are kept, 30d to 3650d; then they are deleted from the oldest on, up to a signed checkpoint, so that what is left can still be verified.
    #[serde(with = "countersign_mesh::config::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub retention: Duration,
    /// How often the end of a chain that has grown is signed and published, 10s to 1d. What somebody with all rights on the database cuts off within this time does not show.
    #[serde(with = "countersign_mesh::config::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub checkpoint_interval: Duration,
    /// What becomes of a call that reads the data of others while the trail cannot be written: `refuse` writes the entry before it answers, `queue` answers and keeps up to 1024 entries in memory until they can be written, and refuses then. Changes and logins are one transaction with their entries and never wait.
    pub reads: Reads,
}

/// What a call that reads the data of others waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reads {
    /// That its entry is in the trail.
    #[default]
    Refuse,
    /// That there is room for its entry in memory.
    Queue,
}

impl Default for Config {
    fn default() -> Self {
        Self { retention: 365 * DAY, checkpoint_interval: MINUTE, reads: Reads::default() }
    }
}

impl Config {
    /// Checks every range; `section` is where these settings stand, such as `audit`.
    ///
    /// # Errors
    /// The first value that can not be used.
    pub fn validate(&self, section: &str) -> Result<(), countersign_mesh::Error> {
        let key = |name: &str| format!("{section}.{name}");
        duration_in_range(&key("retention"), self.retention, &(30 * DAY..=3650 * DAY))?;
        let interval = MINUTE / 6..=DAY;
        duration_in_range(&key("checkpoint_interval"), self.checkpoint_interval, &interval)
    }
}
