//! Gives each call an id, or keeps the one that the caller gave it.

use http::{HeaderName, HeaderValue};
use uuid::Uuid;

use super::stage::{Request, Response, Stage};

/// The header, in the request for those below and in the response for the client.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Bytes of an id that a caller may choose.
const MAX_LENGTH: usize = 64;

pub(super) struct RequestId<S> {
    next: S,
}

impl<S> RequestId<S> {
    pub(super) const fn new(next: S) -> Self {
        Self { next }
    }
}

impl<S: Stage> Stage for RequestId<S> {
    async fn handle(&self, mut request: Request) -> Response {
        let given = request.headers().get(HEADER).filter(|id| is_sane(id)).cloned();
        let id = given.unwrap_or_else(generate);
        request.headers_mut().insert(HEADER, id.clone());
        let mut response = self.next.handle(request).await;
        response.headers_mut().insert(HEADER, id);
        response
    }
}

/// Visible ASCII: it goes into logs, and a log line must not be forged.
fn is_sane(id: &HeaderValue) -> bool {
    (1..=MAX_LENGTH).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
}

fn generate() -> HeaderValue {
    let mut text = Uuid::encode_buffer();
    let text = Uuid::new_v4().hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("none"))
}
