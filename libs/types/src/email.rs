//! Email addresses, normalised at the edge so that one mailbox is one account.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// RFC 5321, section 4.5.3.1.1: octets of the part before the `@`.
const LOCAL_PART_MAX: usize = 64;
/// RFC 5321, section 4.5.3.1.3: octets of a path, less its two brackets.
const ADDRESS_MAX: usize = 254;

/// A normalised address: NFKC, lower case, the domain in its ASCII form (IDNA).
///
/// It is personal data: [`fmt::Debug`] hides it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(String);

/// Why a text is not an address that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// No `@`, or nothing on one side of it.
    #[error("must have the form local-part@domain")]
    Form,
    /// Longer than RFC 5321 allows.
    #[error("must have at most 64 bytes before the @ and 254 in all")]
    Length,
    /// White space, control characters, quotes or a misplaced dot before the `@`.
    #[error("has a character before the @ that is not allowed there")]
    LocalPart,
    /// The part after the `@` is not a domain name.
    #[error("must end in a valid domain name")]
    Domain,
}

impl Email {
    /// Reads and normalises an address.
    ///
    /// # Errors
    /// [`EmailError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        // NFKC can lengthen a text eighteenfold: look at the length first.
        if text.len() > 4 * ADDRESS_MAX {
            return Err(EmailError::Length);
        }
        let folded: String = text.nfkc().flat_map(char::to_lowercase).nfkc().collect();
        let (local, domain) = folded.rsplit_once('@').ok_or(EmailError::Form)?;
        if local.is_empty() || domain.is_empty() {
            return Err(EmailError::Form);
        }
        if !is_dot_atom(local) {
            return Err(EmailError::LocalPart);
        }
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| EmailError::Domain)?;
        if !domain.contains('.') || domain.ends_with('.') {
            return Err(EmailError::Domain);
        }
        if local.len() > LOCAL_PART_MAX || local.len() + 1 + domain.len() > ADDRESS_MAX {
            return Err(EmailError::Length);
        }
        Ok(Self(format!("{local}@{domain}")))
    }

    /// The normalised address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the `@`.
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(hidden)")
    }
}

/// RFC 5322 `dot-atom`, with the letters that RFC 6532 adds.
fn is_dot_atom(local: &str) -> bool {
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom_char))
}

fn is_atom_char(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
    } else {
        c.is_alphanumeric()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Result<String, EmailError> {
        Email::parse(text).map(|email| email.as_str().to_owned())
    }

    #[test]
    fn spellings_of_one_mailbox_become_one_address() {
        for text in ["ada@example.org", "Ada@Example.ORG", "ａｄａ@example.org"] {
            assert_eq!(parsed(text).as_deref(), Ok("ada@example.org"), "{text}");
        }
        assert_eq!(parsed("zoe@bücher.example").as_deref(), Ok("zoe@xn--bcher-kva.example"));
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_rule() {
        for (text, rule) in [
            ("", EmailError::Form),
            ("ada", EmailError::Form),
            ("@example.org", EmailError::Form),
            ("ada@", EmailError::Form),
            ("ada lovelace@example.org", EmailError::LocalPart),
            ("ada..l@example.org", EmailError::LocalPart),
            ("ada\0@example.org", EmailError::LocalPart),
            ("\"ada\"@example.org", EmailError::LocalPart),
            ("a\u{202e}da@example.org", EmailError::LocalPart),
            ("ada@localhost", EmailError::Domain),
            ("ada@exa mple.org", EmailError::Domain),
            ("ada@-example.org", EmailError::Domain),
        ] {
            assert_eq!(parsed(text), Err(rule), "{text:?}");
        }
        assert_eq!(parsed(&format!("{}@example.org", "a".repeat(65))), Err(EmailError::Length));
        assert_eq!(parsed(&"a".repeat(100_000)), Err(EmailError::Length));
    }

    #[test]
    fn an_address_does_not_show_in_debug_output() {
        let shown = Email::parse("ada@example.org").map(|email| format!("{email:?}"));
        assert_eq!(shown.as_deref(), Ok("Email(hidden)"));
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in "\\PC{1,20}@[a-z]{1,10}\\.[a-z]{2,5}") {
            if let Ok(once) = parsed(&text) {
                prop_assert_eq!(parsed(&once), Ok(once));
            }
        }
    }
}
