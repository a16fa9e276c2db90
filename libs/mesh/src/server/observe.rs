//! A call as it is seen from outside: its span, its line in the log and its
//! measure. All three say the same, and nothing of its content.
//!
//! A denied or mistaken call is the client's affair and told like a good one;
//! only what is ours to mend is an error.

mod line;
mod meter;
mod span;

use std::{sync::Arc, time::Instant};

use http_body::Body as _;
use tonic::{Code, Status};
use tracing::Instrument;

use super::{
    stage::{Request, Response, Stage},
    tail::Tail,
};
use line::Line;
use meter::Meter;
use span::CallSpan;

pub(super) use meter::Methods;

pub(super) struct Observe<S> {
    next: S,
    meter: Arc<Meter>,
}

/// A call that has not ended yet. Dropped before its end, it says CANCELLED: the
/// client went away.
struct Call {
    line: Line,
    span: CallSpan,
    meter: Arc<Meter>,
    method: &'static str,
    start: Instant,
    ended: bool,
}

impl<S> Observe<S> {
    pub(super) fn new(next: S, methods: Methods) -> Self {
        Self { next, meter: Arc::new(Meter::new(methods)) }
    }
}

impl<S: Stage> Stage for Observe<S> {
    async fn handle(&self, request: Request) -> Response {
        let mut call = Call::begin(&request, &self.meter);
        let response = self.next.handle(request).instrument(call.span.inner()).await;
        let status = response.headers().get(Status::GRPC_STATUS);
        if let Some(code) = status.map(|code| Code::from_bytes(code.as_bytes())) {
            call.end(code);
        } else if !response.status().is_success() {
            call.end_http(response.status().as_u16());
        } else if response.body().is_end_stream() {
            call.end(Code::Unknown);
        } else {
            return response.map(|body| {
                Tail::body(body, move |trailers| {
                    let code = trailers.get(Status::GRPC_STATUS);
                    call.end(code.map_or(Code::Unknown, |c| Code::from_bytes(c.as_bytes())));
                })
            });
        }
        response
    }
}

impl Call {
    fn begin(request: &Request, meter: &Arc<Meter>) -> Self {
        let method = meter.method(request.uri().path());
        Self {
            line: Line::of(request),
            span: CallSpan::begin(request, method),
            meter: Arc::clone(meter),
            method,
            start: Instant::now(),
            ended: false,
        }
    }

    fn end(&mut self, code: Code) {
        self.ended = true;
        let elapsed = self.start.elapsed();
        self.meter.record(self.method, code, elapsed);
        self.span.end(code);
        self.span.inner().in_scope(|| self.line.write(code, elapsed));
    }

    fn end_http(&mut self, status: u16) {
        self.ended = true;
        let elapsed = self.start.elapsed();
        self.span.inner().in_scope(|| self.line.write_http(status, elapsed));
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Code::Cancelled);
        }
    }
}
