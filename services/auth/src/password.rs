//! Passwords: their one spelling, the rules for new ones, and their hashes.
//!
//! A password lives in a [`Password`] and nowhere else, and it is computed
//! with on the threads of the [`HashingPool`] only, never on an async worker.

mod guess;
mod hasher;
mod memory;
mod policy;
mod pool;
mod words;

use std::fmt;

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

pub(crate) use hasher::{Hasher, Pepper, Verdict};
pub(crate) use policy::Policy;
pub(crate) use pool::HashingPool;

/// A password in its one spelling: NFKC (NIST SP 800-63B-4, section 3.1.1.2),
/// so that two keyboards that write the same text make the same password. It
/// is wiped from memory when it goes, and never shown.
pub(crate) struct Password(Zeroizing<String>);

impl Password {
    /// Takes a password as it was typed; the typed text is wiped.
    pub(crate) fn new(typed: String) -> Self {
        let typed = Zeroizing::new(typed);
        // NFKC makes a text at most eleven times as long (UAX #15, section 9):
        // with the room at hand no half of a password stays behind in a freed buffer.
        let mut normalised = Zeroizing::new(String::with_capacity(typed.len().saturating_mul(11)));
        normalised.extend(typed.nfkc());
        Self(normalised)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_spellings_of_one_text_are_one_password() {
        let composed = Password::new("Zoë ﬁnds Å".to_owned());
        let decomposed = Password::new("Zoe\u{308} finds A\u{30a}".to_owned());
        assert_eq!(composed.as_str(), decomposed.as_str());
    }

    #[test]
    fn a_password_does_not_show_in_debug_output() {
        assert_eq!(format!("{:?}", Password::new("secret".to_owned())), "Password(hidden)");
    }

    proptest! {
        #[test]
        fn the_room_for_the_normal_form_is_never_outgrown(typed in "\\PC{0,64}") {
            let length = typed.len();
            prop_assert!(Password::new(typed).as_bytes().len() <= length * 11);
        }
    }
}
