//! The server's side: its certificate, and whom it lets in by theirs.

use std::{io, path::Path, sync::Arc, time::SystemTime};

use countersign_contracts::PeerCertificate;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring::default_provider,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    certificate::names,
    files::{pair, refused, roots},
    watched::{Loaded, Source, Watched},
};
use crate::{Error, config::TlsConfig};

/// What is agreed on below HTTP (RFC 7301).
pub(super) const ALPN: &[u8] = b"h2";
/// What is agreed on with callers that speak no gRPC.
const HTTP_1: &[u8] = b"http/1.1";

/// Speaks TLS with whoever connects.
pub(crate) struct ServerTls(Watched<ServerConfig>);

impl ServerTls {
    /// By these settings; `None` where they say to speak none. `http_1` tells
    /// whether HTTP/1.1 is spoken as well.
    pub(crate) fn start(config: &TlsConfig, http_1: bool) -> Result<Option<Self>, Error> {
        let (Some(certificate), Some(key)) = (&config.certificate_file, &config.key_file) else {
            return Ok(None);
        };
        let (certificate, key) = (certificate.clone(), key.clone());
        let (ca, optional) = (config.client_ca_file.clone(), config.client_certificate_optional);
        let mut paths = vec![certificate.clone(), key.clone()];
        paths.extend(ca.clone());
        let source = Source {
            role: "server",
            paths,
            interval: config.reload_interval,
            load: Box::new(move || load(&certificate, &key, ca.as_deref(), optional, http_1)),
        };
        Ok(Some(Self(Watched::start(source)?)))
    }

    /// Speaks TLS; who is there says their certificate, where one was shown.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Option<PeerCertificate>)> {
        let stream = TlsAcceptor::from(self.0.current()).accept(stream).await?;
        let (_, session) = stream.get_ref();
        let shown = session.peer_certificates().and_then(<[_]>::first);
        let peer = shown.map(|certificate| PeerCertificate { names: names(certificate).into() });
        Ok((stream, peer))
    }
}

fn load(
    certificate: &Path,
    key: &Path,
    ca: Option<&Path>,
    optional: bool,
    http_1: bool,
) -> Result<Loaded<ServerConfig>, Error> {
    let pair = pair(certificate, key)?;
    let validity = pair.validity(certificate, SystemTime::now())?;
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| refused(certificate, error.to_string()))?;
    let builder = match ca {
        None => builder.with_no_client_auth(),
        Some(ca) => builder.with_client_cert_verifier(verifier(ca, roots(ca)?, optional)?),
    };
    let config = builder.with_single_cert(pair.chain, pair.key);
    // The one thing that can be wrong now is that they are not a pair.
    let mut config = config.map_err(|error| refused(key, error.to_string()))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.alpn_protocols.extend(http_1.then(|| HTTP_1.to_vec()));
    Ok(Loaded { value: config, validity: Some(validity) })
}

fn verifier(
    path: &Path,
    roots: RootCertStore,
    optional: bool,
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let provider = Arc::new(default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if optional { builder.allow_unauthenticated() } else { builder };
    builder.build().map_err(|error| refused(path, error.to_string()))
}
