//! Opens connections that speak HTTP/2.

use std::{io, time::Duration};

use http::{Uri, uri::Authority};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use super::{
    address::Address,
    failure::told,
    wire::{Duplex, overheard},
};
use crate::{Error, config::ChannelConfig, tls::ClientTls};

/// Opens the connections of a channel.
pub(super) struct Connector {
    http: Builder<TokioExecutor>,
    timeout: Duration,
    tls: Option<ClientTls>,
    /// Scheme and authority of the requests.
    pub(super) origin: Uri,
}

/// An open connection. Dropped with all its clones, it ends when its calls have.
#[derive(Clone)]
pub(super) struct Link {
    pub sender: SendRequest<Body>,
    /// Cancelled when the connection has ended.
    pub ended: CancellationToken,
}

impl Connector {
    pub(super) fn new(config: &ChannelConfig, authority: &Authority) -> Result<Self, Error> {
        let tls = ClientTls::start(&config.tls, authority)?;
        let mut http = Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .keep_alive_interval(config.keepalive_interval)
            .keep_alive_timeout(config.keepalive_timeout);
        let origin = Uri::builder()
            .scheme(if tls.is_some() { "https" } else { "http" })
            .authority(authority.clone())
            .path_and_query("/");
        // All three are there, and valid.
        let origin = origin.build().unwrap_or_default();
        Ok(Self { http, timeout: config.connect_timeout, tls, origin })
    }

    /// A connection whose server has spoken. The error says why there is none.
    pub(super) async fn connect(&self, address: &Address) -> Result<Link, String> {
        match timeout(self.timeout, self.open(address)).await {
            Ok(opened) => opened,
            Err(_) => Err("it does not speak in time".to_owned()),
        }
    }

    async fn open(&self, address: &Address) -> Result<Link, String> {
        let stream = stream(address).await.map_err(|error| error.to_string())?;
        let stream = match &self.tls {
            None => stream,
            Some(tls) => Box::new(tls.connect(stream).await.map_err(|error| error.to_string())?),
        };
        let (wire, spoken) = overheard(stream);
        let handshake = self.http.handshake(TokioIo::new(wire)).await;
        let (sender, connection) = handshake.map_err(|error| told(&error))?;
        let ended = CancellationToken::new();
        let end = ended.clone().drop_guard();
        let driven = tokio::spawn(async move {
            let _end = end;
            let over = connection.await;
            over.inspect_err(|error| {
                tracing::debug!(error.message = told(error), "a connection to a replica broke");
            })
        });
        if spoken.await.is_ok() {
            return Ok(Link { sender, ended });
        }
        // A server that refuses the client's certificate says so only now.
        match driven.await {
            Ok(Err(error)) => Err(told(&error)),
            _ => Err("it ends the connection at once".to_owned()),
        }
    }
}

async fn stream(address: &Address) -> io::Result<Box<dyn Duplex>> {
    Ok(match address {
        Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
    })
}
