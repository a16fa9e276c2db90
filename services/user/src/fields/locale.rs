//! Languages: BCP 47 tags in their canonical case (RFC 5646, section 2.1.1).

use oxilangtag::LanguageTag;

use countersign_types::{Broken, Checked};

/// The tag with its subtags in canonical case, such as `de-Latn-AT`.
///
/// Only tags that begin with a language of two or three letters (ISO 639) are
/// taken: a private-use tag (`x-…`) or an irregular one says nothing to others.
pub fn check(text: &str) -> Checked {
    match LanguageTag::parse_and_normalize(text) {
        Ok(tag) if is_iso_639(tag.primary_language()) => Ok(tag.into_inner()),
        _ => {
            let rule = "must be a BCP 47 language tag such as \"de-AT\"";
            Err(vec![Broken::new("locale.bcp_47", rule)])
        }
    }
}

fn is_iso_639(language: &str) -> bool {
    matches!(language.len(), 2 | 3) && language.bytes().all(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_stored_in_canonical_case() {
        for (text, tag) in [
            ("de-AT", "de-AT"),
            ("DE-at", "de-AT"),
            ("zh-hant-tw", "zh-Hant-TW"),
            ("EN", "en"),
            ("es-419", "es-419"),
            ("sl-rozaj-biske", "sl-rozaj-biske"),
            ("de-de-u-co-phonebk", "de-DE-u-co-phonebk"),
        ] {
            assert_eq!(check(text).as_deref(), Ok(tag), "{text}");
        }
    }

    #[test]
    fn what_is_no_language_tag_is_refused() {
        for text in [
            "_",
            "de_AT",
            "d",
            "german-language",
            "x-secret",
            "i-klingon",
            "de-",
            "de at",
            "de\0",
            "де",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
