//! Between the fields of a profile and its columns: sealed under the key of
//! the person, or in the clear as a former release has left them.

use countersign_seal::{DataKey, Place};
use countersign_types::UserId;
use countersign_vault::Damage;
use sea_orm::ActiveValue::Set;

use super::entity::{ActiveModel, Model};
use crate::{
    error::Error,
    fields::{Fields, TextField},
};

const METADATA: Place = Place::column("profiles.metadata");

/// Where a text belongs; the name is bound to what is sealed and never changes.
const fn place(field: TextField) -> Place {
    Place::column(match field {
        TextField::DisplayName => "profiles.display_name",
        TextField::GivenName => "profiles.given_name",
        TextField::FamilyName => "profiles.family_name",
        TextField::Bio => "profiles.bio",
        TextField::AvatarUri => "profiles.avatar_uri",
        TextField::Locale => "profiles.locale",
        TextField::TimeZone => "profiles.time_zone",
    })
}

/// The fields of a row. Without a key they are in the clear.
///
/// # Errors
/// The first column that does not open, of which the log has heard.
pub fn open(row: &Model, key: Option<&DataKey>) -> Result<Fields, Damage> {
    let Some(key) = key else { return in_clear(row) };
    let damage = |place: Place| Damage { user: key.user(), column: place.name() }.logged();
    let open = |place: Place, sealed: &Option<Vec<u8>>| {
        let opened = key.open(place, sealed.as_deref().unwrap_or_default());
        opened.map_err(|_| damage(place))
    };
    let mut fields = Fields::default();
    for field in TextField::ALL {
        let opened = open(place(field), column(row, field))?;
        let text = std::str::from_utf8(&opened).map_err(|_| damage(place(field)))?;
        fields.set(field, text.to_owned());
    }
    let metadata = open(METADATA, &row.metadata_sealed)?;
    fields.metadata = serde_json::from_slice(&metadata).map_err(|_| damage(METADATA))?;
    Ok(fields)
}

/// The fields of a row that holds some sealed and some in the clear, of which
/// the latter are the newer.
///
/// # Errors
/// As [`open`].
pub fn merged(row: &Model, key: &DataKey) -> Result<Fields, Damage> {
    let mut fields = open(row, Some(key))?;
    let newer = in_clear(&Model { metadata_sealed: None, ..row.clone() })?;
    for field in TextField::ALL {
        if !newer.text(field).is_empty() {
            fields.set(field, newer.text(field).to_owned());
        }
    }
    fields.metadata.extend(newer.metadata);
    Ok(fields)
}

/// The columns that hold the fields sealed, and those in the clear blank.
pub fn seal(fields: &Fields, key: &DataKey) -> Result<ActiveModel, Error> {
    let text = |field| {
        let sealed = key.seal(place(field), fields.text(field).as_bytes());
        sealed.map(|sealed| Set(Some(sealed)))
    };
    let metadata = serde_json::to_vec(&fields.metadata).map_err(Error::Metadata)?;
    Ok(ActiveModel {
        display_name_sealed: text(TextField::DisplayName)?,
        given_name_sealed: text(TextField::GivenName)?,
        family_name_sealed: text(TextField::FamilyName)?,
        bio_sealed: text(TextField::Bio)?,
        avatar_uri_sealed: text(TextField::AvatarUri)?,
        locale_sealed: text(TextField::Locale)?,
        time_zone_sealed: text(TextField::TimeZone)?,
        metadata_sealed: Set(Some(key.seal(METADATA, &metadata)?)),
        ..clear(&Fields::default())?
    })
}

/// The columns that hold the fields in the clear, and nothing sealed.
pub fn clear(fields: &Fields) -> Result<ActiveModel, Error> {
    let text = |field| Set(fields.text(field).to_owned());
    Ok(ActiveModel {
        display_name: text(TextField::DisplayName),
        given_name: text(TextField::GivenName),
        family_name: text(TextField::FamilyName),
        bio: text(TextField::Bio),
        avatar_uri: text(TextField::AvatarUri),
        locale: text(TextField::Locale),
        time_zone: text(TextField::TimeZone),
        metadata: Set(serde_json::to_string(&fields.metadata).map_err(Error::Metadata)?),
        display_name_sealed: Set(None),
        given_name_sealed: Set(None),
        family_name_sealed: Set(None),
        bio_sealed: Set(None),
        avatar_uri_sealed: Set(None),
        locale_sealed: Set(None),
        time_zone_sealed: Set(None),
        metadata_sealed: Set(None),
        ..ActiveModel::default()
    })
}

fn in_clear(row: &Model) -> Result<Fields, Damage> {
    let user = UserId::from(row.user_id);
    // Sealed, and the key is gone.
    if row.metadata_sealed.is_some() {
        return Err(Damage { user, column: "data_keys.sealed" }.logged());
    }
    let metadata = serde_json::from_str(&row.metadata);
    let metadata = metadata.map_err(|_| Damage { user, column: METADATA.name() }.logged())?;
    let mut fields = Fields { metadata, ..Fields::default() };
    fields.set(TextField::DisplayName, row.display_name.clone());
    fields.set(TextField::GivenName, row.given_name.clone());
    fields.set(TextField::FamilyName, row.family_name.clone());
    fields.set(TextField::Bio, row.bio.clone());
    fields.set(TextField::AvatarUri, row.avatar_uri.clone());
    fields.set(TextField::Locale, row.locale.clone());
    fields.set(TextField::TimeZone, row.time_zone.clone());
    Ok(fields)
}

const fn column(row: &Model, field: TextField) -> &Option<Vec<u8>> {
    match field {
        TextField::DisplayName => &row.display_name_sealed,
        TextField::GivenName => &row.given_name_sealed,
        TextField::FamilyName => &row.family_name_sealed,
        TextField::Bio => &row.bio_sealed,
        TextField::AvatarUri => &row.avatar_uri_sealed,
        TextField::Locale => &row.locale_sealed,
        TextField::TimeZone => &row.time_zone_sealed,
    }
}
