//! Facts of other services about a person: a small map of texts.

use std::collections::BTreeMap;

use countersign_types::{Broken, Violation};

use super::METADATA_VALUE;

/// How many entries one profile holds.
pub const MAX_ENTRIES: usize = 64;
/// Bytes of a key, as in the contract's pattern.
const MAX_KEY_BYTES: usize = 63;

/// Whether a text can be a key: `^[a-z][a-z0-9_.-]{0,62}$`, the pattern of the contract.
pub fn is_key(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= MAX_KEY_BYTES
        && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-".contains(&b))
}

/// The entries with their values normalised; broken rules go to `violations`.
pub fn check<'a>(
    entries: impl Iterator<Item = (&'a String, &'a String)>,
    violations: &mut Vec<Violation>,
) -> BTreeMap<String, String> {
    let mut checked = BTreeMap::new();
    for (key, value) in entries {
        let path = format!("profile.metadata[{key:?}]");
        if !is_key(key) {
            let rule = "must have a key of at most 63 of the characters a-z 0-9 _ . - that begins with a letter";
            violations.push(Broken::new("metadata.key", rule).at(&path));
        }
        match METADATA_VALUE.check(value) {
            Ok(value) => {
                checked.insert(key.clone(), value);
            }
            Err(broken) => violations.extend(broken.into_iter().map(|rule| rule.at(&path))),
        }
    }
    checked
}

/// The rule that an update breaks when it would leave too many entries.
pub fn check_count(entries: &BTreeMap<String, String>) -> Option<Violation> {
    (entries.len() > MAX_ENTRIES).then(|| {
        let rule = format!("must have at most {MAX_ENTRIES} entries after the change");
        Broken::new("map.max_pairs", rule).at("profile.metadata")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_follow_the_pattern_of_the_contract() {
        for key in ["a", "team", "org.example_x-1", &"k".repeat(63)] {
            assert!(is_key(key), "{key}");
        }
        for key in ["", "1a", "Team", "a b", "a\0", "é", ".a", &"k".repeat(64)] {
            assert!(!is_key(key), "{key}");
        }
    }

    #[test]
    fn each_bad_value_is_named_by_its_key() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let entries = [pair("a", "ok"), pair("b", "no\0"), pair("c", "no\u{202e}")];
        let mut violations = Vec::new();
        let kept = check(entries.iter().map(|(key, value)| (key, value)), &mut violations);
        assert_eq!(kept.len(), 1);
        let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["profile.metadata[\"b\"]", "profile.metadata[\"c\"]"]);
    }
}
