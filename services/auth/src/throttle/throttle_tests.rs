//! The throttle under guessers, victims and bystanders, with a clock turned by hand.

use std::time::Duration;

use countersign_types::{ClockHand, Timestamp, UserId};

use super::*;

#[path = "machine_tests.rs"]
mod machine;

const HERE: &str = "192.0.2.1";
const ELSEWHERE: &str = "198.51.100.7";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct Scene {
    throttle: Throttle,
    hand: ClockHand,
    config: Config,
}

/// A machine that hashes 80 passwords a second.
fn config() -> Config {
    let mut config = Config::default();
    config.throttle.overall_per_second = 80;
    config
}

fn scene() -> Scene {
    Scene::of(config())
}

fn email(name: &str) -> Email {
    Email::parse(&format!("{name}@example.org")).unwrap()
}

fn network(address: &str) -> Network {
    Some(address.parse().unwrap()).into()
}

fn device() -> Device {
    Device::new(UserId::generate())
}

impl Scene {
    fn of(config: Config) -> Self {
        let (clock, hand) = Clock::manual(Timestamp::from_seconds(1_000_000));
        Self { throttle: Throttle::new(&config, clock), hand, config }
    }

    fn ask(
        &self,
        name: &str,
        from: &str,
        device: Option<&Device>,
    ) -> Result<Attempt<'_>, Duration> {
        self.throttle.admit(&email(name), network(from), device).map_err(wait)
    }

    fn admit(&self, name: &str, from: &str) -> Result<Attempt<'_>, Duration> {
        self.ask(name, from, None)
    }

    fn fail(&self, name: &str, from: &str) -> Result<(), Duration> {
        self.admit(name, from).map(drop)
    }

    fn register(&self, from: &str) -> Result<(), Duration> {
        self.throttle.admit_registration(network(from)).map_err(wait)
    }

    /// Fails so often, waiting as told; the waits.
    fn insist(&self, name: &str, from: &str, times: usize) -> Vec<Duration> {
        let mut waits = Vec::new();
        for _ in 0..times {
            if let Err(wait) = self.fail(name, from) {
                waits.push(wait);
                self.hand.advance(wait);
                self.fail(name, from).unwrap();
            }
        }
        waits
    }

    /// Attempts to guess, from everywhere, as fast as they are admitted.
    fn crowd(&self, name: &str, attempts: u32) {
        for guesser in 0..attempts {
            let from = format!("10.0.{}.{}", guesser / 250, guesser % 250);
            let _ = self.fail(name, &from);
            self.hand.advance(Duration::from_millis(100));
        }
    }
}

fn wait(error: Error) -> Duration {
    match error {
        Error::Throttled { retry_after } => retry_after,
        other => panic!("not throttled: {other}"),
    }
}

#[test]
fn a_guesser_waits_longer_and_longer_up_to_the_cap() {
    let scene = scene();
    let waits = scene.insist("ada", HERE, 20);
    let seconds: Vec<_> = waits.iter().map(Duration::as_secs).collect();
    assert_eq!(seconds[..7], [1, 2, 4, 8, 16, 30, 30]);
    assert_eq!(waits.iter().max(), Some(&scene.config.throttle.account_and_network.cap));
}

#[test]
fn a_refused_attempt_makes_no_delay_longer() {
    let scene = scene();
    scene.insist("ada", HERE, 8);
    let first = scene.fail("ada", HERE).unwrap_err();
    for _ in 0..100 {
        assert_eq!(scene.fail("ada", HERE), Err(first));
    }
    scene.hand.advance(first);
    assert!(scene.fail("ada", HERE).is_ok());
}

#[test]
fn guesses_from_one_network_do_not_touch_the_owner_elsewhere() {
    let scene = scene();
    scene.insist("ada", HERE, 12);
    assert!(scene.fail("ada", HERE).is_err());
    assert!(scene.admit("ada", ELSEWHERE).is_ok());
}

