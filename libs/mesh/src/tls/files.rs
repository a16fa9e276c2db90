//! Reads certificates and keys. Its errors name the file and never its content.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use rustls_native_certs::load_native_certs;

use super::certificate::{Validity, validity};
use crate::Error;

/// Bytes of a file.
const MAX_BYTES: usize = 1024 * 1024;

/// A certificate with those above it, and its key.
pub(super) struct Pair {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

impl Pair {
    /// How long it is good; an error where it is no longer.
    pub(super) fn validity(&self, path: &Path, now: SystemTime) -> Result<Validity, Error> {
        let own = self.chain.first().ok_or_else(|| refused(path, "it holds no certificate"))?;
        let validity = validity(own).map_err(|reason| refused(path, reason))?;
        if validity.left(now).is_zero() {
            return Err(refused(path, "the certificate has expired"));
        }
        Ok(validity)
    }
}

/// What cannot be used of this file, and why.
pub(super) fn refused(path: &Path, reason: impl Into<String>) -> Error {
    Error::Tls { path: path.to_owned(), reason: reason.into() }
}

/// A certificate and its key.
pub(super) fn pair(certificate: &Path, key: &Path) -> Result<Pair, Error> {
    let chain = certificates(certificate)?;
    let bytes = read(key)?;
    let key = PrivateKeyDer::from_pem_slice(&bytes)
        .map_err(|_| refused(key, "it holds no private key in PEM"))?;
    Ok(Pair { chain, key })
}

/// Authorities.
pub(super) fn roots(path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| refused(path, error.to_string()))?;
    }
    Ok(roots)
}

/// The authorities that this system trusts. One of them that cannot be read is no
/// reason to trust none.
pub(super) fn system_roots() -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(load_native_certs().certs);
    if taken == 0 { Err(Error::NoAuthorities) } else { Ok(roots) }
}

/// A number that changes with the content of the files, and with which of them
/// can be read.
pub(super) fn fingerprint(paths: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in paths {
        std::fs::read(path).ok().hash(&mut hasher);
    }
    hasher.finish()
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let bytes = read(path)?;
    let certificates = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(refused(path, "it holds no certificate in PEM")),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes =
        std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    if bytes.len() > MAX_BYTES {
        return Err(refused(path, "it is larger than 1 MiB"));
    }
    Ok(bytes)
}
