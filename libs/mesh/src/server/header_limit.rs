//! Refuses calls whose headers are too large, with a status that says so.
//!
//! HTTP/2 could refuse them itself, but would take the whole connection down
//! with them, or answer in a way that no client understands. So it lets a little
//! more pass than is allowed, and only what is beyond that ends the connection.

use countersign_contracts::status;
use countersign_types::{Code, Fault};
use http::HeaderMap;

use super::{
    stage::{Request, Response, Stage},
    tail::refusal,
};

/// What HTTP/2 lets pass, in bytes of one request: enough for any honest mistake,
/// and no more than a connection may have on its way in a message anyhow.
pub(super) const CEILING: u32 = 1024 * 1024 + 64 * 1024;
/// What HTTP/1.1 reads at a time, beside headers that are as large as they may be.
const READ_AHEAD: u32 = 32 * 1024;
/// What each field counts for beside its name and value (RFC 9113, section 6.5.2).
const FIELD: usize = 32;

pub(super) struct HeaderLimit<S> {
    next: S,
    max: usize,
}

impl<S> HeaderLimit<S> {
    pub(super) fn new(next: S, max: u32) -> Self {
        Self { next, max: usize::try_from(max).unwrap_or(usize::MAX) }
    }
}

impl<S: Stage> Stage for HeaderLimit<S> {
    async fn handle(&self, request: Request) -> Response {
        if size(request.headers()) + request.uri().path().len() <= self.max {
            return self.next.handle(request).await;
        }
        let message = "the headers are larger than the server accepts";
        refusal(status(Fault::new(Code::ResourceExhausted, "HEADERS_TOO_LARGE", message)))
    }
}

/// Bytes that HTTP/1.1 may have read and not understood yet: with more in its
/// headers, a request is refused and its connection ended.
pub(super) fn read_ahead(max: u32) -> usize {
    usize::try_from(max.saturating_add(READ_AHEAD)).unwrap_or(usize::MAX)
}

fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD).sum()
}
