//! Fields under the key of a person, and the hash by which they are found.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::thread;

use countersign_seal::{BlindIndex, DataKey, Error, KEYS_MAX, MasterKey, MasterKeys, Place};
use countersign_types::{SessionId, UserId};
use proptest::prelude::*;

const COLUMNS: [&str; 3] = ["profiles.bio", "profiles.bi", "accounts.email"];

fn masters() -> MasterKeys {
    MasterKey::generate().unwrap().into()
}

/// The key of somebody at a version, made of the same bytes whatever these are:
/// what differs is what it is bound to.
fn same_bytes(key: &DataKey, user: UserId, version: i64) -> Result<DataKey, Error> {
    let masters = masters();
    let wrapped = key.wrap(&masters, &masters.latest()?.id())?;
    DataKey::unwrap(&masters, user, version, &wrapped)
}

proptest! {
    #[test]
    fn a_field_opens_where_it_was_sealed_and_nowhere_else(
        plain in proptest::collection::vec(any::<u8>(), 0..300),
        (column, other) in (0..3_usize, 0..3_usize),
        (version, later) in (1..5_i64, 1..5_i64),
        stranger: bool,
        elsewhere: bool,
    ) {
        let user = UserId::generate();
        let key = DataKey::generate(user, version).unwrap();
        let session = SessionId::generate();
        let place = Place::of_session(COLUMNS[column], session);
        let sealed = key.seal(place, &plain).unwrap();
        let opened = key.open(place, &sealed).unwrap();
        prop_assert_eq!(opened.as_slice(), plain.as_slice());

        let row = if elsewhere { SessionId::generate() } else { session };
        let moved = Place::of_session(COLUMNS[other], row);
        prop_assert_eq!(key.open(moved, &sealed).is_ok(), other == column && !elsewhere);

        let somebody = if stranger { UserId::generate() } else { user };
        let unwrapped = same_bytes(&key, somebody, later);
        prop_assert_eq!(unwrapped.is_ok(), later == version && !stranger);
    }

    #[test]
    fn any_flipped_bit_of_a_field_or_a_key_refuses(
        plain: Vec<u8>, at: prop::sample::Index, bit in 0..8_u8,
    ) {
        let masters = masters();
        let key = DataKey::generate(UserId::generate(), 1).unwrap();
        let place = Place::column("profiles.bio");
        let mut sealed = key.seal(place, &plain).unwrap();
        let length = sealed.len();
        sealed[at.index(length)] ^= 1 << bit;
        prop_assert!(key.open(place, &sealed).is_err());

        let mut wrapped = key.wrap(&masters, &masters.ids()[0]).unwrap();
        let length = wrapped.len();
        wrapped[at.index(length)] ^= 1 << bit;
        prop_assert!(DataKey::unwrap(&masters, key.user(), 1, &wrapped).is_err());
    }

    #[test]
    fn a_blind_index_tells_equal_from_different_under_one_key(a in "\\PC{0,20}", b in "\\PC{0,20}") {
        let index = BlindIndex::new("accounts.email", &[7; 32]);
        prop_assert_eq!(index.of(&a) == index.of(&b), a == b);
        prop_assert_ne!(index.of(&a), BlindIndex::new("accounts.email", &[8; 32]).of(&a));
        prop_assert_ne!(index.of(&a), BlindIndex::new("accounts.name", &[7; 32]).of(&a));
    }
}

#[test]
fn no_key_shows_in_a_debug_text() {
    let user = UserId::generate();
    let key = DataKey::generate(user, 3).unwrap();
    assert_eq!(format!("{key:?}"), format!("DataKey({user}, 3)"));
    assert_eq!(format!("{:?}", BlindIndex::new("a.b", &[7; 32])), "BlindIndex(a.b)");
}

#[test]
fn a_file_of_keys_grows_at_its_end_and_others_notice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let masters = MasterKeys::load_or_create(&path).unwrap();
    let other_process = MasterKeys::load(&path).unwrap();
    let first = masters.latest().unwrap();
    let second = masters.add().unwrap();
    assert_eq!(masters.ids(), [first.id(), second.id()]);
    assert_eq!(MasterKey::load(&path).unwrap().id(), second.id());

    let sealed = second.seal(b"here", b"x").unwrap();
    assert_eq!(other_process.ids().len(), 1);
    assert_eq!(other_process.open(b"here", &sealed).unwrap().as_slice(), b"x");
    let stranger = MasterKey::generate().unwrap().seal(b"here", b"x").unwrap();
    assert!(matches!(masters.open(b"here", &stranger), Err(Error::OtherKey { .. })));
}

#[test]
fn a_file_holds_so_many_keys_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let masters = MasterKeys::load_or_create(&path).unwrap();
    for _ in 1..KEYS_MAX {
        masters.add().unwrap();
    }
    assert!(matches!(masters.add(), Err(Error::TooMany(_))));
    assert_eq!(MasterKeys::load(&path).unwrap().ids().len(), KEYS_MAX);
}

#[test]
fn keys_that_are_added_at_once_are_all_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    MasterKey::create(&path).unwrap();
    let add = || {
        let path = path.clone();
        thread::spawn(move || MasterKeys::load(path).unwrap().add().unwrap().id())
    };
    let adding: Vec<_> = (0..KEYS_MAX - 1).map(|_| add()).collect();
    let added: Vec<_> = adding.into_iter().map(|thread| thread.join().unwrap()).collect();
    let ids = MasterKeys::load(&path).unwrap().ids();
    assert!(added.iter().all(|id| ids.contains(id)), "{added:?} are not all in {ids:?}");
}
