//! The master key through its public face: sealing, deriving, its file.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{fs, os::unix::fs::PermissionsExt, path::Path, thread};

use countersign_seal::{Error, MasterKey, PLAIN_MAX};
use proptest::prelude::*;

fn key() -> MasterKey {
    MasterKey::generate().unwrap()
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

proptest! {
    #[test]
    fn what_is_sealed_opens_again(
        context: Vec<u8>,
        plain in proptest::collection::vec(any::<u8>(), 0..2000),
    ) {
        let key = key();
        let sealed = key.seal(&context, &plain).unwrap();
        let opened = key.open(&context, &sealed).unwrap();
        prop_assert_eq!(opened.as_slice(), plain.as_slice());
    }

    #[test]
    fn any_flipped_bit_refuses(plain: Vec<u8>, at: prop::sample::Index, bit in 0..8_u8) {
        let key = key();
        let mut sealed = key.seal(b"row 1", &plain).unwrap();
        let at = at.index(sealed.len());
        sealed[at] ^= 1 << bit;
        prop_assert!(key.open(b"row 1", &sealed).is_err());
    }

    #[test]
    fn any_missing_end_refuses(plain: Vec<u8>, length: prop::sample::Index) {
        let key = key();
        let sealed = key.seal(b"", &plain).unwrap();
        prop_assert!(key.open(b"", &sealed[..length.index(sealed.len())]).is_err());
    }

    #[test]
    fn another_context_refuses(plain: Vec<u8>, context: Vec<u8>, other: Vec<u8>) {
        prop_assume!(context != other);
        let key = key();
        let sealed = key.seal(&context, &plain).unwrap();
        prop_assert!(matches!(key.open(&other, &sealed), Err(Error::Refused)));
    }

    #[test]
    fn another_key_refuses_and_names_both(plain: Vec<u8>) {
        let (mine, yours) = (key(), key());
        let sealed = mine.seal(b"", &plain).unwrap();
        match yours.open(b"", &sealed) {
            Err(Error::OtherKey { sealed_with, this }) => {
                prop_assert_eq!((sealed_with, this), (mine.id(), yours.id()));
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn a_label_gives_one_key_and_another_label_another(label: String, other: String) {
        prop_assume!(label != other);
        let key = key();
        prop_assert_eq!(key.derive(&label), key.derive(&label));
        prop_assert_ne!(key.derive(&label), key.derive(&other));
    }
}

#[test]
fn sealing_twice_gives_different_texts() {
    let key = key();
    assert_ne!(key.seal(b"", b"same").unwrap(), key.seal(b"", b"same").unwrap());
}

#[test]
fn what_is_too_long_is_refused() {
    let plain = vec![0; PLAIN_MAX + 1];
    assert!(matches!(key().seal(b"", &plain), Err(Error::TooLong)));
    assert!(key().seal(b"", &plain[1..]).is_ok());
}

#[test]
fn the_canary_sings_for_its_own_key_only() {
    let (mine, yours) = (key(), key());
    let canary = mine.canary().unwrap();
    mine.check_canary(&canary).unwrap();
    let refusal = yours.check_canary(&canary).unwrap_err().to_string();
    assert!(refusal.contains(&mine.id()) && refusal.contains(&yours.id()), "{refusal}");
    assert!(mine.check_canary(b"").is_err());
}

#[test]
fn a_created_key_is_for_its_owner_only_and_loads_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let created = MasterKey::create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
    let loaded = MasterKey::load(&path).unwrap();
    assert_eq!(loaded.id(), created.id());
    assert_eq!(loaded.derive("x"), created.derive("x"));
    assert_eq!(MasterKey::load_or_create(&path).unwrap().id(), created.id());
}

#[test]
fn a_key_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let first = MasterKey::create(&path).unwrap();
    assert!(matches!(MasterKey::create(&path), Err(Error::Exists(_))));
    assert_eq!(MasterKey::load(&path).unwrap().id(), first.id());
}

#[test]
fn processes_that_start_at_once_end_with_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let mut ids: Vec<String> = thread::scope(|scope| {
        let starts: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| MasterKey::load_or_create(&path).unwrap().id()))
            .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

#[test]
fn a_file_open_to_others_is_refused_with_the_command_that_helps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    MasterKey::create(&path).unwrap();
    for mode in [0o640, 0o604, 0o620, 0o602, 0o777] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let refusal = MasterKey::load(&path).unwrap_err().to_string();
        assert!(refusal.ends_with(&format!("chmod 0600 {}", path.display())), "{refusal}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    assert!(MasterKey::load(&path).is_ok());
}

#[test]
fn what_is_no_key_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    assert!(matches!(MasterKey::load(&path), Err(Error::Missing(_))));
    let key = "A".repeat(43);
    for text in [
        String::new(),
        "csmk1_".to_owned(),
        key.clone(),
        format!("csmk2_{key}\n"),
        format!("csmk1_{}\n", &key[1..]),
        format!("csmk1_{key}A\n"),
        format!("csmk1_{key}=\n"),
        format!("csmk1_{key}\n\n"),
        format!("csmk1_{key}\ncsmk1_{key}\n"),
    ] {
        write(&path, &text, 0o600);
        assert!(matches!(MasterKey::load(&path), Err(Error::NotAKey(_))), "{text:?}");
    }
    write(&path, &format!("csmk1_{key}\n"), 0o600);
    assert!(MasterKey::load(&path).is_ok());
    assert!(matches!(MasterKey::load(folder.path()), Err(Error::Exposed(_) | Error::File { .. })));
}

#[test]
fn debug_output_shows_the_id_alone() {
    let key = key();
    assert_eq!(format!("{key:?}"), format!("MasterKey({})", key.id()));
}
