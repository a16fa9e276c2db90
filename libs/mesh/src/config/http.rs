//! Settings of the doors for callers that speak no gRPC.

use countersign_gateway::Origins;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Origins that can be set.
const MAX_ORIGINS: usize = 64;

/// Whether the services are called by HTTP as well, and from which pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Whether the services answer HTTP with JSON, Connect and gRPC-Web on the same port, also by HTTP/1.1. They are the same RPCs, behind the same limits and the same guard; `false` leaves gRPC alone.
    pub enabled: bool,
    /// Pages of these origins, such as `https://app.example.org`, may call from a browser (CORS); 64 at most. By default none may.
    pub origins: Vec<String>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { enabled: true, origins: Vec::new() }
    }
}

impl HttpConfig {
    /// Checks every origin; `section` is where these settings stand.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for one that is none.
    pub fn validate(&self, section: &str) -> Result<(), Error> {
        let wrong =
            |reason: String| Error::OutOfRange { key: format!("{section}.origins"), reason };
        if self.origins.len() > MAX_ORIGINS {
            return Err(wrong(format!("must be at most {MAX_ORIGINS}")));
        }
        let read = Origins::new(&self.origins);
        read.map(|_| ()).map_err(|error| wrong(format!("is wrong: {error}")))
    }
}
