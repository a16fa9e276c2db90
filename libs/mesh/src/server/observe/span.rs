//! The span of a call, under that of the caller where there is one, as the
//! semantic conventions for gRPC name it.

use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt},
};
use tonic::Code;
use tracing::{Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::server::{explain::name, request_id::HEADER, stage::Request};

/// The span of a call, open until its last byte has left.
pub(super) struct CallSpan(Span);

impl CallSpan {
    pub(super) fn begin(request: &Request, method: &'static str) -> Self {
        let span = tracing::info_span!(
            "call",
            otel.name = method,
            otel.kind = "server",
            otel.status_code = Empty,
            rpc.system.name = "grpc",
            rpc.method = method,
            rpc.response.status_code = Empty,
            error.r#type = Empty,
            request.id = request.headers().get(HEADER).and_then(|id| id.to_str().ok()),
            trace.id = Empty,
            span.id = Empty,
        );
        if !span.is_disabled() {
            let caller = Context::current();
            let given = caller.span().span_context().clone();
            // Refused only where nobody collects spans.
            let _ = span.set_parent(caller);
            let own = span.context().span().span_context().clone();
            let known = [own, given].into_iter().find(SpanContext::is_valid);
            if let Some(here) = known {
                span.record("trace.id", tracing::field::display(here.trace_id()));
                span.record("span.id", tracing::field::display(here.span_id()));
            }
        }
        Self(span)
    }

    pub(super) fn inner(&self) -> Span {
        self.0.clone()
    }

    pub(super) fn end(&self, code: Code) {
        self.0.record("rpc.response.status_code", name(code));
        if is_error(code) {
            self.0.record("error.type", name(code));
            self.0.record("otel.status_code", "ERROR");
        }
    }
}

/// Whether a server has failed where it answers so. A call that is denied, or
/// mistaken, has not failed.
pub(super) const fn is_error(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}
