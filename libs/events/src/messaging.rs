//! How a publish and what a consumer does about an event are told: a span and a
//! measure each, as OpenTelemetry's semantic conventions for messaging name
//! them, and one trace from the call to the effect.
//!
//! Each event is sent and processed by itself, where the conventions allow a
//! parent in place of a link. Without a provider of traces there are no spans,
//! and consumers get what the caller sent.

use std::{borrow::Cow, future::Future, time::Instant};

use opentelemetry::{
    Context, KeyValue,
    context::FutureExt,
    global,
    metrics::Histogram,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use tracing::{Instrument, Span, field::Empty};

use crate::{Event, trace};

/// The way by which an event comes or goes.
pub(crate) struct Way {
    /// `messaging.system`.
    pub system: &'static str,
    /// `messaging.destination.name`: where events of this kind go, whatever it
    /// was that they happened to.
    pub destination: String,
}

/// How long publishing takes, and what consumers do.
pub(crate) struct MessagingMeter {
    sending: Histogram<f64>,
    processing: Histogram<f64>,
}

/// An event that is being sent or processed.
pub(crate) struct Operation {
    span: Span,
    parent: Context,
    began: Instant,
    measure: Histogram<f64>,
    labels: Vec<KeyValue>,
}

impl Way {
    /// Within this process: from the outbox, or from the dead letters.
    pub(crate) fn within(event: &Event) -> Self {
        Self { system: "countersign", destination: event.kind.clone() }
    }
}

impl MessagingMeter {
    pub(crate) fn new() -> Self {
        let meter = global::meter("countersign.events");
        let seconds = |name: &'static str, what: &'static str| {
            meter.f64_histogram(name).with_unit("s").with_description(what).build()
        };
        Self {
            sending: seconds(
                "messaging.client.operation.duration",
                "how long it takes until the bus has an event",
            ),
            processing: seconds(
                "messaging.process.duration",
                "how long a consumer takes for an event",
            ),
        }
    }

    /// Begins to send an event of this process.
    pub(crate) fn send(&self, way: &Way, event: &Event) -> Operation {
        let id = tracing::field::display(event.id);
        let begin = || {
            tracing::info_span!(
                "publish",
                otel.name = format!("publish {}", way.destination),
                otel.kind = "producer",
                otel.status_code = Empty,
                "messaging.system" = way.system,
                "messaging.operation.name" = "publish",
                "messaging.operation.type" = "send",
                "messaging.destination.name" = way.destination,
                "messaging.message.id" = id,
                "error.type" = Empty,
                trace.id = Empty,
                span.id = Empty,
            )
        };
        let labels = vec![
            KeyValue::new("messaging.system", way.system),
            KeyValue::new("messaging.operation.name", "publish"),
            KeyValue::new("messaging.operation.type", "send"),
            KeyValue::new("messaging.destination.name", way.destination.clone()),
        ];
        Operation::begin(event, begin, self.sending.clone(), labels)
    }

    /// Begins to process an event. Where it comes from stands in the span alone:
    /// whoever may write into the stream could make any number of labels of it.
    pub(crate) fn process(&self, way: &Way, consumer: &'static str, event: &Event) -> Operation {
        let id = tracing::field::display(event.id);
        let begin = || {
            tracing::info_span!(
                "process",
                otel.name = format!("process {}", way.destination),
                otel.kind = "consumer",
                otel.status_code = Empty,
                "messaging.system" = way.system,
                "messaging.operation.name" = "process",
                "messaging.operation.type" = "process",
                "messaging.destination.name" = way.destination,
                "messaging.message.id" = id,
                "messaging.consumer.group.name" = consumer,
                "error.type" = Empty,
                trace.id = Empty,
                span.id = Empty,
            )
        };
        let labels = vec![
            KeyValue::new("messaging.system", way.system),
            KeyValue::new("messaging.operation.name", "process"),
            KeyValue::new("messaging.operation.type", "process"),
            KeyValue::new("messaging.consumer.group.name", consumer),
        ];
        Operation::begin(event, begin, self.processing.clone(), labels)
    }
}

impl Operation {
    fn begin(
        event: &Event,
        span: impl FnOnce() -> Span,
        measure: Histogram<f64>,
        labels: Vec<KeyValue>,
    ) -> Self {
        let began = Instant::now();
        // Nothing of the task that it runs on: that serves all.
        let nothing = Context::new();
        let Some(parent) = event.trace else {
            return Self { span: Span::none(), parent: nothing, began, measure, labels };
        };
        let parent = nothing.with_remote_span_context(SpanContext::new(
            TraceId::from_bytes(parent.trace.to_be_bytes()),
            SpanId::from_bytes(parent.span.to_be_bytes()),
            TraceFlags::new(parent.flags),
            true,
            TraceState::NONE,
        ));
        let attached = parent.clone().attach();
        let span = span();
        // By these, the lines that are logged meanwhile are found.
        if let Some(here) = span.in_scope(trace::current) {
            span.record("trace.id", tracing::field::display(format_args!("{:032x}", here.trace)));
            span.record("span.id", tracing::field::display(format_args!("{:016x}", here.span)));
        }
        drop(attached);
        Self { span, parent, began, measure, labels }
    }

    /// Does `work` as a part of it: what happens there belongs to this trace.
    pub(crate) async fn scope<T>(&self, work: impl Future<Output = T>) -> T {
        work.instrument(self.span.clone()).with_context(self.parent.clone()).await
    }

    /// The event as it travels: who gets it has this span as its parent.
    pub(crate) fn stamped<'a>(&self, event: &'a Event) -> Cow<'a, Event> {
        if self.span.is_none() {
            return Cow::Borrowed(event);
        }
        let attached = self.parent.clone().attach();
        let trace = self.span.in_scope(trace::current);
        drop(attached);
        match trace {
            Some(_) if trace != event.trace => Cow::Owned(Event { trace, ..event.clone() }),
            _ => Cow::Borrowed(event),
        }
    }

    /// It is done, or came to nothing for a reason (`error.type`).
    pub(crate) fn end(&self, error: Option<&'static str>) {
        let failed = error.map(|error| KeyValue::new("error.type", error));
        if let Some(error) = error {
            self.span.record("error.type", error);
            self.span.record("otel.status_code", "ERROR");
        }
        let labels: Vec<_> = self.labels.iter().cloned().chain(failed).collect();
        self.measure.record(self.began.elapsed().as_secs_f64(), &labels);
    }
}
