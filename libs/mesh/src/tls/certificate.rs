//! What a certificate says that matters here: how long it is good, and whose it is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use x509_cert::{
    Certificate,
    der::Decode,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// Names that are read of a certificate, and octets of each.
const MAX_NAMES: usize = 16;
const MAX_NAME: usize = 512;

/// When a certificate begins and ends to be good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    from: Duration,
    to: Duration,
}

impl Validity {
    /// Since the epoch.
    pub(super) const fn end(self) -> Duration {
        self.to
    }

    /// How long it is good from `now` on; nothing when it has expired.
    pub(super) fn left(self, now: SystemTime) -> Duration {
        self.to.saturating_sub(now.duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    /// Whether so little of its life is left that it should have been renewed:
    /// a fifth. cert-manager renews when a third is left, SPIRE at a half.
    pub(super) fn is_ending(self, now: SystemTime) -> bool {
        self.left(now) < self.to.saturating_sub(self.from) / 5
    }
}

/// How long a certificate is good; the error says that it is none.
pub(super) fn validity(certificate: &CertificateDer<'_>) -> Result<Validity, String> {
    let read = Certificate::from_der(certificate).map_err(|error| error.to_string())?;
    let validity = read.tbs_certificate.validity;
    Ok(Validity {
        from: validity.not_before.to_unix_duration(),
        to: validity.not_after.to_unix_duration(),
    })
}

/// The names that a certificate gives its owner (RFC 5280, section 4.2.1.6): URIs,
/// such as a SPIFFE id, and names of hosts. Empty where there are none.
pub(super) fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(read) = Certificate::from_der(certificate) else { return Vec::new() };
    let Ok(Some((_, SubjectAltName(names)))) = read.tbs_certificate.get::<SubjectAltName>() else {
        return Vec::new();
    };
    let names = names.iter().filter_map(|name| match name {
        GeneralName::UniformResourceIdentifier(name) | GeneralName::DnsName(name) => {
            Some(name.as_str())
        }
        _ => None,
    });
    names.filter(|name| name.len() <= MAX_NAME).take(MAX_NAMES).map(str::to_owned).collect()
}
