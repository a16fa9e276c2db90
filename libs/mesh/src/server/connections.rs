//! Connections: accepting them up to a limit, speaking HTTP on each, and
//! ending them all.
//!
//! Not tonic's own loop: that one answers an expired deadline with CANCELLED, and
//! knows no limit of connections and no end to draining.

use std::{
    convert::Infallible,
    error::Error,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use countersign_contracts::PeerCertificate;
use futures::future::BoxFuture;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{body::Body, transport::server::TcpConnectInfo};

use super::{
    handshake::Handshake,
    header_limit,
    lifetime::{Lifetime, OpenCalls},
    peers::{Connected, Peers},
    room::Room,
    stage::{Response, Stage},
};
use crate::{config::ServerConfig, tls::ServerTls};

/// How long to wait when the system can not accept, for lack of files perhaps.
const PAUSE: Duration = Duration::from_millis(100);

/// All connections of a server.
pub(super) struct Connections<S> {
    stack: Arc<S>,
    tls: Option<Arc<ServerTls>>,
    slots: Arc<Semaphore>,
    peers: Arc<Peers>,
    calls: Calls,
    conduct: Conduct,
    nodelay: bool,
}

/// How each connection is run.
#[derive(Clone)]
struct Conduct {
    http: auto::Builder<Calls>,
    lifetime: Lifetime,
    stop: CancellationToken,
    handshake_timeout: Duration,
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
    /// The client's, where it has shown one.
    certificate: Option<PeerCertificate>,
    room: Arc<Room>,
    open: OpenCalls,
}

/// What an open connection takes up.
struct Slot {
    _one_of_all: OwnedSemaphorePermit,
    of_peer: Connected,
}

impl<S: Stage> Connections<S> {
    pub(super) fn new(config: &ServerConfig, tls: Option<ServerTls>, stack: S) -> Self {
        let calls = Calls { running: TaskTracker::new(), cut: CancellationToken::new() };
        let mut http = auto::Builder::new(calls.clone());
        if !config.http.enabled {
            http = http.http2_only();
        }
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(config.handshake_timeout)
            .max_buf_size(header_limit::read_ahead(config.max_header_bytes));
        http.http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(config.max_concurrent_streams)
            .max_header_list_size(header_limit::CEILING)
            .keep_alive_interval(config.keepalive_interval)
            .keep_alive_timeout(config.keepalive_timeout);
        let slots = usize::try_from(config.max_connections).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            stack: Arc::new(stack),
            tls: tls.map(Arc::new),
            slots: Arc::new(Semaphore::new(slots)),
            peers: Arc::new(Peers::new(config)),
            calls,
            conduct: Conduct {
                http,
                lifetime: Lifetime::new(config),
                stop: CancellationToken::new(),
                handshake_timeout: config.handshake_timeout,
            },
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
            match accepted {
                Ok((stream, peer)) => match self.slot(peer.ip()) {
                    Some(slot) => self.serve(stream, peer, slot),
                    None => tracing::warn!("too many connections, one was turned away"),
                },
                Err(error) => {
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Room for one more connection, where there is any.
    fn slot(&self, peer: IpAddr) -> Option<Slot> {
        let one_of_all = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        Some(Slot { _one_of_all: one_of_all, of_peer: self.peers.connect(peer)? })
    }

    /// Lets open calls end, for as long as `limit`, then cuts them off. Says
    /// whether none had to be.
    pub(super) async fn drain(&self, limit: Duration) -> bool {
        self.conduct.stop.cancel();
        self.calls.running.close();
        let drained = timeout(limit, self.calls.running.wait()).await.is_ok();
        if !drained {
            tracing::warn!(tasks = self.calls.running.len(), "calls were cut off");
            self.calls.cut.cancel();
            self.calls.running.wait().await;
        }
        drained
    }

    fn serve(&self, stream: TcpStream, peer: SocketAddr, slot: Slot) {
        if let Err(error) = stream.set_nodelay(self.nodelay) {
            tracing::debug!(error = %error, "TCP_NODELAY could not be set");
        }
        let local_addr = stream.local_addr().ok();
        let service = Connection {
            stack: Arc::clone(&self.stack),
            peer: TcpConnectInfo { local_addr, remote_addr: Some(peer) },
            certificate: None,
            room: Arc::clone(&slot.of_peer.room),
            open: OpenCalls::new(),
        };
        let (conduct, tls) = (self.conduct.clone(), self.tls.clone());
        self.calls.spawn(async move {
            let _slot = slot;
            match tls {
                None => conduct.run(stream, service).await,
                Some(tls) => conduct.run_tls(&tls, stream, service).await,
            }
        });
    }
}

impl Conduct {
    /// Speaks TLS first.
    async fn run_tls<S: Stage>(self, tls: &ServerTls, stream: TcpStream, service: Connection<S>) {
        let accepted = timeout(self.handshake_timeout, tls.accept(stream));
        // Nobody is heard yet who would have to be answered.
        let Some(accepted) = self.stop.run_until_cancelled(accepted).await else { return };
        match accepted {
            Ok(Ok((stream, certificate))) => {
                self.run(stream, Connection { certificate, ..service }).await;
            }
            Ok(Err(error)) => turned_away(&error),
            Err(_) => tracing::debug!("a client did not speak TLS in time"),
        }
    }

    /// Speaks HTTP until the connection's end.
    async fn run<S: Stage, T>(self, stream: T, service: Connection<S>)
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let open = service.open.clone();
        let stream = TokioIo::new(Handshake::new(stream, self.handshake_timeout));
        let mut connection = pin!(self.http.serve_connection(stream, service));
        let grace = tokio::select! {
            ended = connection.as_mut() => return tell(ended),
            // The server waits for the calls of all connections together.
            () = self.stop.cancelled() => None,
            () = self.lifetime.over(&open) => Some(self.lifetime.grace),
        };
        // GOAWAY: open calls go on, new ones go to a new connection.
        connection.as_mut().graceful_shutdown();
        match grace {
            None => tell(connection.await),
            Some(grace) => match timeout(grace, connection).await {
                Ok(ended) => tell(ended),
                Err(_) => tracing::debug!("a connection was cut off when its time was over"),
            },
        }
    }
}

/// Tells why TLS came to nothing: about certificates, operators have to know.
fn turned_away(error: &io::Error) {
    match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
        Some(
            error @ (rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented),
        ) => {
            tracing::warn!(error.message = %error, "a client was turned away for its certificate");
        }
        Some(error @ rustls::Error::AlertReceived(_)) => {
            tracing::warn!(error.message = %error, "a client turns this server away");
        }
        _ => tracing::debug!(error = %error, "a client does not speak TLS"),
    }
}

fn tell(ended: Result<(), Box<dyn Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(error = %error, "a connection broke");
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
        if let Some(certificate) = &self.certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        request.extensions_mut().insert(Arc::clone(&self.room));
        let open = self.open.open();
        Box::pin(async move {
            let response = stack.handle(request).await;
            Ok(response.map(|body| open.until_end_of(body)))
        })
    }
}
