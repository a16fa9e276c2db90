//! Connections: accepting them up to a limit, speaking HTTP/2 on each, and
//! ending them all.
//!
//! Not tonic's own loop: that one answers an expired deadline with CANCELLED, and
//! knows no limit of connections and no end to draining.

use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use hyper::{body::Incoming, server::conn::http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{body::Body, transport::server::TcpConnectInfo};

use super::{
    handshake::Handshake,
    header_limit,
    stage::{Response, Stage},
};
use crate::config::ServerConfig;

/// How long to wait when the system can not accept, for lack of files perhaps.
const PAUSE: Duration = Duration::from_millis(100);

/// All connections of a server.
pub(super) struct Connections<S> {
    stack: Arc<S>,
    http: http2::Builder<Calls>,
    slots: Arc<Semaphore>,
    calls: Calls,
    stop: CancellationToken,
    handshake_timeout: Duration,
    nodelay: bool,
}

/// Runs connections and their calls, and can cut them off.
#[derive(Clone)]
struct Calls {
    running: TaskTracker,
    cut: CancellationToken,
}

/// The stack, on one connection.
struct Connection<S> {
    stack: Arc<S>,
    peer: TcpConnectInfo,
}

impl<S: Stage> Connections<S> {
    pub(super) fn new(config: &ServerConfig, stack: S) -> Self {
        let calls = Calls { running: TaskTracker::new(), cut: CancellationToken::new() };
        let mut http = http2::Builder::new(calls.clone());
        http.timer(TokioTimer::new())
            .max_concurrent_streams(config.max_concurrent_streams)
            .max_header_list_size(header_limit::CEILING)
            .keep_alive_interval(config.keepalive_interval)
            .keep_alive_timeout(config.keepalive_timeout);
        let slots = usize::try_from(config.max_connections).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            stack: Arc::new(stack),
            http,
            slots: Arc::new(Semaphore::new(slots)),
            calls,
            stop: CancellationToken::new(),
            handshake_timeout: config.handshake_timeout,
            nodelay: config.tcp_nodelay,
        }
    }

    /// Accepts connections until `stop` is cancelled, and closes the listener.
    pub(super) async fn accept(&self, listener: TcpListener, stop: &CancellationToken) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match (accepted, Arc::clone(&self.slots).try_acquire_owned()) {
                (Ok((stream, peer)), Ok(slot)) => self.serve(stream, peer, slot),
                (Ok(_), Err(_)) => tracing::warn!("too many connections, one was turned away"),
                (Err(error), _) => {
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Lets open calls end, for as long as `limit`, then cuts them off. Says
    /// whether none had to be.
    pub(super) async fn drain(&self, limit: Duration) -> bool {
        self.stop.cancel();
        self.calls.running.close();
        let drained = timeout(limit, self.calls.running.wait()).await.is_ok();
        if !drained {
            tracing::warn!(tasks = self.calls.running.len(), "calls were cut off");
            self.calls.cut.cancel();
            self.calls.running.wait().await;
        }
        drained
    }

    fn serve(&self, stream: TcpStream, peer: SocketAddr, slot: OwnedSemaphorePermit) {
        if let Err(error) = stream.set_nodelay(self.nodelay) {
            tracing::debug!(error = %error, "TCP_NODELAY could not be set");
        }
        let local_addr = stream.local_addr().ok();
        let service = Connection {
            stack: Arc::clone(&self.stack),
            peer: TcpConnectInfo { local_addr, remote_addr: Some(peer) },
        };
        let stream = TokioIo::new(Handshake::new(stream, self.handshake_timeout));
        let connection = self.http.serve_connection(stream, service);
        let stop = self.stop.clone();
        self.calls.spawn(async move {
            let _slot = slot;
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(error = %error, "a connection broke");
            }
        });
    }
}

impl Calls {
    fn spawn(&self, work: impl Future<Output = impl Send> + Send + 'static) {
        let work = self.cut.clone().run_until_cancelled_owned(work);
        self.running.spawn(async {
            work.await;
        });
    }
}

/// hyper runs each call as a task of its own.
impl<F> hyper::rt::Executor<F> for Calls
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, call: F) {
        self.spawn(call);
    }
}

impl<S: Stage> hyper::service::Service<http::Request<Incoming>> for Connection<S> {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        let stack = Arc::clone(&self.stack);
        let mut request = request.map(Body::new);
        // Where tonic, and so the guard, looks for the address of the peer.
        request.extensions_mut().insert(self.peer.clone());
        Box::pin(async move { Ok(stack.handle(request).await) })
    }
}
