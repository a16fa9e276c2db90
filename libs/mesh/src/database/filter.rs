//! The filter of a list (AIP-160), as far as every list understands it:
//! comparisons, joined by AND. What they mean is the list's affair.

use countersign_types::Timestamp;

/// Terms of one filter, as in the contracts.
const TERMS_MAX: usize = 8;

/// `field operator value`; a value in quotes without them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// What is compared.
    pub field: String,
    /// How: one or more of `= ! < > :`.
    pub operator: String,
    /// With what.
    pub value: String,
}

/// Where a time has to lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Before this one.
    Before(Timestamp),
    /// Not before this one.
    From(Timestamp),
}

/// The comparisons of a filter; none of an empty one.
///
/// # Errors
/// What is wrong with the text, as a rule.
pub fn comparisons(text: &str) -> Result<Vec<Comparison>, String> {
    let words = words(text)?;
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let mut comparisons = Vec::new();
    for part in words.split(|word| word == "AND") {
        let [field, operator, value] = part else {
            return Err(
                "must be terms of the form `field operator value`, joined by AND".to_owned()
            );
        };
        let [field, operator, value] = [field, operator, value].map(Clone::clone);
        comparisons.push(Comparison { field, operator, value });
    }
    if comparisons.len() > TERMS_MAX {
        return Err(format!("must have at most {TERMS_MAX} terms"));
    }
    Ok(comparisons)
}

impl Comparison {
    /// A comparison with a time, by any of <, <=, > and >=. Times are whole microseconds.
    ///
    /// # Errors
    /// That it must be one, as a rule.
    pub fn since(&self) -> Result<Since, String> {
        let time = time(&self.value)?;
        match self.operator.as_str() {
            "<" => Ok(Since::Before(time)),
            "<=" => Ok(Since::Before(next(time))),
            ">" => Ok(Since::From(next(time))),
            ">=" => Ok(Since::From(time)),
            _ => Err(self.other_operator()),
        }
    }

    /// The rule that an operator breaks which the field does not have.
    #[must_use]
    pub fn other_operator(&self) -> String {
        format!("must not use that operator on {}", self.field)
    }
}

/// Names, operators and values; a value in quotes without them.
fn words(text: &str) -> Result<Vec<String>, String> {
    let is_operator = |c: char| "=!<>:".contains(c);
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted.split_once('"').ok_or("has a quote that does not end")?
        } else {
            let ends = |c: char| match is_operator(first) {
                true => !is_operator(c),
                false => is_operator(c) || c.is_whitespace() || c == '"',
            };
            rest.split_at(rest.find(ends).unwrap_or(rest.len()))
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    Ok(words)
}

fn time(text: &str) -> Result<Timestamp, String> {
    let time = text.parse::<prost_types::Timestamp>().ok();
    let micros = time.and_then(|time| {
        time.seconds.checked_mul(1_000_000)?.checked_add(i64::from(time.nanos) / 1_000)
    });
    let rule = "must give a time such as \"2026-01-01T00:00:00Z\"";
    micros.map(Timestamp::from_micros).ok_or_else(|| rule.to_owned())
}

const fn next(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.as_micros().saturating_add(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,60}|([a-z_]{1,9}|[=!<>:\"]|AND| ){0,20}") {
            for comparison in comparisons(&text).unwrap_or_default() {
                let _ = comparison.since();
            }
        }
    }
}
