//! Contains panics: a panic in one call is an INTERNAL error of that call, also
//! while its answer is streamed.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use countersign_contracts::status;
use countersign_types::Fault;
use futures::FutureExt;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::{Status, body::Body};

use super::{
    stage::{Request, Response, Stage},
    tail::{refusal, trailers},
};

pub(super) struct Contain<S> {
    next: S,
}

/// A body that ends with INTERNAL when the one inside panics.
struct Contained {
    inner: Option<Body>,
}

impl<S> Contain<S> {
    pub(super) const fn new(next: S) -> Self {
        Self { next }
    }
}

impl<S: Stage> Stage for Contain<S> {
    async fn handle(&self, request: Request) -> Response {
        let uri = request.uri().clone();
        // What a call leaves behind is its own: it shares nothing but what locks protect.
        let answer = AssertUnwindSafe(self.next.handle(request)).catch_unwind().await;
        match answer {
            Ok(response) => response.map(|body| Body::new(Contained { inner: Some(body) })),
            Err(_) => {
                tracing::error!(rpc.method = uri.path(), "a handler panicked");
                refusal(status(Fault::internal()))
            }
        }
    }
}

impl HttpBody for Contained {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(inner).poll_frame(cx)));
        polled.unwrap_or_else(|_| {
            self.inner = None;
            tracing::error!("a stream panicked");
            Poll::Ready(Some(Ok(trailers(&status(Fault::internal())))))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}
