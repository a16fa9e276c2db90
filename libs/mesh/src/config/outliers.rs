//! Settings of outlier ejection, in the terms of gRFC A50.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{duration_in_range, in_range};
use crate::Error;

/// When a replica is taken out because it answers worse than it should. The last one that is left stays in, whatever it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutlierConfig {
    /// How often the replicas are compared, 10ms to 10m (gRFC A50, interval).
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub interval: Duration,
    /// How long a replica is out, 10ms to 1h, times how often it was taken out lately (gRFC A50, base_ejection_time).
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub base_ejection_time: Duration,
    /// How long at most, from `base_ejection_time` to 24h (gRFC A50, max_ejection_time).
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub max_ejection_time: Duration,
    /// No further replica is taken out while so many percent of them are, 1 to 100 (gRFC A50, max_ejection_percent).
    pub max_ejection_percent: u32,
    /// Percent of calls whose failure takes a replica out, 1 to 100; 100 switches this rule off (gRFC A50, failure_percentage_ejection.threshold).
    pub failure_percentage_threshold: u32,
    /// Replicas with enough calls that this rule needs, 1 to 1000 (gRFC A50, minimum_hosts).
    pub failure_percentage_minimum_hosts: u32,
    /// Calls in an interval that are enough for this rule, 1 to 1000000 (gRFC A50, request_volume).
    pub failure_percentage_request_volume: u32,
    /// Thousandths of a standard deviation that the share of calls a replica answers well may lie below the mean of all, 0 to 100000; 0 switches this rule off (gRFC A50, success_rate_ejection.stdev_factor).
    pub success_rate_stdev_factor: u32,
    /// Replicas with enough calls that this rule needs, 1 to 1000 (gRFC A50, minimum_hosts).
    pub success_rate_minimum_hosts: u32,
    /// Calls in an interval that are enough for this rule, 1 to 1000000 (gRFC A50, request_volume).
    pub success_rate_request_volume: u32,
}

impl Default for OutlierConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            base_ejection_time: Duration::from_secs(30),
            max_ejection_time: Duration::from_secs(5 * 60),
            // Of three replicas one: gRFC A50's defaults are for large fleets.
            max_ejection_percent: 30,
            failure_percentage_threshold: 60,
            failure_percentage_minimum_hosts: 2,
            failure_percentage_request_volume: 5,
            success_rate_stdev_factor: 1900,
            success_rate_minimum_hosts: 5,
            success_rate_request_volume: 100,
        }
    }
}

impl OutlierConfig {
    /// Checks every range.
    pub(super) fn validate(&self, section: &str) -> Result<(), Error> {
        const LEAST: Duration = Duration::from_millis(10);
        const HOUR: Duration = Duration::from_secs(60 * 60);
        let key = |name: &str| format!("{section}.{name}");
        for (name, value, range) in [
            ("max_ejection_percent", self.max_ejection_percent, 1..=100),
            ("failure_percentage_threshold", self.failure_percentage_threshold, 1..=100),
            ("failure_percentage_minimum_hosts", self.failure_percentage_minimum_hosts, 1..=1000),
            (
                "failure_percentage_request_volume",
                self.failure_percentage_request_volume,
                1..=1_000_000,
            ),
            ("success_rate_stdev_factor", self.success_rate_stdev_factor, 0..=100_000),
            ("success_rate_minimum_hosts", self.success_rate_minimum_hosts, 1..=1000),
            ("success_rate_request_volume", self.success_rate_request_volume, 1..=1_000_000),
        ] {
            in_range(&key(name), &value, &range)?;
        }
        for (name, value, range) in [
            ("interval", self.interval, LEAST..=HOUR / 6),
            ("base_ejection_time", self.base_ejection_time, LEAST..=HOUR),
            ("max_ejection_time", self.max_ejection_time, self.base_ejection_time..=24 * HOUR),
        ] {
            duration_in_range(&key(name), value, &range)?;
        }
        Ok(())
    }
}
