//! Makes the caller's trace the one that the call belongs to.
//!
//! The context of OpenTelemetry is set, with the caller's span as a remote
//! parent: whoever makes a span, or writes down what a trace needs to go on,
//! finds it there, and needs no provider of traces for that.

use countersign_types::TraceParent;
use http::HeaderName;
use opentelemetry::{
    Context,
    context::FutureExt,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};

use super::stage::{Request, Response, Stage};

/// W3C Trace Context. A text that is none is ignored, as its section 4.3 asks for.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("traceparent");

pub(super) struct Trace<S> {
    next: S,
}

impl<S> Trace<S> {
    pub(super) const fn new(next: S) -> Self {
        Self { next }
    }
}

impl<S: Stage> Stage for Trace<S> {
    async fn handle(&self, request: Request) -> Response {
        match parent(&request) {
            Some(parent) => {
                let context = Context::current().with_remote_span_context(parent);
                self.next.handle(request).with_context(context).await
            }
            None => self.next.handle(request).await,
        }
    }
}

fn parent(request: &Request) -> Option<SpanContext> {
    let mut given = request.headers().get_all(HEADER).iter();
    let (Some(text), None) = (given.next(), given.next()) else { return None };
    let parent: TraceParent = text.to_str().ok()?.parse().ok()?;
    Some(SpanContext::new(
        TraceId::from_bytes(parent.trace.to_be_bytes()),
        SpanId::from_bytes(parent.span.to_be_bytes()),
        TraceFlags::new(parent.flags),
        true,
        TraceState::NONE,
    ))
}
