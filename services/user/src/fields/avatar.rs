//! Addresses of pictures. They are stored and shown, never fetched from here.

use countersign_types::{Broken, Checked, is_unseen};
use url::Url;

/// Bytes in the normalised form, where other letters are percent-encoded.
const MAX_BYTES: usize = 2048;

/// The address in the normal form of the URL standard, or every rule that it breaks.
///
/// Only `https`: a client that shows the picture must not be made to speak
/// plainly, to run a script (`javascript:`) or to read from itself (`data:`).
pub fn check(text: &str) -> Checked {
    // The URL standard drops white space and control characters in silence.
    let unfit = |c: char| c.is_control() || c.is_whitespace() || is_unseen(c);
    if text.contains(unfit) {
        let rule = "must not contain white space, control or invisible characters";
        return Err(vec![Broken::new("uri.characters", rule)]);
    }
    let https = text.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"));
    let url = match Url::parse(text) {
        Ok(url) if https && url.has_host() => url,
        _ => {
            let rule = "must be an address that begins with https:// and names a host";
            return Err(vec![Broken::new("uri.https", rule)]);
        }
    };
    let mut broken = Vec::new();
    if !url.username().is_empty() || url.password().is_some() {
        broken.push(Broken::new("uri.credentials", "must not contain a user name or a password"));
    }
    if url.as_str().len() > MAX_BYTES {
        let rule = format!("must have at most {MAX_BYTES} bytes in normal form");
        broken.push(Broken::new("uri.max_bytes", rule));
    }
    if broken.is_empty() { Ok(url.into()) } else { Err(broken) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_stored_in_normal_form() {
        for (text, normal) in [
            ("https://img.example.org/a.png", "https://img.example.org/a.png"),
            ("HTTPS://IMG.example.ORG:443/a/../b.png", "https://img.example.org/b.png"),
            ("https://bücher.example/ä", "https://xn--bcher-kva.example/%C3%A4"),
        ] {
            assert_eq!(check(text).as_deref(), Ok(normal), "{text}");
        }
    }

    #[test]
    fn other_addresses_are_refused_with_the_rule() {
        let long = format!("https://example.org/{}", "ä".repeat(400));
        for (text, rule) in [
            ("http://example.org/a.png", "uri.https"),
            ("javascript:alert(1)", "uri.https"),
            ("data:image/png;base64,AAAA", "uri.https"),
            ("https:example.org", "uri.https"),
            ("https://", "uri.https"),
            ("//example.org/a.png", "uri.https"),
            ("https://ada:secret@example.org/", "uri.credentials"),
            ("https://ada@example.org/", "uri.credentials"),
            ("https://exa\nmple.org/", "uri.characters"),
            (" https://example.org/", "uri.characters"),
            ("https://example.org/\u{202e}gnp.exe", "uri.characters"),
            (long.as_str(), "uri.max_bytes"),
        ] {
            let rules: Vec<_> = check(text).err().into_iter().flatten().map(|b| b.rule).collect();
            assert_eq!(rules, [rule], "{text}");
        }
    }
}
