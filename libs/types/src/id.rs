//! Ids: UUIDv7 (RFC 9562), each kind a type of its own so that a session can
//! not be passed where a user is meant.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text is not an id in the canonical form: 36 characters, lower case, hyphenated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID in lower-case hyphenated form")]
pub struct IdError;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id; later ids sort after earlier ones.
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id as a UUID, the form in which it is stored.
            #[must_use]
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            // One spelling for one id: policies and events compare ids as texts.
            fn from_str(text: &str) -> Result<Self, IdError> {
                let uuid = Uuid::try_parse(text).map_err(|_| IdError)?;
                let mut canonical = Uuid::encode_buffer();
                let canonical: &str = uuid.hyphenated().encode_lower(&mut canonical);
                if canonical == text { Ok(Self(uuid)) } else { Err(IdError) }
            }
        }
    };
}

id! {
    /// A person's account, and at once their profile.
    UserId
}
id! {
    /// One login on one device, until logout, expiry or revocation.
    SessionId
}
id! {
    /// One event; consumers recognise a repeated delivery by it.
    EventId
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_reads_back_what_it_wrote(bits: u128) {
            let id = UserId::from(Uuid::from_u128(bits));
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn only_the_canonical_spelling_is_an_id() {
        let id = "0197a1b2-c3d4-7000-8000-00000000000a";
        assert!(id.parse::<UserId>().is_ok());
        for other in [
            "0197A1B2-C3D4-7000-8000-00000000000A",
            "0197a1b2c3d470008000000000000000",
            "{0197a1b2-c3d4-7000-8000-00000000000a}",
            "me",
            "",
        ] {
            assert_eq!(other.parse::<UserId>(), Err(IdError), "{other}");
        }
    }

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let (first, second) = (EventId::generate(), EventId::generate());
        assert!(first < second);
    }
}
