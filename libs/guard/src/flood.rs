//! What bad tokens may cost. To verify a signature takes a hundred times as long
//! as all else that is done for a call, and a failure is never remembered: so
//! nobody gets more than so many for nothing.
//!
//! Tokens that are remembered are not concerned, nor those that are refused
//! before their signature is looked at. A good token takes nothing.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use moka::sync::Cache;

/// A peer may fail as often at once as in so many seconds.
const BURST_SECONDS: u32 = 4;
/// Peers that are kept in mind; each takes about 200 octets.
const PEERS: u64 = 10_000;
/// The part of an IPv6 address that names a network (RFC 6177).
const NETWORK: u128 = !0 << 64;

/// What each peer has left.
pub(crate) struct Flood {
    /// None where there is no limit.
    per_second: Option<f64>,
    peers: Cache<IpAddr, Arc<Mutex<Bucket>>>,
}

struct Bucket {
    left: f64,
    at: Instant,
}

/// The right to verify one signature. It is used up unless it is given back.
pub(crate) struct Toll(Option<Arc<Mutex<Bucket>>>);

impl Flood {
    /// `per_second` failures of one peer; 0 sets no limit.
    pub(crate) fn new(per_second: u32) -> Self {
        let forgotten = Duration::from_secs(u64::from(2 * BURST_SECONDS));
        Self {
            per_second: (per_second > 0).then(|| f64::from(per_second)),
            peers: Cache::builder().max_capacity(PEERS).time_to_idle(forgotten).build(),
        }
    }

    /// A toll for one signature; after which time there is one, where there is
    /// none now. A peer without an address can not be told from others.
    pub(crate) fn toll(&self, peer: Option<IpAddr>, now: Instant) -> Result<Toll, Duration> {
        let (Some(rate), Some(peer)) = (self.per_second, peer) else { return Ok(Toll(None)) };
        let full = rate * f64::from(BURST_SECONDS);
        let new = || Arc::new(Mutex::new(Bucket { left: full, at: now }));
        let bucket = self.peers.get_with(network(peer), new);
        let mut held = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let since = now.saturating_duration_since(held.at).as_secs_f64();
        held.left = (held.left + since * rate).min(full);
        held.at = now;
        if held.left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - held.left) / rate));
        }
        held.left -= 1.0;
        drop(held);
        Ok(Toll(Some(bucket)))
    }
}

impl Toll {
    /// The token was good.
    pub(crate) fn give_back(self) {
        if let Some(bucket) = self.0 {
            bucket.lock().unwrap_or_else(PoisonError::into_inner).left += 1.0;
        }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn who_fails_too_often_waits_and_others_do_not() {
        let (flood, now) = (Flood::new(10), Instant::now());
        for _ in 0..40 {
            assert!(flood.toll(peer("192.0.2.1"), now).is_ok());
        }
        let wait = flood.toll(peer("::ffff:192.0.2.1"), now).err().unwrap();
        assert_eq!(wait, Duration::from_millis(100));
        assert!(flood.toll(peer("192.0.2.2"), now).is_ok());
        assert!(flood.toll(peer("192.0.2.1"), now + wait).is_ok());
        assert!(flood.toll(peer("192.0.2.1"), now + wait).is_err());
    }

    #[test]
    fn good_tokens_cost_nothing() {
        let (flood, now) = (Flood::new(1), Instant::now());
        for _ in 0..100 {
            flood.toll(peer("2001:db8::1"), now).ok().unwrap().give_back();
        }
        for _ in 0..4 {
            assert!(flood.toll(peer("2001:db8::2"), now).is_ok(), "one network, one peer");
        }
        assert!(flood.toll(peer("2001:db8::1"), now).is_err());
    }

    #[test]
    fn zero_sets_no_limit_and_who_has_no_address_meets_none() {
        let now = Instant::now();
        let (none, one) = (Flood::new(0), Flood::new(1));
        for _ in 0..100 {
            assert!(none.toll(peer("192.0.2.1"), now).is_ok());
            assert!(one.toll(None, now).is_ok());
        }
    }
}
