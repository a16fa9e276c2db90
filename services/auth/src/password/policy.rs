//! The rules for new passwords: a length, and not what an attacker tries
//! first. No composition rules: any characters, in any mixture
//! (NIST SP 800-63B-4, section 3.1.1.2).

use countersign_types::{Email, Violation};

use super::{
    Password,
    guess::{self, Guesser},
    words::{self, Words},
};
use crate::{Error, config::PasswordConfig};

const FIELD: &str = "password";
/// The name that people type when they make up a password for this very service.
const SERVICE_NAME: &str = "countersign";

/// The rules as configured, with the words of the block list at hand.
pub(crate) struct Policy {
    min_length: usize,
    max_length: usize,
    words: Option<Words>,
}

impl Policy {
    /// Reads the block list.
    ///
    /// # Errors
    /// [`Error::File`] where the file with further words can not be read.
    pub(crate) fn new(config: &PasswordConfig) -> Result<Self, Error> {
        let words = match config.block_list {
            false => None,
            true => {
                let mut words = Words::common();
                words.add_context(SERVICE_NAME);
                config.context_words.iter().for_each(|word| words.add_context(word));
                if let Some(path) = &config.block_list_file {
                    words.read_file(path)?;
                }
                Some(words)
            }
        };
        Ok(Self { min_length: config.min_length, max_length: config.max_length, words })
    }

    /// The rule that `password` breaks as the password of `email`, which may be no address.
    pub(crate) fn check(&self, password: &Password, email: Option<&Email>) -> Option<Violation> {
        let length = password.as_str().chars().count();
        if length < self.min_length {
            let rule = format!("must have at least {} characters", self.min_length);
            return Some(Violation::new(FIELD, "password.min_length", rule));
        }
        if length > self.max_length {
            let rule = format!("must have at most {} characters", self.max_length);
            return Some(Violation::new(FIELD, "password.max_length", rule));
        }
        self.words.as_ref().filter(|words| guessable(words, password, email)).map(|_| {
            Violation::new(
                FIELD,
                "password.block_list",
                "must not be a common password, a repetition, a sequence, or made of the \
                 address or the name of the service",
            )
        })
    }
}

fn guessable(words: &Words, password: &Password, email: Option<&Email>) -> bool {
    let folded = words::fold(password.as_str());
    if words.is_common(&words::skeleton(&folded)) {
        return true;
    }
    let own = email.map(|email| words.of_address(email)).unwrap_or_default();
    Guesser { words, own: &own }.bits(&folded) < guess::needed(folded.len())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn broken(config: &PasswordConfig, password: &str) -> Option<String> {
        let policy = Policy::new(config).unwrap();
        let email = Email::parse("ada.lovelace@analytical-engines.example").unwrap();
        policy
            .check(&Password::new(password.to_owned()), Some(&email))
            .map(|violation| violation.rule.into_owned())
    }

    fn rule(password: &str) -> Option<String> {
        broken(&PasswordConfig::default(), password)
    }

    const BLOCKED: Option<&str> = Some("password.block_list");

    #[test]
    fn length_is_counted_in_code_points_of_the_normal_form() {
        assert_eq!(rule("vkq zmt wpx bh").as_deref(), Some("password.min_length"));
        assert_eq!(rule("vkq zmt wpx bhd"), None);
        assert_eq!(rule("ж犬🦉éñ漢字ßøłðþæœđ"), None);
        // Fifteen typed characters, fourteen once the accent is composed.
        assert_eq!(rule("vkq zmt wpx be\u{301}").as_deref(), Some("password.min_length"));
    }

    #[test]
    fn a_long_password_of_any_characters_is_accepted() {
        let long: String = ('\u{4e00}'..).take(256).collect();
        assert_eq!(rule(&long), None);
        assert_eq!(rule(&format!("{long}x")).as_deref(), Some("password.max_length"));
        assert_eq!(rule("nul\0 and \u{7}bell are characters too"), None);
    }

    #[test]
    fn what_an_attacker_tries_first_is_refused() {
        for password in [
            "passwordpassword",
            "Password-Password-1",
            "p4$$w0rdP4$$W0RD",
            "password12345678",
            "password83927462",
            "password1password2password3",
            "123456789012345",
            "987654321987654321",
            "abcdefghijklmnop",
            "aaaaaaaaaaaaaaaaaaaa",
            "abababababababab",
            "qwertyuiopasdfghjkl",
            "1qaz2wsx3edc4rfv",
            "QWERTZuiop123456",
            "iloveyouiloveyou!",
            "Welcome2024!!!!!",
            "dragonmonkeyshadow",
            "countersign12345",
            "Counter$ign2026!!",
            "ada.lovelace1815",
            "AdaLovelaceAdaLovelace",
            "analytical-engines1",
            "pässwörd-pässwörd",
        ] {
            assert_eq!(rule(password).as_deref(), BLOCKED, "{password}");
        }
    }

    #[test]
    fn a_phrase_of_ones_own_is_accepted() {
        for password in [
            "correct horse battery staple",
            "correct-horse-battery",
            "my password is not in your list",
            "eleven tired owls drank tea",
            "kD8vQz2MwT5xLb9R",
            "countersign keeps my letters",
            "шестнадцать синих птиц",
        ] {
            assert_eq!(rule(password), None, "{password}");
        }
    }

    #[test]
    fn the_block_list_takes_further_words_and_can_be_off() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "Eleven Tired Owls Drank Tea\r\n\n").unwrap();
        let with_file = PasswordConfig {
            block_list_file: Some(file.path().to_owned()),
            context_words: vec!["Difference Engine".to_owned()],
            ..PasswordConfig::default()
        };
        assert_eq!(broken(&with_file, "eleven tired owls drank tea").as_deref(), BLOCKED);
        assert_eq!(broken(&with_file, "differenceengine1").as_deref(), BLOCKED);
        let off = PasswordConfig { block_list: false, ..PasswordConfig::default() };
        assert_eq!(broken(&off, "passwordpassword"), None);
    }

    #[test]
    fn a_missing_file_of_words_is_named() {
        let config = PasswordConfig {
            block_list_file: Some("/nowhere/words.txt".into()),
            ..PasswordConfig::default()
        };
        let error = Policy::new(&config).err().unwrap().to_string();
        assert!(error.contains("/nowhere/words.txt"), "{error}");
    }

    proptest! {
        #[test]
        fn no_list_word_is_saved_by_repeating_it_or_by_digits_behind_it(
            pick in any::<prop::sample::Index>(),
            digits in "[0-9]{0,4}",
            upper: bool,
        ) {
            let list: Vec<_> = words::COMMON.split_whitespace().collect();
            let word = list[pick.index(list.len())];
            let word = if upper { word.to_uppercase() } else { word.to_owned() };
            let mut password = word.clone();
            while password.chars().count() < 15 {
                password.push_str(&word);
            }
            let broken = rule(&format!("{password}{digits}"));
            prop_assert_eq!(broken.as_deref(), BLOCKED);
        }

        #[test]
        fn random_characters_are_never_taken_for_words(
            password in "[a-zA-Z0-9 !-/:-@]{24,64}",
        ) {
            let broken = rule(&password);
            prop_assert_eq!(broken, None);
        }

        #[test]
        fn any_text_is_judged(password in "\\PC{0,300}") {
            let _ = rule(&password);
        }
    }
}
