//! The pool's bounds, and what its hashes verify.

use std::{io::Write, sync::mpsc};

use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::*;
use crate::password::Pepper;

const CHEAP: HashingConfig = HashingConfig {
    memory_kib: 64,
    iterations: 1,
    parallelism: 1,
    workers: 1,
    queue: 2,
    pepper_file: None,
};

fn pool(config: &HashingConfig) -> HashingPool {
    HashingPool::start(Hasher::new(config, None).unwrap(), config).unwrap()
}

fn password(text: &str) -> Password {
    Password::new(text.to_owned())
}

fn pepper(text: &str) -> Pepper {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{text}").unwrap();
    Pepper::read(file.path()).unwrap()
}

#[tokio::test]
async fn only_the_password_itself_verifies() {
    let pool = pool(&CHEAP);
    let hash = pool.hash(password("eleven tired owls")).await.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
    let right = pool.verify(password("eleven tired owls"), Some(hash.clone())).await.unwrap();
    assert!(right == Verdict::Right { rehashed: None });
    let wrong = pool.verify(password("eleven tired owl"), Some(hash)).await.unwrap();
    assert!(wrong == Verdict::Wrong);
}

#[tokio::test]
async fn without_a_stored_hash_nothing_is_right() {
    let verdict = pool(&CHEAP).verify(password("eleven tired owls"), None).await.unwrap();
    assert!(verdict == Verdict::Wrong);
}

#[tokio::test]
async fn a_weaker_hash_is_renewed_when_it_verifies_and_a_stronger_one_is_kept() {
    let strong = HashingConfig { iterations: 2, memory_kib: 128, ..CHEAP };
    let (weak, strong) = (pool(&CHEAP), pool(&strong));
    let old = weak.hash(password("eleven tired owls")).await.unwrap();
    let Verdict::Right { rehashed: Some(new) } =
        strong.verify(password("eleven tired owls"), Some(old.clone())).await.unwrap()
    else {
        panic!("the weaker hash is not renewed");
    };
    assert!(new.starts_with("$argon2id$v=19$m=128,t=2,p=1$"), "{new}");
    let wrong = strong.verify(password("eleven tired owl"), Some(old)).await.unwrap();
    assert!(wrong == Verdict::Wrong);
    let kept = weak.verify(password("eleven tired owls"), Some(new)).await.unwrap();
    assert!(kept == Verdict::Right { rehashed: None });
}

#[tokio::test]
async fn a_pepper_joins_at_login_and_is_then_needed() {
    let plain = pool(&CHEAP);
    let with = |text| {
        HashingPool::start(Hasher::new(&CHEAP, Some(pepper(text))).unwrap(), &CHEAP).unwrap()
    };
    let peppered = with("a pepper of our own");
    let old = plain.hash(password("eleven tired owls")).await.unwrap();
    let Verdict::Right { rehashed: Some(new) } =
        peppered.verify(password("eleven tired owls"), Some(old)).await.unwrap()
    else {
        panic!("the hash without pepper is not renewed");
    };
    let right = peppered.verify(password("eleven tired owls"), Some(new.clone())).await.unwrap();
    assert!(right == Verdict::Right { rehashed: None });
    for other in [plain, with("another pepper than that")] {
        let refused = other.verify(password("eleven tired owls"), Some(new.clone())).await;
        assert!(matches!(refused, Err(Error::OtherPepper)));
    }
}

#[test]
fn a_short_pepper_is_refused() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "fifteen bytes..").unwrap();
    assert!(matches!(Pepper::read(file.path()), Err(Error::PepperLength(_))));
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_recovers() {
    let pool = pool(&CHEAP);
    let (release, released) = mpsc::channel::<()>();
    let (began, has_begun) = mpsc::channel::<()>();
    let blocker = pool.clone();
    let blocked = tokio::spawn(async move {
        blocker
            .run(move |_, _| {
                began.send(()).unwrap();
                released.recv().unwrap();
            })
            .await
    });
    tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();

    // Polled once each: they take the two places of the queue.
    let mut waiting = [Box::pin(pool.hash(password("one"))), Box::pin(pool.hash(password("two")))];
    for place in &mut waiting {
        assert!(futures::poll!(place).is_pending());
    }
    assert!(matches!(pool.hash(password("three")).await, Err(Error::HashingBusy)));

    release.send(()).unwrap();
    blocked.await.unwrap().unwrap();
    for place in waiting {
        assert!(place.await.is_ok());
    }
    assert!(pool.hash(password("four")).await.is_ok());
}

#[tokio::test]
async fn work_nobody_waits_for_is_skipped() {
    let pool = pool(&CHEAP);
    let (release, released) = mpsc::channel::<()>();
    let first = pool.run(move |_, _| released.recv());
    let (ran, has_run) = mpsc::channel::<()>();
    let second = pool.run(move |_, _| ran.send(()));
    let (mut first, mut second) = (Box::pin(first), Box::pin(second));
    assert!(futures::poll!(&mut first).is_pending());
    assert!(futures::poll!(&mut second).is_pending());
    drop(second);
    release.send(()).unwrap();
    first.await.unwrap().unwrap();
    assert!(pool.hash(password("third")).await.is_ok());
    assert!(has_run.try_recv().is_err());
}

#[tokio::test]
async fn a_panic_costs_its_own_caller_only() {
    let pool = pool(&CHEAP);
    let outcome = pool.run(|_, _| panic!("as a test")).await;
    assert!(matches!(outcome, Err(Error::HashingStopped)));
    assert!(pool.hash(password("next")).await.is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_password_verifies_against_its_own_hash(text in "\\PC{1,64}", other in "\\PC{1,64}") {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let pool = pool(&CHEAP);
            let hash = pool.hash(password(&text)).await.unwrap();
            let same = password(&text).as_str() == password(&other).as_str();
            let own = pool.verify(password(&text), Some(hash.clone())).await.unwrap();
            let others = pool.verify(password(&other), Some(hash)).await.unwrap();
            assert!(own != Verdict::Wrong);
            assert_eq!(others != Verdict::Wrong, same);
        });
    }
}
