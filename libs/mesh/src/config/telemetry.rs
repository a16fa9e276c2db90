//! Settings of what a process tells about itself, beside its logs.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration_in_range;
use crate::Error;

/// Traces and metrics (OpenTelemetry). Without an endpoint and an address nothing leaves the process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// Where traces and metrics are sent by OTLP over gRPC, such as `http://collector:4317` or `https://collector:4317`. Unset: nowhere.
    pub otlp_endpoint: Option<String>,
    /// PEM file with the authorities that sign the collector's certificate. Unset: those of the system.
    pub otlp_ca_file: Option<PathBuf>,
    /// Share of traces that are sent, 0 to 1, where the caller has not decided: its `traceparent` is followed.
    pub trace_ratio: f64,
    /// How often metrics are sent, 1s to 1h.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub metrics_interval: Duration,
    /// How long the collector may take to accept what is sent, 100ms to 1m. What it does not accept is dropped and counted.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub export_timeout: Duration,
    /// Address and port on which `GET /metrics` answers Prometheus, over plain HTTP. Unset: nowhere. Keep it inside: anybody who reaches it may read.
    pub metrics_listen: Option<SocketAddr>,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            otlp_ca_file: None,
            trace_ratio: 1.0,
            metrics_interval: Duration::from_secs(30),
            export_timeout: Duration::from_secs(5),
            metrics_listen: None,
        }
    }
}

impl TelemetryConfig {
    /// Checks every range; `section` is where these settings stand, such as `telemetry`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] names the first key that cannot be used.
    pub fn validate(&self, section: &str) -> Result<(), Error> {
        let key = |name: &str| format!("{section}.{name}");
        let wrong = |name: &str, reason: &str| {
            Err(Error::OutOfRange { key: key(name), reason: reason.to_owned() })
        };
        let endpoint = self.otlp_endpoint.as_deref();
        let schemes = ["http://", "https://"];
        if endpoint.is_some_and(|url| !schemes.iter().any(|scheme| url.starts_with(scheme))) {
            return wrong("otlp_endpoint", "must begin with http:// or https://");
        }
        if endpoint.is_some_and(|url| url.contains('@')) {
            return wrong("otlp_endpoint", "must hold no user or password");
        }
        if self.otlp_ca_file.is_some() && !endpoint.is_some_and(|url| url.starts_with("https://")) {
            return wrong("otlp_ca_file", "needs an otlp_endpoint that begins with https://");
        }
        if !(0.0..=1.0).contains(&self.trace_ratio) {
            return wrong("trace_ratio", "must be from 0 to 1");
        }
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let hour = Duration::from_secs(3600);
        let interval = self.metrics_interval;
        duration_in_range(&key("metrics_interval"), interval, &(second..=hour))?;
        let least = Duration::from_millis(100);
        duration_in_range(&key("export_timeout"), self.export_timeout, &(least..=minute))
    }
}
