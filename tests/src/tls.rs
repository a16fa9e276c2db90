//! Certificates for one test, and a wire that is encrypted up to this process.

use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
};

/// An authority that nobody knows but those who are told.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Authority {
    /// A new one.
    ///
    /// # Panics
    /// It cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("the folder is there");
        Self { folder, issuer: Issuer::new(params, key) }
    }

    /// The file with its certificate.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for this machine, or for a client of that name.
    ///
    /// # Panics
    /// It cannot be made.
    #[must_use]
    pub fn sign(&self, name: &str) -> Identity {
        let names = vec!["127.0.0.1".to_owned(), name.to_owned()];
        self.issue(name, CertificateParams::new(names).expect("names"))
    }

    /// A certificate for a workload with the SPIFFE id `spiffe://test/NAME`.
    ///
    /// # Panics
    /// It cannot be made.
    #[must_use]
    pub fn sign_workload(&self, name: &str) -> Identity {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        let id = format!("spiffe://test/{name}");
        params.subject_alt_names.push(SanType::URI(id.try_into().expect("a URI")));
        self.issue(name, params)
    }

    fn issue(&self, name: &str, params: CertificateParams) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let signed = params.signed_by(&key, &self.issuer).expect("a certificate");
        let file = |kind: &str| self.folder.path().join(format!("{name}-{kind}.pem"));
        let identity = Identity { certificate: file("certificate"), key: file("key") };
        fs::write(&identity.certificate, signed.pem()).expect("the folder is there");
        fs::write(&identity.key, key.serialize_pem()).expect("the folder is there");
        identity
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// A front for a server that speaks no TLS: it decrypts, and passes on. Where it
/// listens; it does so until the runtime ends.
///
/// # Panics
/// The identity cannot be used, or no port is free.
pub async fn tls_front(identity: &Identity, upstream: SocketAddr) -> SocketAddr {
    let certificate = CertificateDer::from_pem_file(&identity.certificate).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(&identity.key).expect("a key");
    let config = ServerConfig::builder().with_no_client_auth();
    let mut config = config.with_single_cert(vec![certificate], key).expect("an identity");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Who breaks off is told by its own end of the wire.
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let Ok(mut server) = TcpStream::connect(upstream).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}

/// A front for clients that speak no TLS: it shows this identity to the server
/// behind it, whose certificate `authority` has signed, and passes on. Where it
/// listens; it does so until the runtime ends.
///
/// # Panics
/// The identity cannot be used, or no port is free.
pub async fn tls_client_front(
    authority: &Authority,
    identity: &Identity,
    upstream: SocketAddr,
) -> SocketAddr {
    let mut trusted = RootCertStore::empty();
    let signer = CertificateDer::from_pem_file(authority.file()).expect("a certificate");
    trusted.add(signer).expect("an authority");
    let certificate = CertificateDer::from_pem_file(&identity.certificate).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(&identity.key).expect("a key");
    let config = ClientConfig::builder().with_root_certificates(trusted);
    let mut config = config.with_client_auth_cert(vec![certificate], key).expect("an identity");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let connector = connector.clone();
            tokio::spawn(async move {
                let Ok(server) = TcpStream::connect(upstream).await else { return };
                let name = ServerName::from(upstream.ip());
                let Ok(mut server) = connector.connect(name, server).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}
