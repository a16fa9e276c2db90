//! The footer of an access token: the id of its key, and nothing else.
//!
//! It is read before any signature is checked, so it is bounded and its reader
//! is strict: one JSON object with the one name `kid`, once.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::{Error, KeyId};

/// Octets of an encoded footer: `{"kid":"k4.pid.…"}` takes 82.
const MAX_ENCODED_BYTES: usize = 128;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Footer<'a> {
    kid: &'a str,
}

/// The footer that names a key, not yet encoded.
pub(crate) fn write(key_id: &KeyId) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(&Footer { kid: key_id.as_str() }).map_err(|_| Error::Malformed)
}

/// Reads the key id from an encoded footer.
pub(crate) fn read(encoded: &str) -> Result<KeyId, Error> {
    if encoded.len() > MAX_ENCODED_BYTES {
        return Err(Error::Malformed);
    }
    let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| Error::Malformed)?;
    let footer: Footer<'_> = serde_json::from_slice(&bytes).map_err(|_| Error::Malformed)?;
    KeyId::parse(footer.kid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KID: &str = "k4.pid.9ShR3xc8-qVJ_di0tc9nx0IDIqbatdeM2mqLFBJsKRHs";

    fn read_text(footer: &str) -> Result<KeyId, Error> {
        read(&URL_SAFE_NO_PAD.encode(footer))
    }

    #[test]
    fn a_footer_holds_a_key_id_and_nothing_else() {
        let id = read_text(&format!("{{\"kid\":\"{KID}\"}}"));
        assert_eq!(id.as_ref().map(KeyId::as_str), Ok(KID));
        for footer in [
            String::new(),
            "{}".to_owned(),
            KID.to_owned(),
            format!("{{\"kid\":\"{KID}\",\"kid\":\"{KID}\"}}"),
            format!("{{\"kid\":\"{KID}\",\"x\":1}}"),
            format!("{{\"kid\":\"{KID}\"}} x"),
            "{\"kid\":\"k4.sid.9ShR3xc8-qVJ_di0tc9nx0IDIqbatdeM2mqLFBJsKRHs\"}".to_owned(),
            "{\"kid\":\"k4.pid.short\"}".to_owned(),
            "{\"kid\":1}".to_owned(),
        ] {
            assert_eq!(read_text(&footer), Err(Error::Malformed), "{footer}");
        }
    }

    #[test]
    fn a_long_footer_is_refused_before_it_is_decoded() {
        assert_eq!(read(&"e".repeat(129)), Err(Error::Malformed));
    }
}
