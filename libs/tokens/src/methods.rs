//! How a person proved who they are when the session began.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de};

/// The method of who logs in with a password (RFC 8176, section 2).
const PASSWORD: &str = "pwd";
/// Methods that one session can have.
const METHODS_MAX: usize = 8;
/// Octets of the name of one.
const NAME_MAX: usize = 16;

/// The methods of one authentication, by their names in RFC 8176, such as `pwd`
/// or `otp`: one to eight, of 1 to 16 characters out of `a-z 0-9 - _` each. As a
/// text, they stand beside each other with one space between them.
///
/// The default is the password alone: whatever names no method was written
/// before there was another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct AuthMethods(BTreeSet<String>);

/// What is no set of methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "one to {METHODS_MAX} methods are needed, of 1 to {NAME_MAX} characters out of a-z, 0-9, - and _"
)]
pub struct NoAuthMethods;

impl AuthMethods {
    /// These methods.
    ///
    /// # Errors
    /// [`NoAuthMethods`]: there are none or too many, or one has no such name.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, NoAuthMethods> {
        let names: BTreeSet<_> = names.into_iter().map(Into::into).collect();
        let fits = (1..=METHODS_MAX).contains(&names.len()) && names.iter().all(|n| is_method(n));
        if fits { Ok(Self(names)) } else { Err(NoAuthMethods) }
    }

    /// Whether it was the password and nothing else.
    #[must_use]
    pub fn is_password_alone(&self) -> bool {
        self.0.len() == 1 && self.0.contains(PASSWORD)
    }

    /// The names, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

fn is_method(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(allowed)
}

impl Default for AuthMethods {
    fn default() -> Self {
        Self([PASSWORD.to_owned()].into())
    }
}

impl fmt::Display for AuthMethods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, name) in self.iter().enumerate() {
            let space = if number == 0 { "" } else { " " };
            write!(f, "{space}{name}")?;
        }
        Ok(())
    }
}

impl FromStr for AuthMethods {
    type Err = NoAuthMethods;

    fn from_str(text: &str) -> Result<Self, NoAuthMethods> {
        Self::new(text.split(' '))
    }
}

impl<'de> Deserialize<'de> for AuthMethods {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Vec::<String>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
