//! Proxies that are believed when they say for whom they call.

use std::{fmt, net::IpAddr, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A network in CIDR notation (RFC 4632), such as `10.0.0.0/8`; an address alone is
/// the network of just that one. IPv4 addresses in IPv6 clothes are IPv4 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

/// A text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a network such as 10.0.0.0/8 or fd00::/8, or an address, with no bit set behind the prefix"
)]
pub struct CidrError;

/// The header in which a proxy says for whom it calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ProxyHeader {
    /// `x-forwarded-for`: a list of addresses.
    #[default]
    #[serde(rename = "x-forwarded-for")]
    XForwardedFor,
    /// `forwarded` (RFC 7239): `for=` of each element.
    #[serde(rename = "forwarded")]
    Forwarded,
}

impl Cidr {
    /// Whether an address is of this network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                same(network.to_bits().into(), address.to_bits().into(), 32, self.prefix)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                same(network.to_bits(), address.to_bits(), 128, self.prefix)
            }
            _ => false,
        }
    }

    fn bits(self) -> (u128, u8) {
        match self.address {
            IpAddr::V4(address) => (address.to_bits().into(), 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        }
    }
}

/// Whether the first `prefix` of `width` bits are the same.
fn same(one: u128, other: u128, width: u8, prefix: u8) -> bool {
    let behind = u32::from(width - prefix);
    (one ^ other).checked_shr(behind).unwrap_or(0) == 0
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| CidrError)?;
        if address != address.to_canonical() {
            return Err(CidrError);
        }
        let whole = Self { address, prefix: 0 };
        let (bits, width) = whole.bits();
        let prefix = match prefix {
            None => width,
            Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().ok().filter(|prefix| *prefix <= width).ok_or(CidrError)?
            }
            Some(_) => return Err(CidrError),
        };
        let behind = u32::from(width - prefix);
        // A bit behind the prefix is a slip of whoever wrote it.
        if bits.trailing_zeros() < behind && bits != 0 {
            return Err(CidrError);
        }
        Ok(Self { address, prefix })
    }
}

impl TryFrom<String> for Cidr {
    type Error = CidrError;

    fn try_from(text: String) -> Result<Self, CidrError> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("10.1.2.0/23", "::ffff:10.1.3.9", "10.1.4.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "203.0.113.5", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
            ("::1", "::1", "::2"),
        ] {
            let cidr: Cidr = network.parse().unwrap();
            assert!(cidr.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!cidr.contains(outside.parse().unwrap()), "{network} {outside}");
            assert_eq!(cidr.to_string().parse(), Ok(cidr));
        }
        for wrong in [
            "",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "::/129",
            "x/8",
            "::ffff:10.0.0.0/104",
        ] {
            assert_eq!(wrong.parse::<Cidr>(), Err(CidrError), "{wrong}");
        }
    }
}
