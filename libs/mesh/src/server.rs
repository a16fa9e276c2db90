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
mod framing;
mod front;
mod handshake;
mod header_limit;
mod lifetime;
mod limit;
mod mounts;
mod observe;
mod origin;
mod peers;
mod priority;
mod request_id;
mod room;
mod stack;
mod stage;
mod storage;
mod tail;
mod tasks;
mod trace;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::{Error, Part, config::ServerConfig, health::Health, reflection, tls::ServerTls};
use connections::Connections;
pub(crate) use deadline::{TIMEOUT_HEADER, Timed, asked, timeout_header};
pub(crate) use explain::name as code_name;
use front::Frame;
pub use priority::Priority;
use stack::Known;
pub(crate) use tail::Tail;
use tasks::Tasks;
pub(crate) use trace::HEADER as TRACE_HEADER;

/// A server to be started.
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    parts: Vec<Part>,
    health: Option<TcpListener>,
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
        Self { config: config.clone(), parts: Vec::new(), health: None }
    }

    /// The same server with one more part.
    #[must_use]
    pub fn part(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    /// The same server, which answers health on this listener as well: in plaintext,
    /// for probes that speak no TLS, and nothing else.
    #[must_use]
    pub fn health_on(mut self, listener: TcpListener) -> Self {
        self.health = Some(listener);
        self
    }

    /// Serves on `listener` until `shutdown` is cancelled, then drains.
    ///
    /// # Errors
    /// Before anything starts: [`Error::MountedTwice`], [`Error::Unruled`],
    /// [`Error::Undescribed`], [`Error::Unknown`], [`Error::Reflection`] and [`Error::Http`]; [`Error::Read`] and
    /// [`Error::Tls`], when a file for TLS cannot be used.
    /// [`Error::TaskPanicked`] when a task panicked: the server drains and returns
    /// rather than run on without it, so that whoever started it starts it afresh.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<Report, Error> {
        let Self { config, mut parts, health } = self;
        let stop = shutdown.child_token();
        let tls = ServerTls::start(&config.tls, config.http.enabled)?;
        let mut probed = Routes::builder();
        Health::new(&parts, stop.clone()).mount(&mut probed);
        let routes = mount(&mut parts, stop.clone())?;
        let frame = Frame::of(&config, &parts)?;
        let stack = stack::stack(&config, Known::of(&parts), frame, routes);
        let connections = Connections::new(&config, tls, stack);
        let probed = stack::stack(&config, Known::of(&[]), None, probed.routes().prepare());
        let probes = Connections::new(&config, None, probed);
        let probing = async {
            match health {
                Some(listener) => probes.accept(listener, &stop).await,
                None => stop.cancelled().await,
            }
        };
        let mut tasks = Tasks::start(parts);
        tokio::select! {
            () = connections.accept(listener, &stop) => (),
            () = probing => (),
            () = tasks.failed() => stop.cancel(),
        }
        let limit = config.drain_timeout;
        let (drained, _) = tokio::join!(connections.drain(limit), probes.drain(limit));
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
