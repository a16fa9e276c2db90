//! Settings of a client channel; every limit has a range. The defaults are the
//! policy of `docs/retries.md`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ClientTlsConfig, OutlierConfig, duration_in_range, in_range};
use crate::Error;

/// How calls to other services are made, and what is done when they fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelConfig {
    /// How long a call may take with all its attempts where its caller sets no deadline, 10ms to 10m. A call that is made while another is answered has no more time than that one has left.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub timeout: Duration,
    /// How long one attempt of a call may take that can be tried again, 10ms to 10m.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub attempt_timeout: Duration,
    /// Attempts of one call, the first included, 1 to 10.
    pub max_attempts: u32,
    /// Pause after the first attempt, 1ms to 10s; doubled after each further one, a fifth more or less by chance.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub initial_backoff: Duration,
    /// The longest pause, from `initial_backoff` to 1m, where no answer asks for a longer one.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub max_backoff: Duration,
    /// Tokens for retries, 1 to 1000 (gRFC A6, maxTokens). Each attempt that fails takes one; nothing is tried again while half of them or fewer are left.
    pub retry_tokens: u32,
    /// So many calls that succeed bring one token back, 1 to 1000 (gRFC A6: one divided by tokenRatio).
    pub retry_successes_per_token: u32,
    /// How long a call waits for a replica while none can be reached, 10ms to 5m.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub ready_timeout: Duration,
    /// How long a connection may take until its server speaks HTTP/2, 10ms to 1m.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub connect_timeout: Duration,
    /// How often names are resolved again, 1s to 1h; also when a connection breaks, at most once a second.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub resolve_interval: Duration,
    /// Replicas that are connected to, 1 to 1000. Of more addresses than that the first are taken, in their order.
    pub max_replicas: u32,
    /// Calls that are open at one replica, 1 to 10000; a call waits where every replica has as many.
    pub max_calls_per_replica: u32,
    /// Largest request and answer of a call that is not streamed, in bytes, 1024 to 67108864.
    pub max_message_bytes: u32,
    /// After which silence a server is asked for a sign of life, 1s to 1h.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub keepalive_interval: Duration,
    /// How long it may take to give it before the connection is closed, 100ms to 5m.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub keepalive_timeout: Duration,
    /// After which time a connection is replaced by a new one, 1s to 7d; a tenth more or less.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub max_connection_age: Duration,
    /// A service whose health each replica is asked for (grpc.health.v1, Watch); calls go only where it serves. Empty asks for the whole server. Unset: not asked.
    pub health_service: Option<String>,
    /// When a replica is taken out that answers badly.
    pub outliers: OutlierConfig,
    /// The certificates of the client.
    pub tls: ClientTlsConfig,
}

impl Default for ChannelConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            attempt_timeout: Duration::from_secs(3),
            max_attempts: 5,
            initial_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(1),
            retry_tokens: 100,
            retry_successes_per_token: 10,
            ready_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(3),
            resolve_interval: Duration::from_secs(30),
            max_replicas: 100,
            max_calls_per_replica: 100,
            max_message_bytes: 4 * 1024 * 1024,
            keepalive_interval: Duration::from_secs(10),
            keepalive_timeout: Duration::from_secs(5),
            max_connection_age: Duration::from_secs(30 * 60),
            health_service: None,
            outliers: OutlierConfig::default(),
            tls: ClientTlsConfig::default(),
        }
    }
}

impl ChannelConfig {
    /// Checks every range; `section` is where these settings stand, such as `client`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for the first value that lies outside of its range, or
    /// lacks another that it needs.
    pub fn validate(&self, section: &str) -> Result<(), Error> {
        const MILLI: Duration = Duration::from_millis(1);
        const SECOND: Duration = Duration::from_secs(1);
        const MINUTE: Duration = Duration::from_secs(60);
        const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);
        let key = |name: &str| format!("{section}.{name}");
        for (name, value, range) in [
            ("max_attempts", self.max_attempts, 1..=10),
            ("retry_tokens", self.retry_tokens, 1..=1000),
            ("retry_successes_per_token", self.retry_successes_per_token, 1..=1000),
            ("max_replicas", self.max_replicas, 1..=1000),
            ("max_calls_per_replica", self.max_calls_per_replica, 1..=10_000),
            ("max_message_bytes", self.max_message_bytes, 1024..=64 * 1024 * 1024),
        ] {
            in_range(&key(name), &value, &range)?;
        }
        for (name, value, range) in [
            ("timeout", self.timeout, 10 * MILLI..=10 * MINUTE),
            ("attempt_timeout", self.attempt_timeout, 10 * MILLI..=10 * MINUTE),
            ("initial_backoff", self.initial_backoff, MILLI..=10 * SECOND),
            ("max_backoff", self.max_backoff, self.initial_backoff..=MINUTE),
            ("ready_timeout", self.ready_timeout, 10 * MILLI..=5 * MINUTE),
            ("connect_timeout", self.connect_timeout, 10 * MILLI..=MINUTE),
            ("resolve_interval", self.resolve_interval, SECOND..=60 * MINUTE),
            ("keepalive_interval", self.keepalive_interval, SECOND..=60 * MINUTE),
            ("keepalive_timeout", self.keepalive_timeout, 100 * MILLI..=5 * MINUTE),
            ("max_connection_age", self.max_connection_age, SECOND..=WEEK),
        ] {
            duration_in_range(&key(name), value, &range)?;
        }
        self.outliers.validate(&key("outliers"))?;
        self.tls.validate(&key("tls"))
    }
}
