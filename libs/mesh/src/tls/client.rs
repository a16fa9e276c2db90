//! The client's side: whose certificates it believes, and its own.

use std::{io, path::Path, sync::Arc, time::SystemTime};

use rustls::{
    ClientConfig,
    crypto::ring::default_provider,
    pki_types::{InvalidDnsNameError, ServerName},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    files::{pair, refused, roots, system_roots},
    server::ALPN,
    watched::{Loaded, Source, Watched},
};
use crate::{Error, channel::Duplex, config::ClientTlsConfig};

/// Speaks TLS with the servers of a channel.
pub(crate) struct ClientTls {
    config: Watched<ClientConfig>,
    /// What all of them are called in their certificates, whatever the target says.
    name: Option<ServerName<'static>>,
}

impl ClientTls {
    /// By these settings; the authorities of the system where they name none.
    pub(crate) fn start(config: &ClientTlsConfig) -> Result<Self, Error> {
        let name = config.server_name.as_deref().map(server_name).transpose();
        let name = name.map_err(|_| Error::Target {
            target: config.server_name.clone().unwrap_or_default(),
            reason: "is no name that could stand in a certificate",
        })?;
        let ca = config.ca_file.clone();
        let own = config.certificate_file.clone().zip(config.key_file.clone());
        let mut paths: Vec<_> = ca.iter().cloned().collect();
        paths.extend(own.iter().flat_map(|(certificate, key)| [certificate.clone(), key.clone()]));
        let source = Source {
            role: "client",
            paths,
            interval: config.reload_interval,
            load: Box::new(move || {
                let own = own.as_ref().map(|(certificate, key)| (&**certificate, &**key));
                load(ca.as_deref(), own)
            }),
        };
        Ok(Self { config: Watched::start(source)?, name })
    }

    /// Speaks TLS over a connection with the server that `authority` names.
    pub(crate) async fn connect(
        &self,
        stream: Box<dyn Duplex>,
        authority: &str,
    ) -> io::Result<TlsStream<Box<dyn Duplex>>> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => server_name(authority.rsplit_once(':').map_or(authority, |(host, _)| host))
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?,
        };
        TlsConnector::from(self.config.current()).connect(name, stream).await
    }
}

/// A name or an address, as it stands in certificates.
fn server_name(host: &str) -> Result<ServerName<'static>, InvalidDnsNameError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(bare.to_owned())
}

fn load(ca: Option<&Path>, own: Option<(&Path, &Path)>) -> Result<Loaded<ClientConfig>, Error> {
    let place = ca.unwrap_or(Path::new("the authorities of the system"));
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| refused(place, error.to_string()))?;
    let builder = builder.with_root_certificates(match ca {
        Some(ca) => roots(ca)?,
        None => system_roots()?,
    });
    let (mut config, validity) = match own {
        None => (builder.with_no_client_auth(), None),
        Some((certificate, key)) => {
            let pair = pair(certificate, key)?;
            let validity = pair.validity(certificate, SystemTime::now())?;
            let config = builder.with_client_auth_cert(pair.chain, pair.key);
            (config.map_err(|error| refused(key, error.to_string()))?, Some(validity))
        }
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Loaded { value: config, validity })
}
