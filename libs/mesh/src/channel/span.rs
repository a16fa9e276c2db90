//! The span of a call that is made, under the current one, and how the server is
//! told of it (W3C Trace Context). One span for all attempts of a call.

use countersign_types::TraceParent;
use http::{HeaderMap, HeaderValue};
use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt},
};
use tonic::Code;
use tracing::{Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::server::{TRACE_HEADER, code_name};

/// The span of a call, open until its answer is there, of a stream until it begins.
pub(super) struct CallSpan(Span);

impl CallSpan {
    /// `path` as gRPC has it, `/package.Service/Method`.
    pub(super) fn begin(path: &str) -> Self {
        let method = path.trim_start_matches('/');
        Self(tracing::info_span!(
            "client call",
            otel.name = method,
            otel.kind = "client",
            otel.status_code = Empty,
            rpc.system.name = "grpc",
            rpc.method = method,
            rpc.response.status_code = Empty,
            error.r#type = Empty,
        ))
    }

    pub(super) fn inner(&self) -> Span {
        self.0.clone()
    }

    /// Tells the server under which span it works. Where nobody collects spans, that
    /// is the one which the call that is being answered came with. What stands there
    /// already stays.
    pub(super) fn pass_on(&self, headers: &mut HeaderMap) {
        let own = self.0.context();
        let around = Context::current();
        let span = [own.span().span_context(), around.span().span_context()]
            .into_iter()
            .find(|span| span.is_valid())
            .map(header);
        if let Some(Ok(span)) = span {
            headers.entry(TRACE_HEADER).or_insert(span);
        }
    }

    /// Says how it ended. Whatever is no answer, a client sees as an error.
    pub(super) fn end(&self, code: Code) {
        self.0.record("rpc.response.status_code", code_name(code));
        if code != Code::Ok {
            self.0.record("error.type", code_name(code));
            self.0.record("otel.status_code", "ERROR");
        }
    }
}

fn header(span: &SpanContext) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    let parent = TraceParent {
        trace: u128::from_be_bytes(span.trace_id().to_bytes()),
        span: u64::from_be_bytes(span.span_id().to_bytes()),
        flags: span.trace_flags().to_u8(),
    };
    HeaderValue::try_from(parent.to_string())
}
