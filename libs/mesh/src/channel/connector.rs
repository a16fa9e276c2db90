//! Opens connections that speak HTTP/2.

use std::{io, time::Duration};

use http::Uri;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use super::{
    Target,
    address::{Address, Place},
    failure::told,
    wire::{Duplex, overheard},
};
use crate::{Error, config::ChannelConfig, tls::ClientTls};

/// Opens the connections of a channel.
pub(super) struct Connector {
    http: Builder<TokioExecutor>,
    timeout: Duration,
    tls: Option<ClientTls>,
}

/// An open connection. Dropped with all its clones, it ends when its calls have.
#[derive(Clone)]
pub(super) struct Link {
    pub sender: SendRequest<Body>,
    /// Cancelled when the connection has ended.
    pub ended: CancellationToken,
}

impl Connector {
    pub(super) fn new(config: &ChannelConfig, target: &Target) -> Result<Self, Error> {
        // Who says nothing about it in the target says it with the authorities.
        let speaks_tls = target.speaks_tls().unwrap_or(config.tls.ca_file.is_some());
        let tls = if speaks_tls { Some(ClientTls::start(&config.tls)?) } else { None };
        let mut http = Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .keep_alive_interval(config.keepalive_interval)
            .keep_alive_timeout(config.keepalive_timeout);
        Ok(Self { http, timeout: config.connect_timeout, tls })
    }

    /// Scheme and authority of requests to this replica.
    pub(super) fn origin(&self, address: &Address) -> Uri {
        let origin = Uri::builder()
            .scheme(if self.tls.is_some() { "https" } else { "http" })
            .authority(&*address.authority)
            .path_and_query("/");
        // All three are there, and the target has read the second.
        origin.build().unwrap_or_default()
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
            Some(tls) => {
                let spoken = tls.connect(stream, &address.authority).await;
                Box::new(spoken.map_err(|error| error.to_string())?)
            }
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
    Ok(match &address.place {
        Place::Unix(path) => Box::new(UnixStream::connect(path).await?),
        Place::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
    })
}
