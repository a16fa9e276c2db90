//! The pool's bounds, and what its hashes verify.

use std::{
    io::Write,
    sync::{OnceLock, mpsc},
};

use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::Registry;
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
    network_queue: 2,
    pepper_file: None,
};

const ANY: Origin = Origin { network: Network::Unknown, known: false };

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
    let hash = pool.hash(ANY, password("eleven tired owls")).await.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
    let right = pool.verify(ANY, password("eleven tired owls"), Some(hash.clone())).await.unwrap();
    assert!(right == Verdict::Right { rehashed: None });
    let wrong = pool.verify(ANY, password("eleven tired owl"), Some(hash)).await.unwrap();
    assert!(wrong == Verdict::Wrong);
}

#[tokio::test]
async fn without_a_stored_hash_nothing_is_right() {
    let verdict = pool(&CHEAP).verify(ANY, password("eleven tired owls"), None).await.unwrap();
    assert!(verdict == Verdict::Wrong);
}

#[tokio::test]
async fn a_weaker_hash_is_renewed_when_it_verifies_and_a_stronger_one_is_kept() {
    let strong = HashingConfig { iterations: 2, memory_kib: 128, ..CHEAP };
    let (weak, strong) = (pool(&CHEAP), pool(&strong));
    let old = weak.hash(ANY, password("eleven tired owls")).await.unwrap();
    let Verdict::Right { rehashed: Some(new) } =
        strong.verify(ANY, password("eleven tired owls"), Some(old.clone())).await.unwrap()
    else {
        panic!("the weaker hash is not renewed");
    };
    assert!(new.starts_with("$argon2id$v=19$m=128,t=2,p=1$"), "{new}");
    let wrong = strong.verify(ANY, password("eleven tired owl"), Some(old)).await.unwrap();
    assert!(wrong == Verdict::Wrong);
    let kept = weak.verify(ANY, password("eleven tired owls"), Some(new)).await.unwrap();
    assert!(kept == Verdict::Right { rehashed: None });
}

#[tokio::test]
async fn a_pepper_joins_at_login_and_is_then_needed() {
    let plain = pool(&CHEAP);
    let with = |text| {
        HashingPool::start(Hasher::new(&CHEAP, Some(pepper(text))).unwrap(), &CHEAP).unwrap()
    };
    let peppered = with("a pepper of our own");
    let old = plain.hash(ANY, password("eleven tired owls")).await.unwrap();
    let Verdict::Right { rehashed: Some(new) } =
        peppered.verify(ANY, password("eleven tired owls"), Some(old)).await.unwrap()
    else {
        panic!("the hash without pepper is not renewed");
    };
    let right =
        peppered.verify(ANY, password("eleven tired owls"), Some(new.clone())).await.unwrap();
    assert!(right == Verdict::Right { rehashed: None });
    for other in [plain, with("another pepper than that")] {
        let refused = other.verify(ANY, password("eleven tired owls"), Some(new.clone())).await;
        assert!(matches!(refused, Err(Error::OtherPepper)));
    }
}

#[test]
fn a_short_pepper_is_refused() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "fifteen bytes..").unwrap();
    assert!(matches!(Pepper::read(file.path()), Err(Error::PepperLength(_))));
}

/// What is measured, as an operator sees it. The tests of this program share it.
fn measured(name: &str) -> f64 {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    let registry = REGISTRY.get_or_init(|| {
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter().with_registry(registry.clone());
        let provider = SdkMeterProvider::builder().with_reader(reader.build().unwrap()).build();
        opentelemetry::global::set_meter_provider(provider);
        registry
    });
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == name);
    family.map_or(0.0, |family| {
        let metric = &family.get_metric()[0];
        metric.get_gauge().get_value() + metric.get_histogram().get_sample_count() as f64
    })
}

