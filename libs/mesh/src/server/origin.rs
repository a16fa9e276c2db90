//! Where a call comes from: the address of the connection, or, where that is a
//! proxy that is trusted, the one that it says.
//!
//! Everything behind this stage sees that address: the guard, handlers, the
//! throttle, the audit trail. The limits of connections and places are those of
//! the connection itself.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, header::FORWARDED};
use tonic::transport::server::TcpConnectInfo;

use super::stage::{Request, Response, Stage};
use crate::config::{Cidr, ProxyHeader, ServerConfig};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Proxies in a row that are looked at.
const HOPS: usize = 16;

pub(super) struct Origin<S> {
    next: S,
    trusted: Vec<Cidr>,
    header: ProxyHeader,
}

impl<S> Origin<S> {
    pub(super) fn new(next: S, config: &ServerConfig) -> Self {
        let trusted = config.trusted_proxies.clone();
        Self { next, trusted, header: config.proxy_header }
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// Read from the right, where the nearest proxy has written, up to the first
    /// address that is no trusted proxy's: what stands left of it anybody can
    /// have written. Where somebody has written what is no address, it is the
    /// proxy that passed it on.
    fn client(&self, connected: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = connected;
        let lines: Vec<_> = match self.header {
            ProxyHeader::XForwardedFor => headers.get_all(X_FORWARDED_FOR).iter().collect(),
            ProxyHeader::Forwarded => headers.get_all(FORWARDED).iter().collect(),
        };
        let hops = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|b| *b == b','));
        for hop in hops.take(HOPS) {
            if !self.is_trusted(client) {
                break;
            }
            let text = std::str::from_utf8(hop).unwrap_or_default().trim();
            let named = match self.header {
                ProxyHeader::XForwardedFor => address(text),
                ProxyHeader::Forwarded => forwarded_for(text).and_then(address),
            };
            let Some(named) = named else { break };
            client = named;
        }
        client
    }
}

impl<S: Stage> Stage for Origin<S> {
    async fn handle(&self, mut request: Request) -> Response {
        let info = request.extensions().get::<TcpConnectInfo>();
        if let Some(TcpConnectInfo { local_addr, remote_addr: Some(peer) }) = info {
            let (local_addr, peer) = (*local_addr, *peer);
            let client = self.client(peer.ip(), request.headers());
            if client != peer.ip() {
                // The port is the proxy's affair.
                let remote_addr = Some(SocketAddr::new(client, 0));
                request.extensions_mut().insert(TcpConnectInfo { local_addr, remote_addr });
            }
        }
        self.next.handle(request).await
    }
}

/// The `for` of an element (RFC 7239, section 4).
fn forwarded_for(element: &str) -> Option<&str> {
    let pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let mut named = pairs.filter(|(name, _)| name.eq_ignore_ascii_case("for"));
    let (_, node) = named.next()?;
    // Said twice it says nothing.
    if named.next().is_some() {
        return None;
    }
    let quoted = node.strip_prefix('"').and_then(|node| node.strip_suffix('"'));
    Some(quoted.unwrap_or(node))
}

/// An address, also with a port; one of IPv6 may stand in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().ok();
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|with| with.ip()));
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    address.or_else(bracketed).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(header: ProxyHeader, connected: &str, lines: &[&str]) -> String {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap());
        let origin = Origin { next: (), trusted: trusted.to_vec(), header };
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_FORWARDED_FOR, line.parse().unwrap());
            headers.append(FORWARDED, line.parse().unwrap());
        }
        origin.client(connected.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_first_address_from_the_right_that_is_no_trusted_proxy_is_the_client() {
        for (connected, lines, expected) in [
            // Who is no proxy says nothing about itself.
            ("192.0.2.1", &["203.0.113.9"][..], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            // What the client itself has written stands further left.
            ("10.0.0.1", &["127.0.0.1, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.1", "203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            ("::ffff:10.0.0.1", &["[2001:db8::7]:443"], "2001:db8::7"),
            ("fd00::1", &["203.0.113.9:1234"], "203.0.113.9"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            // What is no address ends it at who passed it on.
            ("10.0.0.1", &["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["203.0.113.9, "], "10.0.0.1"),
        ] {
            assert_eq!(client(ProxyHeader::XForwardedFor, connected, lines), expected, "{lines:?}");
        }
        let long = vec!["10.0.0.2"; 1_000].join(", ");
        assert_eq!(client(ProxyHeader::XForwardedFor, "10.0.0.1", &[&long]), "10.0.0.2");
    }

    #[test]
    fn forwarded_is_read_as_its_rfc_says() {
        for (lines, expected) in [
            (&["for=203.0.113.9;proto=https;by=10.0.0.2"][..], "203.0.113.9"),
            (
                &["for=198.51.100.1, For=\"[2001:db8:cafe::17]:4711\", for=10.0.0.9"],
                "2001:db8:cafe::17",
            ),
            (&["for=203.0.113.9, for=_hidden"], "10.0.0.1"),
            (&["for=203.0.113.9;for=203.0.113.8"], "10.0.0.1"),
            (&["proto=https"], "10.0.0.1"),
            (&["203.0.113.9"], "10.0.0.1"),
        ] {
            assert_eq!(client(ProxyHeader::Forwarded, "10.0.0.1", lines), expected, "{lines:?}");
        }
    }
}
