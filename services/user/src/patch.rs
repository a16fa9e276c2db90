//! An update as values: what the mask selects, normalised and checked, ready
//! to be laid over the fields as they are.

use std::collections::{BTreeMap, BTreeSet};

use countersign_contracts::user::v1::Profile;
use countersign_types::Violation;
use prost_types::FieldMask;

use crate::{
    fields::{Fields, TextField, metadata},
    mask::{self, MetadataSelection},
};

/// A checked update.
pub struct Patch {
    texts: Vec<(TextField, String)>,
    metadata: MetadataPatch,
}

enum MetadataPatch {
    Replace(BTreeMap<String, String>),
    Edit { set: BTreeMap<String, String>, remove: BTreeSet<String> },
}

impl Patch {
    /// Reads an update from a request. Fields outside the mask are not looked at.
    ///
    /// # Errors
    /// Every broken rule of the mask, or every broken rule of the selected values.
    pub fn read(mask: Option<&FieldMask>, profile: &Profile) -> Result<Self, Vec<Violation>> {
        let selection = mask::select(mask, profile)?;
        let mut violations = Vec::new();
        let mut texts = Vec::new();
        for field in selection.texts {
            match field.check(field.read(profile)) {
                Ok(value) => texts.push((field, value)),
                Err(broken) => {
                    let path = format!("profile.{}", field.name());
                    violations.extend(broken.into_iter().map(|rule| rule.at(&path)));
                }
            }
        }
        let metadata = MetadataPatch::read(selection.metadata, profile, &mut violations);
        if violations.is_empty() { Ok(Self { texts, metadata }) } else { Err(violations) }
    }

    /// The fields after the update.
    ///
    /// # Errors
    /// The metadata would have more entries than are allowed.
    pub fn apply(&self, before: &Fields) -> Result<Fields, Violation> {
        let mut after = before.clone();
        for (field, value) in &self.texts {
            after.set(*field, value.clone());
        }
        match &self.metadata {
            MetadataPatch::Replace(entries) => after.metadata.clone_from(entries),
            MetadataPatch::Edit { set, remove } => {
                after.metadata.retain(|key, _| !remove.contains(key));
                after.metadata.extend(set.clone());
            }
        }
        match metadata::check_count(&after.metadata) {
            Some(violation) => Err(violation),
            None => Ok(after),
        }
    }
}

impl MetadataPatch {
    fn read(
        selection: MetadataSelection,
        profile: &Profile,
        violations: &mut Vec<Violation>,
    ) -> Self {
        match selection {
            MetadataSelection::Whole => {
                Self::Replace(metadata::check(profile.metadata.iter(), violations))
            }
            MetadataSelection::Entries(keys) => {
                let selected = profile.metadata.iter().filter(|(key, _)| keys.contains(*key));
                let set = metadata::check(selected, violations);
                let remove = keys.into_iter().filter(|key| !profile.metadata.contains_key(key));
                Self::Edit { set, remove: remove.collect() }
            }
        }
    }
}

#[cfg(test)]
#[path = "patch_tests.rs"]
mod tests;
