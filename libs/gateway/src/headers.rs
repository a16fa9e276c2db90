//! Which headers of a request the call below gets to see: those of this list and
//! no others. gRPC reads meaning into many names (`grpc-timeout`, `grpc-encoding`,
//! `te`, `…-bin`), and a caller of HTTP has no business with any of them.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, CONTENT_TYPE, FORWARDED, TE, USER_AGENT},
};

/// Who calls, from where, and to which trace it belongs.
const PASSED: [HeaderName; 7] = [
    AUTHORIZATION,
    USER_AGENT,
    FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];
/// What each field counts for beside its name and value (RFC 9113, section 6.5.2).
const FIELD: usize = 32;

/// The headers of the gRPC request.
pub(crate) fn passed(given: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in &PASSED {
        for value in given.get_all(name) {
            headers.append(name, value.clone());
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers
}

/// How large they are.
pub(crate) fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD).sum()
}

/// Whether the body is JSON in UTF-8.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let mut given = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return false };
    let Ok(text) = value.to_str() else { return false };
    let (kind, parameters) = text.split_once(';').unwrap_or((text, ""));
    kind.trim().eq_ignore_ascii_case("application/json")
        && parameters.split(';').map(str::trim).filter(|one| !one.is_empty()).all(|one| {
            let charset =
                one.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("charset"));
            charset.is_none_or(|(_, set)| set.trim_matches('"').eq_ignore_ascii_case("utf-8"))
        })
}
