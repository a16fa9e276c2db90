//! What counts as one network: who can easily have many addresses of a kind
//! counts once for all of them. It is kept where a call is worked on, and as a
//! keyed hash elsewhere.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// An IPv4 address, or the /64 of an IPv6 address (RFC 6177: the least that a
/// subscriber gets). Callers without an address are one network together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Network {
    V4(u32),
    V6(u64),
    Unknown,
}

/// Where somebody is, as coarse as they would say it: the /24 of an IPv4 address, the /48
/// of an IPv6 address, which is a site (RFC 6177).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surroundings {
    V4(Ipv4Addr),
    V6(Ipv6Addr),
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

impl From<IpAddr> for Surroundings {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(Ipv4Addr::from_bits(address.to_bits() & (!0 << 8))),
            IpAddr::V6(address) => Self::V6(Ipv6Addr::from_bits(address.to_bits() & (!0 << 80))),
        }
    }
}

impl fmt::Display for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(network) => write!(f, "{network}/24"),
            Self::V6(network) => write!(f, "{network}/48"),
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
    fn surroundings_are_coarse() {
        for (address, expected) in [
            ("192.0.2.77", "192.0.2.0/24"),
            ("::ffff:192.0.2.77", "192.0.2.0/24"),
            ("2001:db8:7:1:2:3:4:5", "2001:db8:7::/48"),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(Surroundings::from(address).to_string(), expected);
        }
    }

    #[test]
    fn an_ipv4_address_is_the_same_network_in_ipv6_clothes() {
        assert_eq!(network("::ffff:192.0.2.7"), network("192.0.2.7"));
        assert_ne!(network("192.0.2.7"), network("192.0.2.8"));
    }
}
