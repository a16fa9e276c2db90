//! Where a call comes from.

use std::{fmt, net::IpAddr, sync::Arc};

use tonic::{Request, metadata::MetadataMap};

/// Octets of a user agent that are kept.
const USER_AGENT_MAX: usize = 256;
/// Octets of a request id; a longer one is no request id of ours.
const REQUEST_ID_MAX: usize = 128;

/// Where a call comes from. Personal data: its `Debug` shows the request id only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Peer {
    /// The address of the connection.
    pub address: Option<IpAddr>,
    /// What the client calls itself, at most 256 octets of visible ASCII.
    pub user_agent: Option<String>,
    /// The id of the request, at most 128 octets out of `A-Z a-z 0-9 - _ . : / + =`.
    pub request_id: Option<String>,
    /// The certificate of the client, where the connection has one.
    pub certificate: Option<PeerCertificate>,
}

/// What the certificate of a client says. A server that has verified one puts it
/// into the extensions of the requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Its names: URIs, such as a SPIFFE id, and names of hosts (RFC 5280, section 4.2.1.6).
    pub names: Arc<[String]>,
}

impl PeerCertificate {
    /// The SPIFFE id, such as `spiffe://example.org/ns/default/sa/user`; `None` where
    /// there is none, or more than the one that there may be (SPIFFE X.509-SVID, section 2).
    #[must_use]
    pub fn spiffe_id(&self) -> Option<&str> {
        let mut ids = self.names.iter().filter(|name| name.starts_with("spiffe://"));
        ids.next().filter(|_| ids.next().is_none()).map(String::as_str)
    }
}

impl Peer {
    pub(crate) fn of<M>(request: &Request<M>) -> Self {
        let metadata = request.metadata();
        Self {
            address: request.remote_addr().map(|address| address.ip().to_canonical()),
            user_agent: text(metadata, "user-agent").map(visible).filter(|text| !text.is_empty()),
            request_id: text(metadata, "x-request-id")
                .filter(|id| is_request_id(id))
                .map(str::to_owned),
            certificate: request.extensions().get().cloned(),
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

/// Metadata values may hold octets that are no text.
fn text<'a>(metadata: &'a MetadataMap, key: &str) -> Option<&'a str> {
    metadata.get(key)?.to_str().ok()
}

fn visible(text: &str) -> String {
    text.chars().filter(|c| matches!(c, ' '..='~')).take(USER_AGENT_MAX).collect()
}

fn is_request_id(id: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/+=".contains(&b);
    !id.is_empty() && id.len() <= REQUEST_ID_MAX && id.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_has_one_spiffe_id_or_none() {
        let of = |names: &[&str]| {
            let names = names.iter().map(|&name| name.to_owned()).collect();
            PeerCertificate { names }.spiffe_id().map(str::to_owned)
        };
        let (one, other) = ("spiffe://example.org/one", "spiffe://example.org/other");
        assert_eq!(of(&["one.example.org", one]).as_deref(), Some(one));
        assert_eq!(of(&["one.example.org", "https://example.org"]), None);
        assert_eq!(of(&[one, other]), None);
    }
}
