//! Traces: spans of the program's own and of its statements, and of those only
//! what is known to hold nothing of anybody.

use std::time::Duration;

use opentelemetry::{
    Context, KeyValue, TraceId,
    trace::{Link, SpanKind, Status, TraceContextExt, TraceState, TracerProvider},
};
use opentelemetry_otlp::{SpanExporter, WithTonicConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SamplingDecision, SamplingResult,
        SdkTracerProvider, ShouldSample, SpanData, SpanExporter as Export,
    },
};
use tracing_subscriber::{Layer, filter::filter_fn};

use super::{
    collector::{Collector, Failures},
    statements::{self, STATEMENT},
};
use crate::{
    config::TelemetryConfig,
    logs::{self, Layers},
};

/// Spans that wait to be sent; one more is dropped.
const MAX_QUEUE: usize = 4096;
const MAX_BATCH: usize = 512;
/// The most that a span can say of itself.
const MAX_ATTRIBUTES: u32 = 32;

/// What leaves the process of a span. A library's span may hold the text of a
/// database, and that may hold an address: so nothing leaves that is not named.
const ATTRIBUTES: [&str; 19] = [
    "db.collection.name",
    "db.operation.name",
    "db.system.name",
    "error.type",
    "messaging.consumer.group.name",
    "messaging.destination.name",
    "messaging.message.id",
    "messaging.operation.name",
    "messaging.operation.type",
    "messaging.system",
    "request.id",
    "rpc.method",
    "rpc.response.status_code",
    "rpc.system.name",
    "event.kind",
    "event.source",
    "event.consumer",
    "server.address",
    "server.port",
];

/// Statements belong to the trace of what asked for them. Those of nobody, such
/// as a relay that looks for work, are no trace of their own.
#[derive(Clone, Debug)]
struct Asked(Sampler);

/// An exporter that lets nothing out but [`ATTRIBUTES`], and counts its failures.
#[derive(Debug)]
struct Discreet {
    exporter: SpanExporter,
    failures: Failures,
}

pub(super) fn provider(
    resource: Resource,
    config: &TelemetryConfig,
    collector: &Collector,
) -> Result<SdkTracerProvider, String> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_channel(collector.channel.clone())
        .build()
        .map_err(|error| error.to_string())?;
    let discreet = Discreet { exporter, failures: Failures::of("traces") };
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(MAX_QUEUE)
        .with_max_export_batch_size(MAX_BATCH)
        .build();
    let processor = BatchSpanProcessor::builder(discreet).with_batch_config(batches).build();
    let ratio = Sampler::TraceIdRatioBased(config.trace_ratio);
    let sampler = Asked(Sampler::ParentBased(Box::new(ratio)));
    Ok(SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(sampler)
        .with_max_attributes_per_span(MAX_ATTRIBUTES)
        .with_span_processor(processor)
        .build())
}

/// Makes spans of `tracing` to spans of a trace. Lines of the log stay in the log.
pub(super) fn layer(provider: &SdkTracerProvider) -> Layers {
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("countersign"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(|of| of.is_span() && is_told(of.target(), of.name())))
        .boxed()
}

/// Of a library's many spans for one statement, one.
fn is_told(target: &str, name: &str) -> bool {
    logs::is_own(target) || (target.starts_with("sea_orm") && name.starts_with(STATEMENT))
}

impl ShouldSample for Asked {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let asked = parent.is_some_and(|parent| parent.span().span_context().is_valid());
        if !asked && name.starts_with(STATEMENT) {
            return SamplingResult {
                decision: SamplingDecision::Drop,
                attributes: Vec::new(),
                trace_state: TraceState::NONE,
            };
        }
        self.0.should_sample(parent, trace, name, kind, attributes, links)
    }
}

impl Export for Discreet {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        for span in &mut batch {
            statements::rename(span);
            span.attributes.retain(|attribute| ATTRIBUTES.contains(&attribute.key.as_str()));
            if let Status::Error { description } = &mut span.status {
                *description = "".into();
            }
        }
        let spans = batch.len();
        self.failures.note(spans, self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