#[test]
fn a_crowd_of_guessers_costs_a_new_device_seconds_and_a_known_one_nothing() {
    let (scene, device) = (scene(), device());
    scene.crowd("ada", 400);
    let cap = scene.config.throttle.account.cap;
    assert!(scene.fail("ada", "203.0.113.9").unwrap_err() <= cap);
    scene.ask("ada", "203.0.113.9", Some(&device)).unwrap().succeeded();
    // What the owner did changes nothing that the crowd can see.
    assert!(scene.fail("ada", "203.0.113.9").is_err());
}

#[test]
fn an_owner_behind_the_address_of_the_guesser_is_not_kept_waiting_on_a_known_device() {
    let (scene, device) = (scene(), device());
    scene.insist("ada", HERE, 12);
    while scene.register(HERE).is_ok() {}
    for n in 0..1_000 {
        let _ = scene.fail(&format!("user{n}"), HERE);
    }
    assert!(scene.admit("ada", HERE).is_err());
    for _ in 0..3 {
        scene.ask("ada", HERE, Some(&device)).unwrap().succeeded();
    }
}

#[test]
fn a_known_device_that_guesses_waits_as_well_and_only_it() {
    let (scene, thief) = (scene(), device());
    let owner = Device { id: device().id, ..thief };
    let mut waits = Vec::new();
    for _ in 0..12 {
        if let Err(wait) = scene.ask("ada", HERE, Some(&thief)).map(drop) {
            waits.push(wait.as_secs());
            scene.hand.advance(wait);
            drop(scene.ask("ada", HERE, Some(&thief)).unwrap());
        }
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30]);
    assert!(scene.ask("ada", HERE, Some(&owner)).is_ok());
    assert!(scene.admit("ada", HERE).is_ok());

    scene.hand.advance(Duration::from_secs(30));
    scene.ask("ada", HERE, Some(&thief)).unwrap().succeeded();
    for _ in 0..5 {
        assert!(scene.ask("ada", HERE, Some(&thief)).map(drop).is_ok());
    }
}

#[test]
fn one_network_that_tries_many_accounts_is_slowed_down() {
    let scene = scene();
    let waits: Vec<_> = (0..80).flat_map(|n| scene.insist(&format!("user{n}"), HERE, 1)).collect();
    assert_eq!(waits.iter().max(), Some(&scene.config.throttle.network.cap));
    assert!(scene.admit("user0", ELSEWHERE).is_ok());
}

#[test]
fn right_passwords_take_what_a_network_and_everybody_may_hash_as_well() {
    let scene = scene();
    let hash = |n: u32, from: &str| {
        if n.is_multiple_of(2) {
            return scene.register(from);
        }
        scene.admit(&format!("user{}", n / 64), from).map(Attempt::succeeded)
    };
    let network = (0..1_000).filter(|n| hash(*n, HERE).is_ok()).count();
    assert_eq!(network, 2 * 80 / 4);
    let everybody =
        (0..3_000_u32).filter(|n| hash(*n, &format!("10.0.{}.{}", n % 7, n % 97)).is_ok()).count();
    assert_eq!(network + everybody, 2 * 80);
    assert!(hash(1, "203.0.113.9").unwrap_err() < Duration::from_millis(20));
}

#[test]
fn one_account_hashes_only_so_often_with_right_passwords() {
    let (scene, device) = (scene(), device());
    let login = |device: Option<&Device>, n: u32| {
        scene.hand.advance(Duration::from_millis(1));
        scene.ask("ada", &format!("10.0.0.{}", n % 250), device).map(Attempt::succeeded)
    };
    for device in [None, Some(&device)] {
        let admitted = (0..1_000).filter(|n| login(device, *n).is_ok()).count();
        assert_eq!(admitted, 90);
        assert!(login(device, 0).unwrap_err() <= Duration::from_secs(2));
        scene.hand.advance(Duration::from_secs(180));
    }
}

