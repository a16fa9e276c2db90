//! Health by gRPC's own protocol: the status of each service and of the whole,
//! and of conditions that do not count for the whole.
//!
//! Statuses are read where they arise, from the parts' [`Readiness`]; nothing is
//! copied, so nothing can be stale.

use std::{collections::BTreeMap, sync::Arc};

use countersign_contracts::status;
use countersign_types::{Code, Fault};
use futures::{
    FutureExt, StreamExt,
    future::{pending, select_all},
    stream::{self, BoxStream},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, service::RoutesBuilder};

use crate::{Part, Readiness};
use v1::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
    health_check_response::ServingStatus, health_server::HealthServer,
};

/// The messages, the client and the server of the protocol, as generated.
#[expect(
    unused_qualifications,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
pub mod v1 {
    tonic::include_proto!("grpc.health.v1");
}

/// The descriptors of the protocol, encoded.
pub(crate) const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/health.bin"));
/// The full name of the service.
pub(crate) const NAME: &str = "grpc.health.v1.Health";
/// How many `Watch` calls one server answers at a time.
const MAX_WATCHES: usize = 256;
/// Bytes of one question; a question is one name.
const MAX_MESSAGE_BYTES: usize = 4 * 1024;

/// Answers from the readiness of the parts.
#[derive(Clone)]
pub(crate) struct Health {
    services: Arc<BTreeMap<String, Vec<Readiness>>>,
    draining: CancellationToken,
    watches: Arc<Semaphore>,
}

/// One `Watch` call. It owns its permit and dies with the stream.
struct Watch {
    service: Option<Vec<Readiness>>,
    draining: CancellationToken,
    last: Option<ServingStatus>,
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

impl Health {
    /// The health of `parts`; not serving from the moment `draining` is cancelled.
    pub(crate) fn new(parts: &[Part], draining: CancellationToken) -> Self {
        let whole = parts.iter().flat_map(|part| part.ready.clone()).collect();
        let mut services = BTreeMap::from([(String::new(), whole)]);
        for part in parts {
            for service in &part.services {
                services.insert((*service).to_owned(), part.ready.clone());
            }
            for (name, holds) in &part.conditions {
                services.insert((*name).to_owned(), vec![holds.clone()]);
            }
        }
        let watches = Arc::new(Semaphore::new(MAX_WATCHES));
        Self { services: Arc::new(services), draining, watches }
    }

    /// Mounts the service.
    pub(crate) fn mount(self, routes: &mut RoutesBuilder) {
        let server = HealthServer::new(self).max_decoding_message_size(MAX_MESSAGE_BYTES);
        routes.add_service(server);
    }

    fn status_of(&self, parts: &[Readiness]) -> ServingStatus {
        serving(!self.draining.is_cancelled() && parts.iter().all(Readiness::is_ready))
    }
}

#[tonic::async_trait]
impl v1::health_server::Health for Health {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let Some(parts) = self.services.get(&request.get_ref().service) else {
            let unknown = "the service is not known here";
            return Err(status(Fault::new(Code::NotFound, "SERVICE_UNKNOWN", unknown)));
        };
        Ok(Response::new(response(self.status_of(parts))))
    }

    async fn list(
        &self,
        _: Request<HealthListRequest>,
    ) -> Result<Response<HealthListResponse>, Status> {
        let named = self.services.iter();
        let statuses =
            named.map(|(name, parts)| (name.clone(), response(self.status_of(parts)))).collect();
        Ok(Response::new(HealthListResponse { statuses }))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let permit = Arc::clone(&self.watches).try_acquire_owned().map_err(|_| {
            let full = Fault::new(
                Code::ResourceExhausted,
                "TOO_MANY_WATCHES",
                "too many health watches are open",
            );
            status(full.retry_after(std::time::Duration::from_secs(5)))
        })?;
        let watch = Watch {
            service: self.services.get(&request.get_ref().service).cloned(),
            draining: self.draining.clone(),
            last: None,
            ended: false,
            _permit: permit,
        };
        let statuses = stream::unfold(watch, |mut watch| async move {
            let next = watch.next().await?;
            Some((next, watch))
        });
        Ok(Response::new(statuses.boxed()))
    }
}

impl Watch {
    /// The next status that differs from the last one; an error, then nothing,
    /// when the server stops.
    async fn next(&mut self) -> Option<Result<HealthCheckResponse, Status>> {
        while !self.ended {
            let now = self.look();
            if self.last != Some(now) {
                self.last = Some(now);
                return Some(Ok(response(now)));
            }
            if self.draining.is_cancelled() {
                self.ended = true;
                let stopping =
                    Fault::new(Code::Unavailable, "SERVER_STOPPING", "the server is stopping");
                return Some(Err(status(stopping.retry_after(std::time::Duration::from_secs(1)))));
            }
            self.changed().await;
        }
        None
    }

    fn look(&mut self) -> ServingStatus {
        let Some(parts) = &mut self.service else { return ServingStatus::ServiceUnknown };
        let ready = parts.iter_mut().all(Readiness::look);
        serving(ready && !self.draining.is_cancelled())
    }

    async fn changed(&mut self) {
        let parts = self.service.iter_mut().flatten();
        let mut changes: Vec<_> = parts.map(|part| part.changed().boxed()).collect();
        changes.push(pending().boxed());
        tokio::select! {
            () = self.draining.cancelled() => (),
            _ = select_all(changes) => (),
        }
    }
}

const fn serving(yes: bool) -> ServingStatus {
    if yes { ServingStatus::Serving } else { ServingStatus::NotServing }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}
