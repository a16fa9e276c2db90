//! Settings of the server; every limit has a range.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Cidr, HttpConfig, ProxyHeader, TlsConfig, duration_in_range, in_range};
use crate::Error;

/// How the server listens, and what it bears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Address and port that answer health, and nothing else, without TLS: for probes that speak none, such as Kubernetes'. Unset: health is answered on `listen` alone.
    pub health_listen: Option<SocketAddr>,
    /// Networks of proxies, in CIDR notation such as `10.0.0.0/8`, at most 64, that are believed when they say for whom they call. The throttle, sessions and the audit trail then go by that address; the limits of connections and calls stay those of the connection. None by default: whoever is believed can make every call come from anywhere.
    pub trusted_proxies: Vec<Cidr>,
    /// The header in which they say so. A trusted proxy has to write it itself, or at least append to it; the other one is not looked at.
    pub proxy_header: ProxyHeader,
    /// Largest request message, in bytes, 1024 to 16777216. A larger one is answered with RESOURCE_EXHAUSTED. So many bytes times 64 may be on their way in at a time, times 16 from one peer.
    pub max_message_bytes: u32,
    /// Largest headers of a request, in bytes, 8192 to 1048576. Larger ones are answered with RESOURCE_EXHAUSTED. An access token takes up to 4096 of them.
    pub max_header_bytes: u32,
    /// Open connections, 1 to 100000. One more is closed at once.
    pub max_connections: u32,
    /// Open connections of one peer, 1 to 100000; a peer is an IPv4 address or an IPv6 network (/64). One more is closed at once. Behind a proxy all clients are one peer: raise it to `max_connections` there.
    pub max_connections_per_peer: u32,
    /// Open calls on one connection, 1 to 10000. A client waits with one more.
    pub max_concurrent_streams: u32,
    /// Calls that are worked on at a time, over all connections, 1 to 100000. One more is answered with RESOURCE_EXHAUSTED; a login or registration already when four of five places are taken, a list when three are.
    pub max_concurrent_calls: u32,
    /// Calls of one peer that are worked on at a time, 1 to 100000. One more is answered with RESOURCE_EXHAUSTED. Behind a proxy: raise it to `max_concurrent_calls`.
    pub max_concurrent_calls_per_peer: u32,
    /// How long a new connection may take to speak HTTP/2, and the headers of a request by HTTP/1.1 to arrive, 1s to 1m.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub handshake_timeout: Duration,
    /// How long a request message may take to arrive, 100ms to 1m; the call's own deadline may be earlier. Where a client streams messages it is the time of each, from its first byte on. A call takes no place among those that are worked on before its message is there.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub message_timeout: Duration,
    /// How long a call may take when its client sets no deadline, 100ms to 10m. A stream only has to begin in this time.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub request_timeout: Duration,
    /// The longest deadline that a client can ask for, from `request_timeout` to 1h.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub max_request_timeout: Duration,
    /// After which silence a client is asked for a sign of life, 1s to 1h.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub keepalive_interval: Duration,
    /// How long a client may take to give it before its connection is closed, 1s to 5m.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub keepalive_timeout: Duration,
    /// How long a connection may have no open call before it is closed, 1s to 24h.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub max_connection_idle: Duration,
    /// After which time a connection takes no further calls, and its client opens another, 1s to 7d; a tenth more or less.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub max_connection_age: Duration,
    /// How long open calls may take to end after that, 0s to 1h; streams are cut off then.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub max_connection_grace: Duration,
    /// Send small packets at once (TCP_NODELAY).
    pub tcp_nodelay: bool,
    /// How long open calls, and then background tasks, may take to end when the server stops, 0s to 10m.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub drain_timeout: Duration,
    /// Callers that speak no gRPC.
    pub http: HttpConfig,
    /// The certificate of the server.
    pub tls: TlsConfig,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 50051)),
            health_listen: None,
            trusted_proxies: Vec::new(),
            proxy_header: ProxyHeader::default(),
            max_message_bytes: 1024 * 1024,
            max_header_bytes: 16 * 1024,
            max_connections: 1024,
            max_connections_per_peer: 256,
            max_concurrent_streams: 128,
            max_concurrent_calls: 512,
            max_concurrent_calls_per_peer: 128,
            handshake_timeout: Duration::from_secs(10),
            message_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(15),
            max_request_timeout: Duration::from_secs(60),
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(10),
            max_connection_idle: Duration::from_secs(5 * 60),
            max_connection_age: Duration::from_secs(60 * 60),
            max_connection_grace: Duration::from_secs(60),
            tcp_nodelay: true,
            drain_timeout: Duration::from_secs(20),
            http: HttpConfig::default(),
            tls: TlsConfig::default(),
        }
    }
}

impl ServerConfig {
    /// Checks every range; `section` is where these settings stand, such as `server`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for the first value that lies outside of its range, or
    /// lacks another that it needs.
    pub fn validate(&self, section: &str) -> Result<(), Error> {
        const SECOND: Duration = Duration::from_secs(1);
        const MINUTE: Duration = Duration::from_secs(60);
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let key = |name: &str| format!("{section}.{name}");
        in_range(&key("trusted_proxies"), &self.trusted_proxies.len(), &(0..=64))?;
        in_range(&key("max_message_bytes"), &self.max_message_bytes, &(1024..=16 * 1024 * 1024))?;
        in_range(&key("max_header_bytes"), &self.max_header_bytes, &(8 * 1024..=1024 * 1024))?;
        for (name, value, most) in [
            ("max_connections", self.max_connections, 100_000),
            ("max_connections_per_peer", self.max_connections_per_peer, 100_000),
            ("max_concurrent_streams", self.max_concurrent_streams, 10_000),
            ("max_concurrent_calls", self.max_concurrent_calls, 100_000),
            ("max_concurrent_calls_per_peer", self.max_concurrent_calls_per_peer, 100_000),
        ] {
            in_range(&key(name), &value, &(1..=most))?;
        }
        for (name, value, range) in [
            ("handshake_timeout", self.handshake_timeout, SECOND..=MINUTE),
            ("message_timeout", self.message_timeout, SECOND / 10..=MINUTE),
            ("request_timeout", self.request_timeout, SECOND / 10..=10 * MINUTE),
            ("max_request_timeout", self.max_request_timeout, self.request_timeout..=60 * MINUTE),
            ("keepalive_interval", self.keepalive_interval, SECOND..=60 * MINUTE),
            ("keepalive_timeout", self.keepalive_timeout, SECOND..=5 * MINUTE),
            ("max_connection_idle", self.max_connection_idle, SECOND..=DAY),
            ("max_connection_age", self.max_connection_age, SECOND..=7 * DAY),
            ("max_connection_grace", self.max_connection_grace, Duration::ZERO..=60 * MINUTE),
            ("drain_timeout", self.drain_timeout, Duration::ZERO..=10 * MINUTE),
        ] {
            duration_in_range(&key(name), value, &range)?;
        }
        self.http.validate(&key("http"))?;
        self.tls.validate(&key("tls"))
    }
}
