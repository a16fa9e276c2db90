//! The connection to the broker, which comes back by itself.

use std::{path::Path, sync::Arc, time::Duration};

use async_nats::{Client, ConnectOptions, Event};
use tokio::sync::watch;

use super::{JetStreamOptions, complaint::Complaint};
use crate::{Backoff, Error};

/// Waits between tries to connect: short, and never at the same time as the others.
const RECONNECT: Backoff =
    Backoff { first: Duration::from_millis(50), max: Duration::from_secs(4) };

/// A server that answers no ping for twice as long is gone.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Whether there is a connection, and which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub connected: bool,
    /// How many connections came before: what was agreed on one need not hold on the next.
    pub number: u64,
}

/// A connection that is there, or will be as soon as a server is.
pub(super) struct Connection {
    pub client: Client,
    pub link: watch::Receiver<Link>,
    pub connected: watch::Receiver<bool>,
}

/// Where the connection's events are told.
struct Teller {
    link: watch::Sender<Link>,
    connected: watch::Sender<bool>,
}

/// Opens a connection, now or as soon as a server is there.
pub(super) async fn open(options: &JetStreamOptions) -> Result<Connection, Error> {
    let (sender, link) = watch::channel(Link { connected: false, number: 0 });
    let (to_outside, connected) = watch::channel(false);
    let teller = Teller { link: sender, connected: to_outside };
    let complaint = Arc::new(Complaint::default());
    let mut connect = ConnectOptions::new()
        .name("countersign")
        .retry_on_initial_connect()
        .ping_interval(PING_INTERVAL)
        .connection_timeout(options.request_timeout)
        .request_timeout(Some(options.request_timeout))
        .reconnect_delay_callback(|tries| RECONNECT.delay(u32::try_from(tries).unwrap_or(u32::MAX)))
        // Asked before each try: the one place that tells why the last one failed.
        .reconnect_to_server_callback(move |servers, _| {
            complaint.look(&servers);
            std::future::ready(None)
        })
        .event_callback(move |event| {
            teller.tell(&event);
            async {}
        });
    if let Some(file) = &options.credentials_file {
        connect = connect.credentials_file(file).await.map_err(|source| Error::Setup {
            what: format!("the credentials file {} cannot be read", file.display()),
            source: Box::new(source),
        })?;
    }
    if let Some(file) = &options.ca_file {
        readable(file, "-----BEGIN CERTIFICATE-----").await?;
        connect = connect.add_root_certificates(file.clone()).require_tls(true);
    }
    if let Some((certificate, key)) = &options.client_certificate {
        readable(certificate, "-----BEGIN CERTIFICATE-----").await?;
        readable(key, "PRIVATE KEY-----").await?;
        connect = connect.add_client_certificate(certificate.clone(), key.clone());
        connect = connect.require_tls(true);
    }
    let client = connect.connect(options.urls.as_slice()).await.map_err(|source| Error::Setup {
        what: "the broker's addresses, credentials or certificates are not usable".to_owned(),
        source: Box::new(source),
    })?;
    Ok(Connection { client, link, connected })
}

/// Refuses at once a PEM file that no try to connect could use.
async fn readable(file: &Path, mark: &str) -> Result<(), Error> {
    let refused = |source: Box<dyn std::error::Error + Send + Sync>| Error::Setup {
        what: format!("the file {} cannot be used", file.display()),
        source,
    };
    let bytes = tokio::fs::read(file).await.map_err(|error| refused(error.into()))?;
    // Compared as bytes: nothing of a key becomes a text that could be shown.
    if bytes.windows(mark.len()).any(|window| window == mark.as_bytes()) {
        return Ok(());
    }
    Err(refused(format!("there is no line {mark} in it").into()))
}

impl Teller {
    fn tell(&self, event: &Event) {
        match event {
            Event::Connected => {
                tracing::info!("connected to the broker");
                self.link.send_modify(|link| {
                    *link = Link { connected: true, number: link.number.wrapping_add(1) };
                });
                self.connected.send_replace(true);
            }
            Event::Disconnected | Event::Closed => {
                tracing::warn!("the broker is away: events wait");
                self.link.send_modify(|link| link.connected = false);
                self.connected.send_replace(false);
            }
            Event::SlowConsumer(subscription) => {
                tracing::warn!(subscription, "messages of the broker were dropped");
            }
            other => tracing::debug!(event = %other, "event of the broker's connection"),
        }
    }
}
