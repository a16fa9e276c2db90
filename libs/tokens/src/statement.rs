//! Statements: a short text that a key vouches for, in the form of a PASETO
//! v4.public token, so that anybody with the public key and any PASETO library
//! can check one.

use pasetors::{
    token::UntrustedToken,
    version4::{PublicToken, V4},
};

use crate::{Error, KeyId, MAX_TOKEN_BYTES, SigningKey, VerificationKey, footer};

/// Signs a text for one use, such as `audit checkpoint`. The use goes into the
/// signature as the implicit assertion: no statement can be taken for one of
/// another use, nor for an access token.
///
/// # Errors
/// [`Error::Key`] when the key does not sign, [`Error::TooLarge`] when the
/// statement is longer than [`MAX_TOKEN_BYTES`].
pub fn sign_statement(key: &SigningKey, usage: &str, text: &[u8]) -> Result<String, Error> {
    let footer = footer::write(key.key_id())?;
    let statement = PublicToken::sign(key.key(), text, Some(&footer), Some(&assertion(usage)))
        .map_err(|_| Error::Key)?;
    if statement.len() > MAX_TOKEN_BYTES { Err(Error::TooLarge) } else { Ok(statement) }
}

/// The text of a statement that one of the keys has signed for this use, and that key.
///
/// # Errors
/// [`Error::TooLarge`], [`Error::Header`], [`Error::Malformed`],
/// [`Error::UnknownKey`] or [`Error::BadSignature`].
pub fn verify_statement(
    statement: &str,
    usage: &str,
    keys: &[VerificationKey],
) -> Result<(Vec<u8>, KeyId), Error> {
    if statement.len() > MAX_TOKEN_BYTES {
        return Err(Error::TooLarge);
    }
    let body = statement.strip_prefix(PublicToken::HEADER).ok_or(Error::Header)?;
    let (_, encoded_footer) = body.split_once('.').ok_or(Error::Malformed)?;
    let id = footer::read(encoded_footer)?;
    let key = keys.iter().find(|key| *key.key_id() == id).ok_or(Error::UnknownKey)?;
    let token = UntrustedToken::<_, V4>::try_from(statement).map_err(|_| Error::Malformed)?;
    PublicToken::verify(key.key(), &token, None, Some(&assertion(usage)))
        .map_err(|_| Error::BadSignature)?;
    Ok((token.untrusted_payload().to_vec(), id))
}

/// Access tokens say `countersign:access:…`.
fn assertion(usage: &str) -> Vec<u8> {
    format!("countersign:statement:{usage}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_holds_for_its_use_its_key_and_its_text() -> Result<(), Error> {
        let (key, other) = (SigningKey::generate()?, SigningKey::generate()?);
        let keys = [other.verification_key(), key.verification_key()];
        let statement = sign_statement(&key, "use", b"text")?;
        assert_eq!(
            verify_statement(&statement, "use", &keys),
            Ok((b"text".to_vec(), key.key_id().clone()))
        );
        assert_eq!(verify_statement(&statement, "other", &keys), Err(Error::BadSignature));
        assert_eq!(verify_statement(&statement, "use", &keys[..1]), Err(Error::UnknownKey));
        for at in PublicToken::HEADER.len()..statement.len() {
            let mut changed = statement.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(verify_statement(&changed, "use", &keys).is_err(), "{at}");
        }
        assert_eq!(verify_statement("", "use", &keys), Err(Error::Header));
        Ok(())
    }
}
