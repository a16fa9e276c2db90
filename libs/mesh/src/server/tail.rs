//! A body that shows its trailers to a function before they leave, and the
//! trailers of a status for bodies that have to end early.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::{Status, body::Body};

/// A body with a function for its trailers.
pub(crate) struct Tail<F> {
    inner: Body,
    on_trailers: F,
}

impl<F: FnMut(&mut HeaderMap) + Send + Unpin + 'static> Tail<F> {
    /// `inner`, whose trailers pass `on_trailers`.
    pub(crate) fn body(inner: Body, on_trailers: F) -> Body {
        Body::new(Self { inner, on_trailers })
    }
}

impl<F: FnMut(&mut HeaderMap) + Unpin> HttpBody for Tail<F> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let mut frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        if let Some(trailers) = frame.as_mut().and_then(|f| f.as_mut().ok()?.trailers_mut()) {
            (this.on_trailers)(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The last frame of a body that ends with `status`.
pub(super) fn trailers(status: &Status) -> Frame<Bytes> {
    let mut headers = HeaderMap::new();
    // Only metadata could be refused, and these statuses have none.
    let _ = status.add_header(&mut headers);
    Frame::trailers(headers)
}

/// An answer that is nothing but `status`.
pub(super) fn refusal(status: Status) -> http::Response<Body> {
    status.into_http()
}
