//! Which fields an update changes: AIP-134 for the mask, AIP-161 for its paths,
//! AIP-203 for output-only fields.
//!
//! Knows names only; the values and their rules are in `patch` and `fields`.

use std::collections::BTreeSet;

use countersign_contracts::user::v1::Profile;
use countersign_types::Violation;
use prost_types::FieldMask;

use crate::fields::{METADATA, TextField, metadata};

/// How many paths a mask may have: every field and every key of the metadata, twice.
const MAX_PATHS: usize = 160;

/// Fields that a client reads and never writes; a mask may name them to no effect.
const OUTPUT_ONLY: [&str; 6] =
    ["user_id", "etag", "status", "create_time", "update_time", "last_active_time"];

/// The fields that an update changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub texts: BTreeSet<TextField>,
    pub metadata: MetadataSelection,
}

/// How much of the metadata an update changes.
#[derive(Debug, PartialEq, Eq)]
pub enum MetadataSelection {
    /// These entries: set where the request has a value, removed where it has none.
    Entries(BTreeSet<String>),
    /// The whole map is replaced.
    Whole,
}

impl Default for MetadataSelection {
    fn default() -> Self {
        Self::Entries(BTreeSet::new())
    }
}

/// Reads a mask. Without one, or with an empty one, the populated fields of
/// `profile` are selected.
///
/// # Errors
/// Every path that does not name a field, at `update_mask`.
pub fn select(mask: Option<&FieldMask>, profile: &Profile) -> Result<Selection, Vec<Violation>> {
    match mask.map(|mask| mask.paths.as_slice()) {
        None | Some([]) => Ok(Selection::populated(profile)),
        Some([star]) if star == "*" => Ok(Selection::everything()),
        Some(paths) if paths.len() > MAX_PATHS => {
            let rule = format!("must have at most {MAX_PATHS} paths");
            Err(vec![Violation::new("update_mask", "field_mask.max_paths", rule)])
        }
        Some(paths) => {
            let mut selection = Selection::default();
            let unknown = paths.iter().filter_map(|path| selection.add(path).err());
            let violations: Vec<_> = unknown.collect();
            if violations.is_empty() { Ok(selection) } else { Err(violations) }
        }
    }
}

impl Selection {
    fn everything() -> Self {
        Self { texts: TextField::ALL.into(), metadata: MetadataSelection::Whole }
    }

    fn populated(profile: &Profile) -> Self {
        let texts = TextField::ALL.into_iter();
        let texts = texts.filter(|field| !field.read(profile).is_empty()).collect();
        let metadata = if profile.metadata.is_empty() {
            MetadataSelection::default()
        } else {
            MetadataSelection::Whole
        };
        Self { texts, metadata }
    }

    fn add(&mut self, path: &str) -> Result<(), Violation> {
        if let Some(field) = TextField::named(path) {
            self.texts.insert(field);
        } else if path == METADATA {
            self.metadata = MetadataSelection::Whole;
        } else if let Some(key) = metadata_key(path) {
            // A selected map already contains its entries.
            if let MetadataSelection::Entries(keys) = &mut self.metadata {
                keys.insert(key.to_owned());
            }
        } else if path == "*" {
            return Err(refused(path, "\"*\" must be the only path"));
        } else if !OUTPUT_ONLY.contains(&path) {
            return Err(refused(path, "is not a field of the profile"));
        }
        Ok(())
    }
}

/// The key in `metadata.key` or, in the form that AIP-161 gives to keys with
/// other characters than letters, in ``metadata.`key` ``.
fn metadata_key(path: &str) -> Option<&str> {
    let key = path.strip_prefix(METADATA)?.strip_prefix('.')?;
    let quoted = key.strip_prefix('`').and_then(|key| key.strip_suffix('`'));
    Some(quoted.unwrap_or(key)).filter(|key| metadata::is_key(key))
}

fn refused(path: &str, why: &str) -> Violation {
    // The path came from outside: bounded, and with its control characters escaped.
    let shown: String = path.chars().take(64).collect();
    let dots = if shown.len() < path.len() { "…" } else { "" };
    let description = format!("path {shown:?}{dots} {why}");
    Violation::new("update_mask", "field_mask.path", description)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(paths: &[&str]) -> Option<FieldMask> {
        Some(FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() })
    }

    fn profile() -> Profile {
        Profile { bio: "hello".to_owned(), etag: "x".to_owned(), ..Profile::default() }
    }

    #[test]
    fn without_a_mask_the_populated_fields_are_selected() {
        for absent in [None, mask(&[])] {
            let selection = select(absent.as_ref(), &profile()).unwrap();
            assert_eq!(selection.texts, [TextField::Bio].into());
            assert_eq!(selection.metadata, MetadataSelection::default());
        }
    }

    #[test]
    fn a_star_selects_everything_and_stands_alone() {
        let selection = select(mask(&["*"]).as_ref(), &profile()).unwrap();
        assert_eq!(selection.texts.len(), TextField::ALL.len());
        assert_eq!(selection.metadata, MetadataSelection::Whole);
        assert!(select(mask(&["*", "bio"]).as_ref(), &profile()).is_err());
    }

    #[test]
    fn output_only_paths_select_nothing() {
        let selection = select(mask(&OUTPUT_ONLY).as_ref(), &profile());
        assert_eq!(selection, Ok(Selection::default()));
    }

    #[test]
    fn every_unknown_path_is_named() {
        let long = "x".repeat(100_000);
        let paths = ["bio", "Bio", "displayName", "metadata.", "bio.x", "metadata.B", "a\0", &long];
        let violations = select(mask(&paths).as_ref(), &profile()).unwrap_err();
        assert_eq!(violations.len(), 7);
        assert!(violations.iter().all(|violation| violation.field == "update_mask"));
        assert!(violations[1].description.contains("\"displayName\""));
        assert!(violations[5].description.contains("a\\0"));
        assert!(violations[6].description.len() < 200);
    }

    #[test]
    fn entries_of_the_metadata_are_selected_by_their_keys() {
        let paths = ["metadata.team", "metadata.`org.example`", "metadata.a.b"];
        let selection = select(mask(&paths).as_ref(), &profile()).unwrap();
        let keys = ["a.b", "org.example", "team"].map(str::to_owned);
        assert_eq!(selection.metadata, MetadataSelection::Entries(keys.into()));
        let paths = ["metadata", "metadata.team"];
        let selection = select(mask(&paths).as_ref(), &profile()).unwrap();
        assert_eq!(selection.metadata, MetadataSelection::Whole);
    }

    #[test]
    fn a_mask_of_endless_length_is_refused_as_one() {
        let violations = select(mask(&["nope"; 10_000]).as_ref(), &profile()).unwrap_err();
        assert_eq!(violations.len(), 1);
    }
}
