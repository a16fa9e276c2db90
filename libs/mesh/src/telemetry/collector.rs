//! The way to the collector: one connection for traces and metrics, and a count
//! of what did not get there.

use std::{
    fmt::{self, Debug},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use opentelemetry::{KeyValue, global, metrics::Counter};
use opentelemetry_sdk::error::OTelSdkResult;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::{Error, config::TelemetryConfig};

/// How often the log says that the collector does not answer.
const TELL_INTERVAL: Duration = Duration::from_secs(60);

/// The collector that the configuration names.
pub(super) struct Collector {
    pub channel: Channel,
}

/// Counts what one signal could not send. The counter is made at the first
/// failure, when the meters are surely there.
#[derive(Clone)]
pub(super) struct Failures {
    signal: &'static str,
    told: Arc<Mutex<Option<Instant>>>,
}

impl Collector {
    /// Connects when something is to be sent, and again where the connection broke.
    pub(super) fn connect(config: &TelemetryConfig) -> Result<Option<Self>, Error> {
        let Some(url) = &config.otlp_endpoint else { return Ok(None) };
        let wrong = |error: tonic::transport::Error| {
            Error::Telemetry(format!("telemetry.otlp_endpoint {url:?}: {error}"))
        };
        let mut endpoint = Endpoint::from_shared(url.clone()).map_err(wrong)?;
        if url.starts_with("https://") {
            endpoint = endpoint.tls_config(tls(config)?).map_err(wrong)?;
        }
        let endpoint =
            endpoint.timeout(config.export_timeout).connect_timeout(config.export_timeout);
        Ok(Some(Self { channel: endpoint.connect_lazy() }))
    }
}

impl Failures {
    pub(super) fn of(signal: &'static str) -> Self {
        Self { signal, told: Arc::default() }
    }

    /// Passes on how a batch of so many items was sent.
    pub(super) fn note(&self, items: usize, sent: OTelSdkResult) -> OTelSdkResult {
        if sent.is_err() {
            let dropped = u64::try_from(items).unwrap_or(u64::MAX);
            counter().add(dropped, &[KeyValue::new("signal", self.signal)]);
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.is_none_or(|told| told.elapsed() >= TELL_INTERVAL) {
                *told = Some(Instant::now());
                tracing::warn!(
                    telemetry.signal = self.signal,
                    "the collector does not take what is sent: it is dropped"
                );
            }
        }
        sent
    }
}

impl Debug for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Failures").field(&self.signal).finish()
    }
}

fn counter() -> Counter<u64> {
    global::meter("countersign.telemetry")
        .u64_counter("countersign.telemetry.dropped")
        .with_description("spans and batches of metrics that the collector did not take")
        .build()
}

fn tls(config: &TelemetryConfig) -> Result<ClientTlsConfig, Error> {
    let Some(path) = &config.otlp_ca_file else {
        return Ok(ClientTlsConfig::new().with_native_roots());
    };
    let pem = std::fs::read(path).map_err(|source| Error::Read { path: path.clone(), source })?;
    Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
}
