//! How accounts are deleted.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How accounts are deleted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeletionConfig {
    /// How long an account waits that is to be deleted, 0s to 91days: it cannot log in, and an administrator can enable it again. 0s deletes at once.
    #[serde(with = "countersign_mesh::config::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub waiting_time: Duration,
}
