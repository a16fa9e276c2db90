//! Telemetry: what a process tells about itself. Logs go to stderr, traces and
//! metrics by OTLP to a collector, metrics to Prometheus as well.
//!
//! [`Telemetry::start`] comes before everything that counts or traces: meters
//! take the provider that is there when they are made. None of it holds up a
//! call: what finds no room or no collector is dropped and counted.

mod collector;
mod metrics;
mod scrape;
mod statements;
mod traces;

use std::time::Duration;

use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::{Resource, metrics::SdkMeterProvider, trace::SdkTracerProvider};
use uuid::Uuid;

use crate::{
    Error, Part, Task,
    config::{LogConfig, TelemetryConfig},
    logs,
};
use collector::Collector;
use scrape::Scrape;

/// The telemetry of this process, until [`Telemetry::stop`].
#[derive(Debug)]
pub struct Telemetry {
    tracers: Option<SdkTracerProvider>,
    meters: Option<SdkMeterProvider>,
    scrape: Option<Scrape>,
    timeout: Duration,
}

impl Telemetry {
    /// Sets up logs, traces and metrics of the service named `service`, such as
    /// `countersign-auth`; `OTEL_RESOURCE_ATTRIBUTES` adds to what is told of it.
    ///
    /// # Errors
    /// [`Error::Logs`], [`Error::Telemetry`] and [`Error::Read`] say which
    /// setting cannot be had.
    pub async fn start(
        service: &'static str,
        log: &LogConfig,
        config: &TelemetryConfig,
    ) -> Result<Self, Error> {
        let collector = Collector::connect(config)?;
        let scrape = match config.metrics_listen {
            Some(address) => Some(Scrape::listen(address).await?),
            None => None,
        };
        let meters = metrics::provider(resource(service), config, collector.as_ref(), &scrape)?;
        if let Some(meters) = &meters {
            global::set_meter_provider(meters.clone());
        }
        // Counts what it cannot send, so after the meters.
        let tracers = collector.as_ref().map(|collector| {
            traces::provider(resource(service), config, collector).map_err(Error::Telemetry)
        });
        let tracers = tracers.transpose()?;
        if let Some(tracers) = &tracers {
            global::set_tracer_provider(tracers.clone());
        }
        logs::init(log, tracers.as_ref().map(traces::layer))?;
        Ok(Self { tracers, meters, scrape, timeout: config.export_timeout })
    }

    /// What answers Prometheus, where an address is set. Serve it beside the rest.
    #[must_use]
    pub fn part(&mut self) -> Part {
        let tasks = self.scrape.take().map(|scrape| {
            Task::new("metrics", move |cancel| async move { scrape.serve(cancel).await })
        });
        let mut part = Part::new("telemetry");
        part.tasks.extend(tasks);
        part
    }

    /// Sends what is still here, for as long as the collector may take, and ends.
    pub async fn stop(self) {
        let Self { tracers, meters, timeout, .. } = self;
        // Both wait for threads of their own.
        let stopped = tokio::task::spawn_blocking(move || {
            let traces = tracers.map(|tracers| tracers.shutdown_with_timeout(timeout));
            let metrics = meters.map(|meters| meters.shutdown_with_timeout(timeout));
            [traces, metrics].into_iter().flatten().all(|stopped| stopped.is_ok())
        });
        if !stopped.await.unwrap_or(false) {
            tracing::warn!("the last traces or metrics could not be sent");
        }
    }
}

/// Who is telling: the service, its version and this very process.
fn resource(service: &'static str) -> Resource {
    Resource::builder()
        .with_service_name(service)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", Uuid::new_v4().to_string()))
        .build()
}
