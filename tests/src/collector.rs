//! A collector of traces and metrics that speaks OTLP, as an operator's would.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span, status::StatusCode},
};
use tokio::{net::TcpListener, sync::watch};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

/// A running collector. It ends with the test.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    spans: watch::Receiver<Vec<Told>>,
    metrics: watch::Receiver<BTreeSet<String>>,
}

/// A span as it arrived, and who told of it.
#[derive(Clone, Debug)]
pub struct Told {
    /// `service.name` of the process.
    pub service: String,
    /// The span.
    pub span: Span,
}

#[derive(Debug)]
struct Inbox(Arc<Mutex<watch::Sender<Vec<Told>>>>);

/// The names of all metrics that came.
#[derive(Debug)]
struct Names(watch::Sender<BTreeSet<String>>);

impl Collector {
    /// A collector on a free port.
    ///
    /// # Panics
    /// No port is free.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (sender, spans) = watch::channel(Vec::new());
        let inbox = TraceServiceServer::new(Inbox(Arc::new(Mutex::new(sender))));
        let (names, metrics) = watch::channel(BTreeSet::new());
        let served = Server::builder()
            .add_service(inbox)
            .add_service(MetricsServiceServer::new(Names(names)))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(served);
        Self { address, spans, metrics }
    }

    /// What a process is told to send here.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until spans are there by which `found` finds something.
    ///
    /// # Panics
    /// The collector has ended.
    pub async fn until<T>(&mut self, found: impl Fn(&[Told]) -> Option<T>) -> T {
        let spans = self.spans.wait_for(|spans| found(spans).is_some()).await;
        found(&spans.expect("the collector runs")).expect("it was found")
    }

    /// Waits until a metric of this name has come.
    ///
    /// # Panics
    /// The collector has ended.
    pub async fn until_metric(&mut self, name: &str) {
        let there = self.metrics.wait_for(|names| names.contains(name)).await;
        drop(there.expect("the collector runs"));
    }
}

impl Told {
    /// What the span says under this key; empty where it says nothing.
    #[must_use]
    pub fn attribute(&self, key: &str) -> &str {
        let found = self.span.attributes.iter().find(|attribute| attribute.key == key);
        found.map(text).unwrap_or_default()
    }

    /// The keys of all that it says.
    #[must_use]
    pub fn keys(&self) -> Vec<&str> {
        self.span.attributes.iter().map(|attribute| attribute.key.as_str()).collect()
    }

    /// Whether it says that something failed.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error)
    }

    /// The ids of its trace and of the span above it, in hexadecimal.
    #[must_use]
    pub fn place(&self) -> (String, String) {
        (hex(&self.span.trace_id), hex(&self.span.parent_span_id))
    }

    /// Its own id, in hexadecimal.
    #[must_use]
    pub fn id(&self) -> String {
        hex(&self.span.span_id)
    }
}

#[tonic::async_trait]
impl TraceService for Inbox {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let told = request.into_inner().resource_spans.into_iter().flat_map(|from| {
            let attributes = from.resource.unwrap_or_default().attributes;
            let name = attributes.iter().find(|attribute| attribute.key == "service.name");
            let service = name.map(text).unwrap_or_default().to_owned();
            let spans = from.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.map(move |span| Told { service: service.clone(), span }).collect::<Vec<_>>()
        });
        let told: Vec<_> = told.collect();
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sender.send_modify(|spans| spans.extend(told));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Names {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let told = request.into_inner().resource_metrics.into_iter();
        let metrics = told.flat_map(|from| from.scope_metrics).flat_map(|scope| scope.metrics);
        self.0.send_modify(|names| names.extend(metrics.map(|metric| metric.name)));
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

fn text(attribute: &KeyValue) -> &str {
    match &attribute.value {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => text,
        _ => "",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
