//! What sealing costs: `cargo bench -p countersign-seal`. Each figure is the best
//! of several rounds, which is what the machine can do when nobody disturbs it.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench stops at the first surprise, and prints what it finds"
)]

use std::{hint::black_box, time::Instant};

use countersign_seal::{BlindIndex, DataKey, MasterKey, MasterKeys, Place};
use countersign_types::UserId;

const ROUNDS: usize = 7;
const TIMES: u32 = 20_000;
const BIO: Place = Place::column("profiles.bio");

fn main() {
    let master = MasterKey::generate().unwrap();
    let id = master.id();
    let masters = MasterKeys::from(master);
    let user = UserId::generate();
    let key = DataKey::generate(user, 1).unwrap();
    let wrapped = key.wrap(&masters, &id).unwrap();
    let index = BlindIndex::new("accounts.email", &[7; 32]);
    for length in [16, 256, 4096] {
        let plain = vec![b'a'; length];
        let sealed = key.seal(BIO, &plain).unwrap();
        measure(&format!("seal {length} bytes"), || {
            black_box(key.seal(BIO, black_box(&plain)).unwrap());
        });
        measure(&format!("open {length} bytes"), || {
            black_box(key.open(BIO, black_box(&sealed)).unwrap());
        });
    }
    measure("open a data key", || {
        black_box(DataKey::unwrap(&masters, user, 1, black_box(&wrapped)).unwrap());
    });
    measure("hash an address", || {
        black_box(index.of(black_box("ada@example.org")));
    });
    // As a row of the user service: a key and eight fields.
    let fields: Vec<_> = (0..8).map(|_| key.seal(BIO, &[b'a'; 40]).unwrap()).collect();
    measure("open a profile", || {
        let key = DataKey::unwrap(&masters, user, 1, black_box(&wrapped)).unwrap();
        for field in &fields {
            black_box(key.open(BIO, field).unwrap());
        }
    });
}

fn measure(what: &str, work: impl Fn()) {
    let round = || {
        let began = Instant::now();
        (0..TIMES).for_each(|_| work());
        began.elapsed()
    };
    let best = (0..ROUNDS).map(|_| round()).min().unwrap_or_default();
    let each = best.as_secs_f64() / f64::from(TIMES);
    println!("{what:<20} {:>8.2} us {:>10.0} per second", each * 1e6, 1.0 / each);
}
