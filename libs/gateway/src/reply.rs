//! What every answer of ours says of itself.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
};
use http_body_util::Full;
use serde::Serialize;
use tonic::body::Body;

/// An answer that is JSON. Nobody is to keep it: it may hold tokens, and it is
/// for one caller only.
pub(crate) fn json_answer(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    // Values and strings as keys: nothing that could fail.
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    let mut answer = Response::new(Body::new(Full::new(Bytes::from(bytes))));
    *answer.status_mut() = status;
    private(&mut answer, "application/json");
    answer
}

/// Marks what an answer is, and that it is for its caller alone.
pub(crate) fn private(answer: &mut Response<Body>, kind: &'static str) {
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}
