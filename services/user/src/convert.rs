//! Between rows and messages.

use countersign_contracts::user::v1::{Profile as Message, ProfileStatus};
use countersign_types::Timestamp;

use crate::{
    etag,
    fields::TextField,
    store::{Profile, entity::Status},
};

/// The profile as a client sees it.
pub fn message(profile: &Profile) -> Message {
    let text = |field| profile.fields.text(field).to_owned();
    Message {
        user_id: profile.user.to_string(),
        display_name: text(TextField::DisplayName),
        given_name: text(TextField::GivenName),
        family_name: text(TextField::FamilyName),
        bio: text(TextField::Bio),
        avatar_uri: text(TextField::AvatarUri),
        locale: text(TextField::Locale),
        time_zone: text(TextField::TimeZone),
        metadata: profile.fields.metadata.clone().into_iter().collect(),
        etag: etag::of(profile.user, profile.version),
        status: status(profile).into(),
        create_time: Some(time(profile.create_time)),
        update_time: Some(time(profile.update_time)),
        last_active_time: profile.last_active_time.map(time),
    }
}

const fn status(profile: &Profile) -> ProfileStatus {
    match profile.status {
        _ if profile.damage.is_some() => ProfileStatus::Damaged,
        Status::Active => ProfileStatus::Active,
        // Never read: what was removed is not found.
        Status::Deleted => ProfileStatus::Unspecified,
    }
}

/// A point in time as the contract's messages hold it.
pub fn time(time: Timestamp) -> prost_types::Timestamp {
    let micros = time.as_micros().rem_euclid(1_000_000);
    // Less than a million, times a thousand: fits.
    let nanos = i32::try_from(micros * 1000).unwrap_or(0);
    prost_types::Timestamp { seconds: time.as_seconds(), nanos }
}

/// A point in time from a message; `None` where it lies outside of what is stored.
pub fn timestamp(time: &prost_types::Timestamp) -> Option<Timestamp> {
    let micros = time.seconds.checked_mul(1_000_000)?;
    micros.checked_add(i64::from(time.nanos) / 1000).map(Timestamp::from_micros)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_time_survives_the_way_through_a_message(micros in -1_000_000_000_000_i64..i64::MAX / 2) {
            let stored = Timestamp::from_micros(micros);
            prop_assert_eq!(timestamp(&time(stored)), Some(stored));
        }
    }

    #[test]
    fn a_time_out_of_range_is_none() {
        let time = prost_types::Timestamp { seconds: i64::MAX, nanos: 0 };
        assert_eq!(timestamp(&time), None);
    }
}
