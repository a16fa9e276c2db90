//! One trace from the call to the effect: it is taken where an event is
//! appended, travels with it, and is the parent of what a consumer does.
//!
//! What passes it on is the context of OpenTelemetry, which needs no provider
//! of traces: without one, consumers get what the caller sent.

use countersign_types::TraceParent;
use opentelemetry::{
    Context, global,
    trace::{
        SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
    },
};

use crate::Event;

const SCOPE: &str = "countersign.events";

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

/// The context of a delivery. Its span has the span that made the event as its
/// parent: each event is handled by itself, where OpenTelemetry's conventions
/// for messages allow a parent instead of a link.
pub(crate) fn of_delivery(event: &Event, consumer: &'static str) -> Context {
    // Nothing of the task that delivers: it is the relay, or pulls for all.
    let nothing = Context::new();
    let Some(parent) = event.trace else { return nothing };
    let parent = nothing.with_remote_span_context(SpanContext::new(
        TraceId::from_bytes(parent.trace.to_be_bytes()),
        SpanId::from_bytes(parent.span.to_be_bytes()),
        TraceFlags::new(parent.flags),
        true,
        TraceState::NONE,
    ));
    let tracer = global::tracer(SCOPE);
    let span = tracer
        .span_builder(format!("process {consumer}"))
        .with_kind(SpanKind::Consumer)
        .start_with_context(&tracer, &parent);
    parent.with_span(span)
}
