//! Tenants: accounts of one see and touch nothing of another.

use std::{fmt, str::FromStr};

/// Bytes of a name.
const NAME_MAX: usize = 63;
/// The tenant of whoever belongs to no other.
const DEFAULT: &str = "default";

/// The name of a tenant: 1 to 63 lower-case letters, digits and `-`, the first
/// one no `-`. An account belongs to one from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(String);

/// A text is not the name of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 63 lower-case letters, digits and -, the first one no -")]
pub struct TenantError;

impl Tenant {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the tenant of whoever belongs to no other.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0 == DEFAULT
    }
}

impl Default for Tenant {
    fn default() -> Self {
        Self(DEFAULT.to_owned())
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Tenant {
    type Err = TenantError;

    fn from_str(text: &str) -> Result<Self, TenantError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fits = (1..=NAME_MAX).contains(&text.len());
        if fits && !text.starts_with('-') && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(TenantError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_one_spelling() {
        for (text, fine) in [
            ("default", true),
            ("acme-2", true),
            (&*"a".repeat(63), true),
            (&*"a".repeat(64), false),
            ("", false),
            ("-a", false),
            ("Acme", false),
            ("a b", false),
            ("\u{e4}", false),
        ] {
            let read = text.parse::<Tenant>();
            assert_eq!(read.is_ok(), fine, "{text}");
            assert!(read.is_err() || read.is_ok_and(|tenant| tenant.as_str() == text));
        }
        assert!(
            Tenant::default().is_default() && Tenant::default().as_str().parse::<Tenant>().is_ok()
        );
    }
}
