//! How long calls take, by method and status, as the semantic conventions for
//! RPC metrics name it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use opentelemetry::{KeyValue, global, metrics::Histogram};
use tonic::Code;

use super::span::is_error;
use crate::{Part, server::explain::name};

/// What a method is called that this server does not have: a client can ask for
/// any, and each would be a series of its own.
const OTHER: &str = "_OTHER";

/// The methods that every server has, as far as somebody calls them every day.
const OWN: [&str; 5] = [
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/List",
    "grpc.health.v1.Health/Watch",
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// The methods that are mounted, such as `grpc.health.v1.Health/Check`.
#[derive(Clone)]
pub(in crate::server) struct Methods(Arc<HashSet<&'static str>>);

/// Measures every call.
pub(super) struct Meter {
    methods: Methods,
    duration: Histogram<f64>,
}

impl Methods {
    pub(in crate::server) fn of(parts: &[Part]) -> Self {
        let mounted = parts.iter().flat_map(|part| part.rpcs.iter().copied());
        Self(Arc::new(mounted.chain(OWN).collect()))
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
