//! The fields of a profile that a person can change, and the rules that their
//! values obey.
//!
//! Everything here is pure: values in, normalised values or broken rules out.
//! What the contract can express (bytes, pattern of keys) is checked before a
//! handler runs; here stands what needs tables: Unicode, languages, zones.

mod avatar;
mod locale;
pub mod metadata;
mod time_zone;

use std::collections::BTreeMap;

use countersign_contracts::user::v1::Profile;
use countersign_types::{Checked, TextRules};

/// The changeable part of a profile, normalised. Empty means not set.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields {
    pub texts: [String; TextField::ALL.len()],
    pub metadata: BTreeMap<String, String>,
}

/// A field that holds one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TextField {
    DisplayName,
    GivenName,
    FamilyName,
    Bio,
    AvatarUri,
    Locale,
    TimeZone,
}

/// A person's name.
pub const NAME: TextRules = TextRules { max_graphemes: 64, max_bytes: 1024, lines: false };
/// A few words about a person.
pub const BIO: TextRules = TextRules { max_graphemes: 1000, max_bytes: 16_384, lines: true };
/// A value of the metadata.
pub const METADATA_VALUE: TextRules =
    TextRules { max_graphemes: 1024, max_bytes: 1024, lines: true };

/// The name of the field that is no text.
pub const METADATA: &str = "metadata";

impl TextField {
    /// All of them, in the order of the contract; the position is the index in [`Fields::texts`].
    pub const ALL: [Self; 7] = [
        Self::DisplayName,
        Self::GivenName,
        Self::FamilyName,
        Self::Bio,
        Self::AvatarUri,
        Self::Locale,
        Self::TimeZone,
    ];

    /// Its name in the contract and in update masks.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DisplayName => "display_name",
            Self::GivenName => "given_name",
            Self::FamilyName => "family_name",
            Self::Bio => "bio",
            Self::AvatarUri => "avatar_uri",
            Self::Locale => "locale",
            Self::TimeZone => "time_zone",
        }
    }

    /// The field of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// Its value in a message, as it came.
    pub fn read(self, profile: &Profile) -> &str {
        match self {
            Self::DisplayName => &profile.display_name,
            Self::GivenName => &profile.given_name,
            Self::FamilyName => &profile.family_name,
            Self::Bio => &profile.bio,
            Self::AvatarUri => &profile.avatar_uri,
            Self::Locale => &profile.locale,
            Self::TimeZone => &profile.time_zone,
        }
    }

    /// Checks and normalises a value. An empty text clears the field and breaks no rule.
    pub fn check(self, text: &str) -> Checked {
        if text.is_empty() {
            return Ok(String::new());
        }
        match self {
            Self::DisplayName | Self::GivenName | Self::FamilyName => NAME.check(text),
            Self::Bio => BIO.check(text),
            Self::AvatarUri => avatar::check(text),
            Self::Locale => locale::check(text),
            Self::TimeZone => time_zone::check(text),
        }
    }
}

impl Fields {
    /// The value of a field.
    pub fn text(&self, field: TextField) -> &str {
        // `ALL` has one entry per variant, in the order of the variants.
        self.texts.get(field as usize).map_or("", String::as_str)
    }

    /// Puts a normalised value into a field.
    pub fn set(&mut self, field: TextField, value: String) {
        if let Some(slot) = self.texts.get_mut(field as usize) {
            *slot = value;
        }
    }

    /// The names of the fields in which `self` differs from `before`.
    pub fn changed_since(&self, before: &Self) -> Vec<&'static str> {
        let texts = TextField::ALL.into_iter();
        let texts = texts.filter(|&field| self.text(field) != before.text(field));
        let metadata = (self.metadata != before.metadata).then_some(METADATA);
        texts.map(TextField::name).chain(metadata).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_has_its_own_place_and_name() {
        let mut fields = Fields::default();
        for field in TextField::ALL {
            fields.set(field, field.name().to_owned());
        }
        for field in TextField::ALL {
            assert_eq!(fields.text(field), field.name());
            assert_eq!(TextField::named(field.name()), Some(field));
        }
        assert_eq!(TextField::named("etag"), None);
    }

    #[test]
    fn the_changed_fields_are_named_and_no_others() {
        let before = Fields::default();
        let mut after = before.clone();
        assert!(after.changed_since(&before).is_empty());
        after.set(TextField::Bio, "hello".to_owned());
        after.metadata.insert("team".to_owned(), "red".to_owned());
        assert_eq!(after.changed_since(&before), ["bio", "metadata"]);
    }

    #[test]
    fn an_empty_text_clears_any_field() {
        for field in TextField::ALL {
            assert_eq!(field.check(""), Ok(String::new()));
        }
    }
}
