//! The trace that is going on: it is taken where an event is appended, travels
//! with it, and goes on where it is sent and processed (`messaging`).
//!
//! What passes it on is the context of OpenTelemetry, which needs no provider
//! of traces.

use countersign_types::TraceParent;
use opentelemetry::{Context, trace::TraceContextExt};

/// The trace that is going on where this is called; `None` outside of any.
#[must_use]
pub fn current() -> Option<TraceParent> {
    let context = Context::current();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| TraceParent {
        trace: u128::from_be_bytes(span.trace_id().to_bytes()),
        span: u64::from_be_bytes(span.span_id().to_bytes()),
        flags: span.trace_flags().to_u8(),
    })
}