#[tokio::test]
async fn a_full_queue_is_seen_refuses_at_once_and_recovers() {
    const WAIT: &str = "countersign_auth_hashing_wait_seconds";
    const WAITING: &str = "countersign_auth_hashing_waiting";
    // Before the pool: its meter takes the provider that is there.
    let waits = measured(WAIT);
    let pool = pool(&CHEAP);
    let (release, released) = mpsc::channel::<()>();
    let (began, has_begun) = mpsc::channel::<()>();
    let blocker = pool.clone();
    let blocked = tokio::spawn(async move {
        blocker
            .run(ANY, move |_, _| {
                began.send(()).unwrap();
                released.recv().unwrap();
            })
            .await
    });
    tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();

    // Polled once each: they take the two places of the queue.
    let mut waiting =
        [Box::pin(pool.hash(ANY, password("one"))), Box::pin(pool.hash(ANY, password("two")))];
    for place in &mut waiting {
        assert!(futures::poll!(place).is_pending());
    }
    assert!(matches!(pool.hash(ANY, password("three")).await, Err(Error::HashingBusy)));
    assert!(measured(WAITING) >= 2.0);

    release.send(()).unwrap();
    blocked.await.unwrap().unwrap();
    for place in waiting {
        assert!(place.await.is_ok());
    }
    assert!(pool.hash(ANY, password("four")).await.is_ok());
    assert!(measured(WAIT) >= waits + 4.0);
}

#[tokio::test]
async fn a_network_fills_its_own_part_of_the_queue_only_and_strangers_not_all_of_that() {
    let pool = pool(&HashingConfig { queue: 16, network_queue: 4, ..CHEAP });
    let (release, released) = mpsc::channel::<()>();
    let (began, has_begun) = mpsc::channel::<()>();
    let mut blocked = Box::pin(pool.run(ANY, move |_, _| {
        began.send(()).unwrap();
        released.recv()
    }));
    assert!(futures::poll!(&mut blocked).is_pending());
    has_begun.recv().unwrap();

    let ask = |network, known| {
        let origin = Origin { network: Network::V4(network), known };
        Box::pin(pool.hash(origin, password("one")))
    };
    let mut waiting = Vec::new();
    for (network, known, places) in [(1, false, 3), (1, true, 1), (2, false, 3), (3, true, 4)] {
        for _ in 0..places {
            let mut place = ask(network, known);
            assert!(futures::poll!(&mut place).is_pending());
            waiting.push(place);
        }
        assert!(matches!(ask(network, known).await, Err(Error::HashingBusy)));
    }
    release.send(()).unwrap();
    blocked.await.unwrap().unwrap();
    for place in waiting {
        assert!(place.await.is_ok());
    }
    assert!(pool.0.shared.queue.lock().waiting.is_empty());
}

#[tokio::test]
async fn work_nobody_waits_for_is_skipped() {
    let pool = pool(&CHEAP);
    let (release, released) = mpsc::channel::<()>();
    let first = pool.run(ANY, move |_, _| released.recv());
    let (ran, has_run) = mpsc::channel::<()>();
    let second = pool.run(ANY, move |_, _| ran.send(()));
    let (mut first, mut second) = (Box::pin(first), Box::pin(second));
    assert!(futures::poll!(&mut first).is_pending());
    assert!(futures::poll!(&mut second).is_pending());
    drop(second);
    release.send(()).unwrap();
    first.await.unwrap().unwrap();
    assert!(pool.hash(ANY, password("third")).await.is_ok());
    assert!(has_run.try_recv().is_err());
}

#[tokio::test]
async fn a_panic_costs_its_own_caller_only() {
    let pool = pool(&CHEAP);
    let outcome = pool.run(ANY, |_, _| panic!("as a test")).await;
    assert!(matches!(outcome, Err(Error::HashingStopped)));
    assert!(pool.hash(ANY, password("next")).await.is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_password_verifies_against_its_own_hash(text in "\\PC{1,64}", other in "\\PC{1,64}") {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let pool = pool(&CHEAP);
            let hash = pool.hash(ANY, password(&text)).await.unwrap();
            let same = password(&text).as_str() == password(&other).as_str();
            let own = pool.verify(ANY, password(&text), Some(hash.clone())).await.unwrap();
            let others = pool.verify(ANY, password(&other), Some(hash)).await.unwrap();
            assert!(own != Verdict::Wrong);
            assert_eq!(others != Verdict::Wrong, same);
        });
    }
}
