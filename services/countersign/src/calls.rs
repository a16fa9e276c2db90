//! The channels over which this process calls others.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use countersign_mesh::{
    Error as MeshError,
    channel::Channel,
    config::{ChannelConfig, ClientTlsConfig, ServerConfig},
};

use crate::{Config, Error};

/// The auth services that `keys.source` names, called as `client` says.
pub(crate) fn to_auth(config: &Config) -> Result<Channel, Error> {
    let target = config.keys.target().ok_or(Error::NoKeySource)??;
    let own = config.keys.ca_file.clone();
    let ca_file = own.clone().or_else(|| config.client.tls.ca_file.clone());
    let tls = ClientTlsConfig { ca_file, ..config.client.tls.clone() };
    let settings = ChannelConfig { tls, ..config.client.clone() };
    Channel::new(target, &settings).map_err(|error| match error {
        MeshError::Tls { path, reason } if Some(&path) == own.as_ref() => {
            Error::KeySourceCa { path, reason }
        }
        MeshError::Read { path, source } if Some(&path) == own.as_ref() => {
            Error::KeySourceCa { path, reason: source.to_string() }
        }
        other => other.into(),
    })
}

/// One question to a server, whatever it says about its health.
pub(crate) fn to_probe(
    target: &str,
    config: &Config,
    patience: Duration,
) -> Result<Channel, Error> {
    let settings = ChannelConfig {
        ready_timeout: patience,
        connect_timeout: patience,
        health_service: None,
        ..config.client.clone()
    };
    Ok(Channel::new(target.parse()?, &settings)?)
}

/// Where a server with these settings is asked for its health on its own machine.
pub(crate) fn own(server: &ServerConfig) -> String {
    let speaks_tls = server.health_listen.is_none() && server.tls.certificate_file.is_some();
    let listen = server.health_listen.unwrap_or(server.listen);
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let scheme = if speaks_tls { "https" } else { "http" };
    format!("{scheme}://{}", SocketAddr::new(ip, listen.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_asked_where_it_answers_its_own_machine() {
        let mut server =
            ServerConfig { listen: "0.0.0.0:50051".parse().unwrap(), ..Default::default() };
        assert_eq!(own(&server), "http://127.0.0.1:50051");
        server.tls.certificate_file = Some("tls.crt".into());
        assert_eq!(own(&server), "https://127.0.0.1:50051");
        server.health_listen = Some("[::]:8080".parse().unwrap());
        assert_eq!(own(&server), "http://[::1]:8080");
    }
}
