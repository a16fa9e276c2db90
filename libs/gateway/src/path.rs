//! The path of a request: decoded once, in one way, or refused. What could mean
//! two things to two readers (`..`, an encoded slash, an empty segment) means
//! nothing here.

use countersign_types::{Code, Fault};

/// A path, segment by segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) segments: Vec<String>,
    /// What stands behind the last colon (AIP-136), such as `disable`.
    pub(crate) verb: Option<String>,
}

impl Path {
    /// Reads the path of a URI.
    ///
    /// # Errors
    /// It has a segment that is empty, `.` or `..`, an escape that is none, or
    /// one that hides a slash, a backslash or a control character.
    pub(crate) fn read(raw: &str) -> Result<Self, Fault> {
        let raw = raw.strip_prefix('/').ok_or_else(malformed)?;
        let (head, last) =
            raw.rsplit_once('/').map_or((None, raw), |(head, last)| (Some(head), last));
        // A colon that belongs to an id comes encoded.
        let (last, verb) = match last.rsplit_once(':') {
            Some((last, verb)) => (last, Some(decode(verb, false).ok_or_else(malformed)?)),
            None => (last, None),
        };
        let before = head.into_iter().flat_map(|head| head.split('/'));
        let segments = before.chain([last]).map(segment).collect::<Result<_, _>>()?;
        Ok(Self { segments, verb })
    }
}

fn segment(raw: &str) -> Result<String, Fault> {
    let text = decode(raw, false).ok_or_else(malformed)?;
    let hides = |c: char| c == '/' || c == '\\' || c.is_control();
    if text.is_empty() || text == "." || text == ".." || text.contains(hides) {
        return Err(malformed());
    }
    Ok(text)
}

/// Text without its percent escapes (RFC 3986, section 2.1), and, in a query,
/// with spaces for its pluses; `None` where it is not UTF-8 or an escape is broken.
pub(crate) fn decode(raw: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            b'+' if plus_is_space => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn malformed() -> Fault {
    let message = "the path has an empty or hidden segment, or a broken escape";
    Fault::new(Code::InvalidArgument, "MALFORMED_PATH", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str) -> Option<(Vec<String>, Option<String>)> {
        Path::read(raw).ok().map(|path| (path.segments, path.verb))
    }

    #[test]
    fn a_path_is_decoded_once_and_split_before() {
        let path = |segments: &[&str], verb: Option<&str>| {
            Some((segments.iter().map(|&one| one.to_owned()).collect(), verb.map(str::to_owned)))
        };
        assert_eq!(read("/users/me/profile"), path(&["users", "me", "profile"], None));
        assert_eq!(read("/a/b:stop"), path(&["a", "b"], Some("stop")));
        assert_eq!(read("/a/b%3Astop"), path(&["a", "b:stop"], None));
        assert_eq!(read("/a%2562"), path(&["a%62"], None));
        assert_eq!(read("/%C3%A9"), path(&["é"], None));
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for raw in [
            "",
            "*",
            "/",
            "//",
            "//a",
            "/a//b",
            "/a/",
            "/a/../b",
            "/a/%2e%2E/b",
            "/.",
            "/a%2Fb",
            "/a%5cb",
            "/a%00",
            "/a%0d%0a",
            "/%",
            "/%2",
            "/%zz",
            "/%+1",
            "/%ff",
            "/:verb",
        ] {
            assert_eq!(read(raw), None, "{raw}");
        }
    }
}
