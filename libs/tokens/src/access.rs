//! Signing and verifying access tokens.

use std::time::Duration;

use pasetors::{
    token::UntrustedToken,
    version4::{PublicToken, V4},
};

use crate::{Claims, Error, KeyId, KeyRing, Purpose, SigningKey, footer};

/// Octets of an access token. A longer one is neither issued nor looked at.
pub const MAX_TOKEN_BYTES: usize = 4096;

/// The longest life that an auth service may give to an access token: what was
/// revoked longer ago concerns none that lives.
pub const MAX_TOKEN_LIFE: Duration = Duration::from_secs(60 * 60);

/// What a token is bound to without saying so: it goes into the signature as
/// the implicit assertion, so that a token of one environment is noise in another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Name of the environment, such as `production`.
    pub environment: String,
}

/// What a token that holds says, and the key that it was signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What the token says.
    pub claims: Claims,
    /// The key that verified it.
    pub key_id: KeyId,
}

impl Binding {
    /// Purposes hold no colon, so that no two bindings read the same.
    fn assertion(&self, purpose: Purpose) -> Vec<u8> {
        format!("countersign:{}:{}", purpose.as_str(), self.environment).into_bytes()
    }
}

/// Issues an access token.
///
/// # Errors
/// [`Error::Claims`] when a time cannot be written, [`Error::TooLarge`] when
/// the claims do not fit into [`MAX_TOKEN_BYTES`], [`Error::Key`] when the key
/// does not sign.
pub fn sign(key: &SigningKey, binding: &Binding, claims: &Claims) -> Result<String, Error> {
    let payload = claims.to_payload()?;
    let footer = footer::write(key.key_id())?;
    let assertion = binding.assertion(claims.purpose);
    let token = PublicToken::sign(key.key(), &payload, Some(&footer), Some(&assertion))
        .map_err(|_| Error::Key)?;
    if token.len() > MAX_TOKEN_BYTES { Err(Error::TooLarge) } else { Ok(token) }
}

/// Verifies the signature of an access token and reads its claims. Whether the
/// claims hold here and now is asked of [`crate::Expect`].
///
/// # Errors
/// [`Error::TooLarge`], [`Error::Header`], [`Error::Malformed`],
/// [`Error::UnknownKey`], [`Error::BadSignature`], [`Error::Claims`] or
/// [`Error::WrongPurpose`], looked at in this order.
pub fn verify(token: &str, keys: &KeyRing, binding: &Binding) -> Result<Verified, Error> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Error::TooLarge);
    }
    let body = token.strip_prefix(PublicToken::HEADER).ok_or(Error::Header)?;
    let (_, encoded_footer) = body.split_once('.').ok_or(Error::Malformed)?;
    let key_id = footer::read(encoded_footer)?;
    let key = keys.get(key_id.as_str()).ok_or(Error::UnknownKey)?;

    let token = UntrustedToken::<_, V4>::try_from(token).map_err(|_| Error::Malformed)?;
    let assertion = binding.assertion(Purpose::Access);
    PublicToken::verify(key.key(), &token, None, Some(&assertion))
        .map_err(|_| Error::BadSignature)?;
    let claims = Claims::from_payload(token.untrusted_payload())?;
    Ok(Verified { claims, key_id })
}
