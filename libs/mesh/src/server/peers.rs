//! Who is on the other side, by address: each has a share of the server, so that
//! nobody alone can take all of it.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::room::Room;
use crate::config::ServerConfig;

/// The part of an IPv6 address that names a network: whoever has one address
/// has as a rule the whole network behind it (RFC 6177).
const NETWORK: u128 = !0 << 64;

/// All peers with open connections. Its size is bounded by theirs.
pub(super) struct Peers {
    table: Mutex<HashMap<IpAddr, Peer>>,
    max_connections: u32,
    max_calls: u32,
    max_message: u32,
}

struct Peer {
    connections: u32,
    room: Arc<Room>,
}

/// One connection of a peer; it counts until it is dropped.
pub(super) struct Connected {
    peers: Arc<Peers>,
    address: IpAddr,
    /// What all connections of this peer share.
    pub(super) room: Arc<Room>,
}

impl Peers {
    pub(super) fn new(config: &ServerConfig) -> Self {
        Self {
            table: Mutex::default(),
            max_connections: config.max_connections_per_peer,
            max_calls: config.max_concurrent_calls_per_peer,
            max_message: config.max_message_bytes,
        }
    }

    /// Counts one more connection; `None` where the peer has all that it may have.
    pub(super) fn connect(self: &Arc<Self>, address: IpAddr) -> Option<Connected> {
        let address = network(address);
        let mut table = self.table();
        let peer = table.entry(address).or_insert_with(|| Peer {
            connections: 0,
            room: Arc::new(Room::of_a_peer(self.max_calls, self.max_message)),
        });
        if peer.connections >= self.max_connections {
            return None;
        }
        peer.connections += 1;
        Some(Connected { peers: Arc::clone(self), address, room: Arc::clone(&peer.room) })
    }

    fn table(&self) -> MutexGuard<'_, HashMap<IpAddr, Peer>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        if let Entry::Occupied(mut peer) = self.peers.table().entry(self.address) {
            peer.get_mut().connections -= 1;
            if peer.get().connections == 0 {
                peer.remove();
            }
        }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(max_connections_per_peer: u32) -> Arc<Peers> {
        let config = ServerConfig { max_connections_per_peer, ..ServerConfig::default() };
        Arc::new(Peers::new(&config))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_peer_has_its_connections_and_no_more_until_one_ends() {
        let peers = peers(2);
        let (here, there) = (address("192.0.2.1"), address("192.0.2.2"));
        let first = peers.connect(here).unwrap();
        let _second = peers.connect(here).unwrap();
        assert!(peers.connect(here).is_none());
        assert!(peers.connect(there).is_some(), "another peer has its own");
        drop(first);
        assert!(peers.connect(here).is_some());
    }

    #[test]
    fn who_has_no_connection_is_forgotten() {
        let peers = peers(1);
        drop(peers.connect(address("192.0.2.1")));
        assert!(peers.table().is_empty());
    }

    #[test]
    fn an_ipv6_network_and_an_ipv4_address_are_one_peer() {
        for (one, same, other) in [
            ("2001:db8::1", "2001:db8::ffff:0:0:2", "2001:db8:0:1::1"),
            ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
        ] {
            let peers = peers(1);
            let _held = peers.connect(address(one)).unwrap();
            assert!(peers.connect(address(same)).is_none(), "{same}");
            assert!(peers.connect(address(other)).is_some(), "{other}");
        }
    }
}
