//! What counts as one network: who can easily have many addresses of a kind
//! counts once for all of them. It is kept where a call is worked on, and as a
//! keyed hash elsewhere.

use std::net::{IpAddr, Ipv6Addr};

/// An IPv4 address, or the /64 of an IPv6 address (RFC 6177: the least that a
/// subscriber gets). Callers without an address are one network together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Network {
    V4(u32),
    V6(u64),
    Unknown,
}

/// For whom a password is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// From where.
    pub(crate) network: Network,
    /// Whether by a device that the account knows.
    pub(crate) known: bool,
}

impl From<Option<IpAddr>> for Network {
    fn from(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => Self::V4(address.to_bits()),
            Some(IpAddr::V6(address)) => Self::V6(prefix(address)),
            None => Self::Unknown,
        }
    }
}

fn prefix(address: Ipv6Addr) -> u64 {
    let [a, b, c, d, ..] = address.segments();
    [a, b, c, d].into_iter().fold(0, |bits, segment| bits << 16 | u64::from(segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str) -> Network {
        Some(address.parse().unwrap()).into()
    }

    #[test]
    fn addresses_of_one_ipv6_subscriber_are_one_network() {
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
    }

    #[test]
    fn an_ipv4_address_is_the_same_network_in_ipv6_clothes() {
        assert_eq!(network("::ffff:192.0.2.7"), network("192.0.2.7"));
        assert_ne!(network("192.0.2.7"), network("192.0.2.8"));
    }
}
