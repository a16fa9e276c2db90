//! Access tokens (PASETO v4.public), the ring of keys that verify them, refresh
//! tokens, and statements that a key vouches for.
//!
//! The only crate that knows pasetors. It neither stores nor logs anything, and
//! no error of it carries any part of a token or a key.

mod access;
mod attributes;
mod claims;
mod error;
mod expect;
mod footer;
mod key;
mod methods;
mod refresh;
mod ring;
mod statement;

pub use access::{Binding, MAX_TOKEN_BYTES, MAX_TOKEN_LIFE, Verified, sign, verify};
pub use attributes::{AccountAttributes, AttributeValue};
pub use claims::{Claims, Purpose};
pub use error::Error;
pub use expect::Expect;
pub use key::{KeyId, SigningKey, VerificationKey};
pub use methods::{AuthMethods, NoAuthMethods};
pub use refresh::{RefreshKey, RefreshToken};
pub use ring::KeyRing;
pub use statement::{sign_statement, verify_statement};
