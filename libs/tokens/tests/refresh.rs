//! Refresh tokens: what reads back, and what never does.

use countersign_tokens::{Error, RefreshKey, RefreshToken};
use countersign_types::SessionId;
use proptest::prelude::*;
use uuid::Uuid;

fn key() -> RefreshKey {
    RefreshKey::from_bytes(&[7; 32])
}

fn token(session: u128, generation: i64) -> RefreshToken {
    RefreshToken { session: SessionId::from(Uuid::from_u128(session)), generation }
}

#[test]
fn the_same_generation_gives_the_same_token() {
    let first = key().issue(&token(1, 1));
    assert_eq!(first, key().issue(&token(1, 1)));
    assert_ne!(first, key().issue(&token(1, 2)));
    assert_ne!(first, key().issue(&token(2, 1)));
    assert!(first.starts_with("csr1_"));
}

#[test]
fn the_format_is_the_one_that_clients_hold() {
    // Computed with another implementation: what is issued today has to be read tomorrow.
    let known = "csr1_AAAAAAAAAAAAAAAAAAAAAQAAAAAAAAACJun4TcAKg_mygRUE1YEDjA5IkWECAWAre0jw1WghjTo";
    assert_eq!(key().issue(&token(1, 2)), known);
}

#[test]
fn a_token_of_another_key_is_refused() {
    let other = RefreshKey::from_bytes(&[8; 32]).issue(&token(1, 1));
    assert_eq!(key().check(&other), Err(Error::BadSignature));
}

#[test]
fn another_length_or_prefix_is_refused_without_a_look_at_the_mac() {
    let good = key().issue(&token(1, 1));
    assert_eq!(key().check(&format!("{good}A")), Err(Error::TooLarge));
    assert_eq!(key().check(&"A".repeat(1 << 20)), Err(Error::TooLarge));
    for text in ["", "csr1_", "csr1_AAAA", &good[5..], &good[..good.len() - 1]] {
        assert_eq!(key().check(text), Err(Error::Malformed), "{text}");
    }
    assert_eq!(key().check(&good.replace("csr1_", "csr2_")), Err(Error::Malformed));
}

#[test]
fn a_refresh_key_does_not_show_in_debug_output() {
    assert_eq!(format!("{:?}", key()), "RefreshKey(hidden)");
}

proptest! {
    #[test]
    fn every_token_reads_back(session: u128, generation: i64) {
        let token = token(session, generation);
        prop_assert_eq!(key().check(&key().issue(&token)), Ok(token));
    }

    #[test]
    fn a_forged_generation_is_refused(generation: i64, other: i64) {
        prop_assume!(generation != other);
        let (good, aim) = (key().issue(&token(1, generation)), key().issue(&token(1, other)));
        // Session and generation of the one, MAC of the other.
        let forged = format!("{}{}", &aim[..37], &good[37..]);
        prop_assert_eq!(key().check(&forged), Err(Error::BadSignature));
    }

    #[test]
    fn a_token_with_one_bit_flipped_is_refused(at: prop::sample::Index, bit in 0..8u8) {
        let mut bytes = key().issue(&token(1, 1)).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(text) = String::from_utf8(bytes) {
            prop_assert!(key().check(&text).is_err());
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,80}|csr1_[A-Za-z0-9_=+/-]{0,80}") {
        prop_assert!(key().check(&text).is_err());
    }
}
