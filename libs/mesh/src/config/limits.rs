//! Checks of values against their documented range.

use std::{fmt::Display, ops::RangeInclusive, time::Duration};

use super::duration::text;
use crate::Error;

/// Refuses a `value` of the setting `key` that lies outside of `range`.
///
/// # Errors
/// [`Error::OutOfRange`] names the key and the range.
pub fn in_range<T>(key: &str, value: &T, range: &RangeInclusive<T>) -> Result<(), Error>
where
    T: PartialOrd + Display,
{
    if range.contains(value) {
        return Ok(());
    }
    let (from, to) = (range.start(), range.end());
    Err(Error::OutOfRange {
        key: key.to_owned(),
        reason: format!("must be from {from} to {to}, and is {value}"),
    })
}

/// As [`in_range`], for durations.
///
/// # Errors
/// [`Error::OutOfRange`] names the key and the range.
pub fn duration_in_range(
    key: &str,
    value: Duration,
    range: &RangeInclusive<Duration>,
) -> Result<(), Error> {
    if range.contains(&value) {
        return Ok(());
    }
    let [from, to, value] = [*range.start(), *range.end(), value].map(text);
    Err(Error::OutOfRange {
        key: key.to_owned(),
        reason: format!("must be from {from} to {to}, and is {value}"),
    })
}
