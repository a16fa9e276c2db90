//! The client's side: whose certificates it believes, and its own.

use std::{io, path::Path, sync::Arc, time::SystemTime};

use http::uri::Authority;
use rustls::{ClientConfig, crypto::ring::default_provider, pki_types::ServerName};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    files::{pair, refused, roots},
    server::ALPN,
    watched::{Loaded, Source, Watched},
};
use crate::{Error, channel::Duplex, config::ClientTlsConfig};

/// Speaks TLS with the servers of a channel.
pub(crate) struct ClientTls {
    config: Watched<ClientConfig>,
    name: ServerName<'static>,
}

impl ClientTls {
    /// By these settings, with servers of this name; `None` where they say to speak none.
    pub(crate) fn start(
        config: &ClientTlsConfig,
        authority: &Authority,
    ) -> Result<Option<Self>, Error> {
        let Some(ca) = config.ca_file.clone() else { return Ok(None) };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let name = config.server_name.clone().unwrap_or_else(|| host.to_owned());
        let name = ServerName::try_from(name).map_err(|_| Error::Target {
            target: authority.to_string(),
            reason: "has no name that could stand in a certificate",
        })?;
        let own = config.certificate_file.clone().zip(config.key_file.clone());
        let mut paths = vec![ca.clone()];
        paths.extend(own.iter().flat_map(|(certificate, key)| [certificate.clone(), key.clone()]));
        let source = Source {
            role: "client",
            paths,
            interval: config.reload_interval,
            load: Box::new(move || {
                let own = own.as_ref().map(|(certificate, key)| (&**certificate, &**key));
                load(&ca, own)
            }),
        };
        Ok(Some(Self { config: Watched::start(source)?, name }))
    }

    /// Speaks TLS over a connection.
    pub(crate) async fn connect(
        &self,
        stream: Box<dyn Duplex>,
    ) -> io::Result<TlsStream<Box<dyn Duplex>>> {
        TlsConnector::from(self.config.current()).connect(self.name.clone(), stream).await
    }
}

fn load(ca: &Path, own: Option<(&Path, &Path)>) -> Result<Loaded<ClientConfig>, Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| refused(ca, error.to_string()))?;
    let builder = builder.with_root_certificates(roots(ca)?);
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
