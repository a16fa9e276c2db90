//! Time zones by their names in the IANA database (RFC 6557).

use chrono_tz::Tz;

use countersign_types::{Broken, Checked};

/// The name, if the database that this program was built with has it.
pub fn check(text: &str) -> Checked {
    match text.parse::<Tz>() {
        Ok(zone) => Ok(zone.name().to_owned()),
        Err(_) => {
            let rule = "must be the name of an IANA time zone such as \"Europe/Vienna\"";
            Err(vec![Broken::new("time_zone.iana", rule)])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_database_are_taken() {
        for name in ["Europe/Vienna", "America/Argentina/Ushuaia", "UTC", "Asia/Kolkata"] {
            assert_eq!(check(name).as_deref(), Ok(name));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["Europe/Gotham", "+01:00", "europe vienna", "../etc/passwd", "UTC\0"] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
