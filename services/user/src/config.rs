//! What an operator can set for the user service.

use std::time::Duration;

use countersign_events::{ConsumerOptions, RelayOptions};
use countersign_mesh::config::{duration_in_range, in_range};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the user service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long published events are kept for a replay, 1h to 365days.
    #[serde(with = "countersign_mesh::config::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub event_retention: Duration,
    /// How often an event is tried before it becomes a dead letter, 1 to 100.
    pub max_deliveries: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            event_retention: RelayOptions::default().retention,
            max_deliveries: ConsumerOptions::default().max_deliveries,
        }
    }
}

impl Config {
    /// Checks every range; `section` is where these settings stand, such as `user`.
    ///
    /// # Errors
    /// The first value that can not be used.
    pub fn validate(&self, section: &str) -> Result<(), countersign_mesh::Error> {
        let retention = Duration::from_hours(1)..=Duration::from_hours(365 * 24);
        duration_in_range(&format!("{section}.event_retention"), self.event_retention, &retention)?;
        in_range(&format!("{section}.max_deliveries"), &self.max_deliveries, &(1..=100))
    }

    pub(crate) fn relay(&self) -> RelayOptions {
        RelayOptions { retention: self.event_retention, ..RelayOptions::default() }
    }

    pub(crate) fn consumer(&self) -> ConsumerOptions {
        ConsumerOptions { max_deliveries: self.max_deliveries, ..ConsumerOptions::default() }
    }
}
