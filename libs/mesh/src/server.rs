//! The server: runs parts behind one ordered stack, until it is told to stop.
//!
//! Stopping goes in this order: health says NOT_SERVING, no connection is
//! accepted, open calls end in their own time up to `drain_timeout`, and only
//! then are the tasks told to stop, for an open call may still need them.

mod arriving;
mod connections;
mod contain;
mod content_type;
mod deadline;
mod explain;
mod handshake;
mod header_limit;
mod lifetime;
mod limit;
mod mounts;
mod observe;
mod peers;
mod request_id;
mod room;
mod stack;
mod stage;
mod tail;
mod tasks;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::{Error, Part, config::ServerConfig, health::Health, reflection};
use connections::Connections;
use observe::Methods;
use tasks::Tasks;

/// The methods that every server has, as far as somebody calls them every day.
const OWN: [&str; 5] = [
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/List",
    "grpc.health.v1.Health/Watch",
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// A server to be started.
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    parts: Vec<Part>,
}

/// How the server stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whether every call ended by itself; otherwise some were cut off.
    pub drained: bool,
    /// Tasks that did not stop in time and were cut off, as `part/task`.
    pub tasks_cut: Vec<String>,
}

impl Server {
    /// A server without parts. `config` is taken as it is: validate it first.
    #[must_use]
    pub fn new(config: &ServerConfig) -> Self {
        Self { config: config.clone(), parts: Vec::new() }
    }

    /// The same server with one more part.
    #[must_use]
    pub fn part(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    /// Serves on `listener` until `shutdown` is cancelled, then drains.
    ///
    /// # Errors
    /// Before anything starts: [`Error::MountedTwice`], [`Error::Unruled`],
    /// [`Error::Undescribed`] and [`Error::Reflection`].
    /// [`Error::TaskPanicked`] when a task panicked: the server drains and returns
    /// rather than run on without it, so that whoever started it starts it afresh.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<Report, Error> {
        let Self { config, mut parts } = self;
        let stop = shutdown.child_token();
        let routes = mount(&mut parts, stop.clone())?;
        let methods = Methods::new(parts.iter().flat_map(|part| part.rpcs.clone()).chain(OWN));
        let connections = Connections::new(&config, stack::stack(&config, routes, methods));
        let mut tasks = Tasks::start(parts);
        tokio::select! {
            () = connections.accept(listener, &stop) => (),
            () = tasks.failed() => stop.cancel(),
        }
        let drained = connections.drain(config.drain_timeout).await;
        let tasks_cut = tasks.stop(config.drain_timeout).await;
        match tasks.into_panicked() {
            Some((part, task)) => Err(Error::TaskPanicked { part, task }),
            None => Ok(Report { drained, tasks_cut }),
        }
    }
}

/// The routes of all parts, with health and reflection.
fn mount(parts: &mut [Part], stop: CancellationToken) -> Result<Routes, Error> {
    let services: Vec<_> = parts.iter().flat_map(|part| part.services.clone()).collect();
    mounts::check(parts)?;
    let mut routes = Routes::builder();
    Health::new(parts, stop).mount(&mut routes);
    reflection::mount(&mut routes, &services)?;
    for part in parts {
        let mounts = std::mem::replace(&mut part.routes, Box::new(|_| ()));
        mounts(&mut routes);
    }
    Ok(routes.routes().prepare())
}
