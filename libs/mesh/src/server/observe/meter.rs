//! How long calls take, by method and status, as the semantic conventions for
//! RPC metrics name it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use opentelemetry::{KeyValue, global, metrics::Histogram};
use tonic::Code;

use super::span::is_error;
use crate::server::explain::name;

/// What a method is called that this server does not have: a client can ask for
/// any, and each would be a series of its own.
const OTHER: &str = "_OTHER";

/// The methods that are mounted, such as `grpc.health.v1.Health/Check`.
#[derive(Clone)]
pub(in crate::server) struct Methods(Arc<HashSet<&'static str>>);

/// Measures every call.
pub(super) struct Meter {
    methods: Methods,
    duration: Histogram<f64>,
}

impl Methods {
    pub(in crate::server) fn new(methods: impl IntoIterator<Item = &'static str>) -> Self {
        Self(Arc::new(methods.into_iter().collect()))
    }
}

impl Meter {
    pub(super) fn new(methods: Methods) -> Self {
        let duration = global::meter("countersign.mesh")
            .f64_histogram("rpc.server.call.duration")
            .with_unit("s")
            .with_description("how long calls take")
            .build();
        Self { methods, duration }
    }

    /// The method of this path, as labels name it.
    pub(super) fn method(&self, path: &str) -> &'static str {
        self.methods.0.get(path.trim_start_matches('/')).copied().unwrap_or(OTHER)
    }

    pub(super) fn record(&self, method: &'static str, code: Code, elapsed: Duration) {
        let mut labels = vec![
            KeyValue::new("rpc.system.name", "grpc"),
            KeyValue::new("rpc.method", method),
            KeyValue::new("rpc.response.status_code", name(code)),
        ];
        if is_error(code) {
            labels.push(KeyValue::new("error.type", name(code)));
        }
        self.duration.record(elapsed.as_secs_f64(), &labels);
    }
}