#[test]
fn a_refused_attempt_counts_nowhere_and_displaces_nobody() {
    let mut config = config();
    config.throttle.capacity = 1_000;
    config.throttle.overall_per_second = 10;
    config.throttle.network_per_second = 10;
    let scene = Scene::of(config);
    for failure in 0..6 {
        scene.hand.advance(Duration::from_secs(failure));
        scene.fail("ada", HERE).unwrap();
    }
    let due = scene.fail("ada", HERE).unwrap_err();
    for n in 0..20 {
        let _ = scene.fail(&format!("user{n}"), &format!("10.0.0.{n}"));
    }
    for n in 0..5_000 {
        let from = format!("10.{}.{}.1", n / 250, n % 250);
        scene.fail(&format!("nobody{n}"), &from).unwrap_err();
    }
    assert_eq!(scene.fail("ada", HERE), Err(due));
}

#[test]
fn who_has_to_wait_is_not_forgotten_however_many_others_come() {
    let mut config = config();
    config.throttle.capacity = 1_000;
    config.throttle.overall_per_second = 100_000;
    let scene = Scene::of(config);
    scene.insist("ada", HERE, 12);
    for n in 0..20_000 {
        let from = format!("10.{}.{}.1", n / 250, n % 250);
        let _ = scene.fail(&format!("user{n}"), &from);
        scene.hand.advance(Duration::from_millis(1));
    }
    assert_eq!(scene.fail("ada", HERE), Err(Duration::from_secs(10)));
}

#[test]
fn an_attempt_that_taught_nothing_is_no_failure() {
    let scene = scene();
    for _ in 0..1_000 {
        scene.hand.advance(Duration::from_secs(2));
        scene.admit("ada", HERE).unwrap().void();
    }
    let free = scene.config.throttle.account_and_network.free;
    (0..free).for_each(|_| scene.fail("ada", HERE).unwrap());
}

#[test]
fn guesses_at_the_same_time_are_as_many_as_guesses_without_delay() {
    let scene = scene();
    scene.fail("ada", HERE).unwrap();
    let held: Vec<_> = (0..1_000).map_while(|_| scene.admit("ada", HERE).ok()).collect();
    assert_eq!(held.len(), 4);
    let from = |n: u32| format!("10.0.0.{n}");
    let others: Vec<_> = (0..200).map_while(|n| scene.admit("ada", &from(n)).ok()).collect();
    assert_eq!(held.len() + others.len(), 19);
    drop((held, others));
    assert!(scene.fail("ada", HERE).is_ok());
    assert!(scene.fail("ada", HERE).is_err());
}

#[test]
fn once_delays_are_due_one_attempt_is_looked_at_a_time() {
    let scene = scene();
    scene.insist("ada", HERE, 10);
    let wait = scene.fail("ada", HERE).unwrap_err();
    scene.hand.advance(wait);
    let first = scene.admit("ada", HERE).unwrap();
    assert!(scene.admit("ada", HERE).is_err());
    drop(first);
}

#[test]
fn registrations_of_one_network_have_a_rate() {
    let scene = scene();
    let mut admitted = 0;
    for _ in 0..1_000 {
        scene.hand.advance(Duration::from_millis(50));
        admitted += u32::from(scene.register(HERE).is_ok());
    }
    assert_eq!(admitted, 180 + 49);
}

#[test]
fn a_clock_that_is_set_back_makes_nobody_wait_longer_than_a_rule_says() {
    let (scene, device) = (scene(), device());
    scene.insist("ada", HERE, 12);
    (0..8).for_each(|_| drop(scene.ask("ada", HERE, Some(&device))));
    while scene.register(HERE).is_ok() {}
    scene.hand.turn_back(DAY);
    let most = scene.config.throttle.account_and_network.cap;
    let wait = scene.fail("ada", HERE).unwrap_err();
    assert!(wait <= most, "{wait:?}");
    assert!(scene.register(HERE).unwrap_err() <= Duration::from_secs(1));
    let device_wait = scene.ask("ada", HERE, Some(&device)).map(drop).unwrap_err();
    // Its own failures' delay, and the interval of a rate that counts as used up.
    assert!(device_wait <= Duration::from_secs(2), "{device_wait:?}");
    scene.hand.advance(wait);
    assert!(scene.fail("ada", HERE).is_ok());
    assert!(scene.ask("ada", HERE, Some(&device)).is_ok());
}
