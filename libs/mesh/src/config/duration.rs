//! Durations as people write them: `250ms`, `10s`, `5m`, `90d`.
//!
//! Reading takes everything that humantime takes. Writing uses the largest unit
//! that leaves no rest, because `90d` says more than "2months 29days …".

use std::time::Duration;

use humantime_serde::re::humantime::format_duration;
use serde::{Deserializer, Serializer};

/// The units that are written, in milliseconds, the largest first.
const UNITS: [(u128, &str); 5] =
    [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];

/// Reads a duration; for `#[serde(with = "…")]`.
///
/// # Errors
/// Whatever humantime refuses.
pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    humantime_serde::deserialize(input)
}

/// Writes a duration; for `#[serde(with = "…")]`.
///
/// # Errors
/// Whatever the output refuses.
pub fn serialize<S: Serializer>(duration: &Duration, output: S) -> Result<S::Ok, S::Error> {
    output.serialize_str(&text(*duration))
}

/// The duration in its largest whole unit.
pub(crate) fn text(duration: Duration) -> String {
    let millis = duration.as_millis();
    let whole = |(unit, _): &&(u128, &str)| millis >= *unit && millis.is_multiple_of(*unit);
    match UNITS.iter().find(whole) {
        Some((unit, name)) if duration.subsec_nanos().is_multiple_of(1_000_000) => {
            format!("{}{name}", millis / unit)
        }
        _ => format_duration(duration).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_in_its_largest_whole_unit() {
        for (seconds, shown) in
            [(90 * 86_400, "90d"), (36 * 3600, "36h"), (300, "5m"), (90, "90s"), (0, "0s")]
        {
            assert_eq!(text(Duration::from_secs(seconds)), shown);
        }
        assert_eq!(text(Duration::from_millis(250)), "250ms");
        assert_eq!(text(Duration::from_micros(1_500)), "1ms 500us");
    }
}
