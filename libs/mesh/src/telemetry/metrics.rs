//! Metrics: to the collector every so often, and to whoever scrapes.

use std::time::Duration;

use opentelemetry_otlp::{MetricExporter, WithTonicConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{
        Aggregation, Instrument, InstrumentKind, PeriodicReader, SdkMeterProvider, Stream,
        Temporality, data::ResourceMetrics, exporter::PushMetricExporter,
    },
};

use super::{
    collector::{Collector, Failures},
    scrape::Scrape,
};
use crate::{Error, config::TelemetryConfig};

/// Bounds for spans of time in seconds, from a cached decision to a slow
/// client: those of the semantic conventions for HTTP and RPC, and three below.
const SECONDS: [f64; 17] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0,
    7.5, 10.0,
];

/// An exporter whose failures are counted.
struct Counted {
    exporter: MetricExporter,
    failures: Failures,
}

/// The provider of all meters; none where nobody would hear of them.
pub(super) fn provider(
    resource: Resource,
    config: &TelemetryConfig,
    collector: Option<&Collector>,
    scrape: &Option<Scrape>,
) -> Result<Option<SdkMeterProvider>, Error> {
    if collector.is_none() && scrape.is_none() {
        return Ok(None);
    }
    let mut provider = SdkMeterProvider::builder().with_resource(resource).with_view(in_seconds);
    if let Some(collector) = collector {
        let exporter = MetricExporter::builder()
            .with_tonic()
            .with_channel(collector.channel.clone())
            .build()
            .map_err(|error| Error::Telemetry(error.to_string()))?;
        let counted = Counted { exporter, failures: Failures::of("metrics") };
        let reader =
            PeriodicReader::builder(counted).with_interval(config.metrics_interval).build();
        provider = provider.with_reader(reader);
    }
    if let Some(scrape) = scrape {
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(scrape.registry())
            .build()
            .map_err(|error| Error::Telemetry(error.to_string()))?;
        provider = provider.with_reader(reader);
    }
    Ok(Some(provider.build()))
}

/// The bounds of every histogram of seconds: the SDK's own are for milliseconds.
fn in_seconds(instrument: &Instrument) -> Option<Stream> {
    if instrument.kind() != InstrumentKind::Histogram || instrument.unit() != "s" {
        return None;
    }
    let boundaries = SECONDS.to_vec();
    let aggregation = Aggregation::ExplicitBucketHistogram { boundaries, record_min_max: true };
    Stream::builder().with_aggregation(aggregation).build().ok()
}

impl PushMetricExporter for Counted {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.failures.note(1, self.exporter.export(metrics).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
