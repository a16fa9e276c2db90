//! The throttle under guessers, victims and bystanders, with a clock turned by hand.

use countersign_types::ClockHand;
use proptest::prelude::*;

use super::*;

const HERE: &str = "192.0.2.1";

struct Scene {
    throttle: Throttle,
    hand: ClockHand,
}

fn scene() -> Scene {
    let (clock, hand) = Clock::manual(Timestamp::from_seconds(1_000_000));
    Scene { throttle: Throttle::new(&ThrottleConfig::default(), clock), hand }
}

fn email(name: &str) -> Email {
    Email::parse(&format!("{name}@example.org")).unwrap()
}

impl Scene {
    fn admit(&self, name: &str, from: &str) -> Result<Attempt<'_>, Refusal> {
        self.throttle.admit(&email(name), Some(from.parse().unwrap()))
    }

    fn fail(&self, name: &str, from: &str) -> Result<(), Refusal> {
        self.admit(name, from).map(drop)
    }

    /// Fails as often as the throttle lets it, waiting as told; the waits.
    fn insist(&self, name: &str, from: &str, times: usize) -> Vec<Duration> {
        let mut waits = Vec::new();
        for _ in 0..times {
            if let Err(refusal) = self.fail(name, from) {
                waits.push(refusal.retry_after);
                self.hand.advance(refusal.retry_after);
                self.fail(name, from).unwrap();
            }
        }
        waits
    }
}

#[test]
fn a_guesser_waits_longer_and_longer_up_to_the_cap() {
    let scene = scene();
    let waits = scene.insist("ada", HERE, 20);
    let seconds: Vec<_> = waits.iter().map(Duration::as_secs).collect();
    assert_eq!(seconds[..9], [1, 2, 4, 8, 16, 32, 64, 128, 256]);
    let cap = ThrottleConfig::default().account_and_network.cap;
    assert_eq!(waits.iter().max(), Some(&cap));
}

#[test]
fn a_refused_attempt_makes_no_delay_longer() {
    let scene = scene();
    scene.insist("ada", HERE, 8);
    let first = scene.fail("ada", HERE).unwrap_err();
    for _ in 0..100 {
        assert_eq!(scene.fail("ada", HERE), Err(first));
    }
    scene.hand.advance(first.retry_after);
    assert!(scene.fail("ada", HERE).is_ok());
}

#[test]
fn guesses_from_one_network_do_not_touch_the_owner_elsewhere() {
    let scene = scene();
    scene.insist("ada", HERE, 12);
    assert!(scene.fail("ada", HERE).is_err());
    assert!(scene.admit("ada", "198.51.100.7").is_ok());
}

#[test]
fn a_crowd_of_guessers_costs_a_new_place_seconds_and_a_known_place_nothing() {
    let scene = scene();
    scene.admit("ada", "198.51.100.7").unwrap().succeeded();
    for guesser in 0..200_u32 {
        let from = format!("10.0.{}.{}", guesser / 250, guesser % 250);
        if let Err(refusal) = scene.fail("ada", &from) {
            assert!(refusal.retry_after <= ThrottleConfig::default().account.cap);
            assert!(refusal.unless_known);
            scene.hand.advance(refusal.retry_after);
            scene.fail("ada", &from).unwrap();
        }
    }
    let new_place = scene.fail("ada", "203.0.113.9").unwrap_err();
    assert!(new_place.retry_after <= ThrottleConfig::default().account.cap);
    assert!(scene.admit("ada", "198.51.100.7").is_ok());

    // What the database remembers of an earlier login counts as well.
    scene.throttle.remember(&email("ada"), Some("203.0.113.9".parse().unwrap()));
    assert!(scene.admit("ada", "203.0.113.9").is_ok());
}

#[test]
fn one_network_that_tries_many_accounts_is_slowed_down() {
    let scene = scene();
    let refused = (0..200).find_map(|n| scene.fail(&format!("user{n}"), HERE).err()).unwrap();
    assert!(refused.unless_known);
    assert!(refused.retry_after <= ThrottleConfig::default().network.cap);
    assert!(scene.admit("user0", "198.51.100.7").is_ok());
}

#[test]
fn the_right_password_clears_the_account_from_its_place() {
    let scene = scene();
    scene.insist("ada", HERE, 5);
    scene.admit("ada", HERE).unwrap().succeeded();
    let free = ThrottleConfig::default().account_and_network.free;
    for _ in 0..free {
        assert!(scene.fail("ada", HERE).is_ok());
    }
}

#[test]
fn an_attempt_that_taught_nothing_does_not_count() {
    let scene = scene();
    for _ in 0..1_000 {
        scene.hand.advance(Duration::from_millis(5));
        scene.admit("ada", HERE).unwrap().void();
    }
    assert!(scene.admit("ada", HERE).is_ok());
}

#[test]
fn guesses_at_the_same_time_are_bounded() {
    let scene = scene();
    let held: Vec<_> = (0..1_000).map_while(|_| scene.admit("ada", HERE).ok()).collect();
    assert_eq!(held.len(), 64);
    drop(held);
    assert!(scene.fail("ada", HERE).is_err());
}

#[test]
fn once_delays_are_due_one_attempt_is_looked_at_a_time() {
    let scene = scene();
    scene.insist("ada", HERE, 10);
    let wait = scene.fail("ada", HERE).unwrap_err().retry_after;
    scene.hand.advance(wait);
    let first = scene.admit("ada", HERE).unwrap();
    assert!(scene.admit("ada", HERE).is_err());
    drop(first);
}

#[test]
fn registrations_of_one_network_have_a_rate() {
    let scene = scene();
    let from = Some(HERE.parse().unwrap());
    let admitted = (0..1_000).filter(|_| scene.throttle.admit_registration(from).is_ok()).count();
    assert_eq!(admitted, 180);
    scene.hand.advance(Duration::from_secs(1));
    assert!(scene.throttle.admit_registration(from).is_ok());
    assert!(scene.throttle.admit_registration(from).is_err());
}

/// What anybody may do to the throttle.
#[derive(Clone, Debug)]
enum Step {
    Fail { account: u8, network: u8 },
    Succeed { account: u8, network: u8 },
    Void { account: u8, network: u8 },
    Wait(Duration),
}

fn step() -> impl Strategy<Value = Step> {
    let place = || (0..3_u8, 0..3_u8);
    prop_oneof![
        8 => place().prop_map(|(account, network)| Step::Fail { account, network }),
        1 => place().prop_map(|(account, network)| Step::Succeed { account, network }),
        1 => place().prop_map(|(account, network)| Step::Void { account, network }),
        3 => (0..120_000_u64).prop_map(|millis| Step::Wait(Duration::from_millis(millis))),
    ]
}

proptest! {
    #[test]
    fn whatever_happened_every_wait_ends_when_it_was_said_to(
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let scene = scene();
        let cap = ThrottleConfig::default().account_and_network.cap;
        for step in steps {
            let (account, network) = match step {
                Step::Wait(span) => {
                    scene.hand.advance(span);
                    continue;
                }
                Step::Fail { account, network }
                | Step::Succeed { account, network }
                | Step::Void { account, network } => (account, network),
            };
            let (name, from) = (format!("user{account}"), format!("192.0.2.{network}"));
            let attempt = match scene.admit(&name, &from) {
                Ok(attempt) => attempt,
                Err(_) => {
                    // Three rules may each ask for a wait; none asks for more than its cap.
                    let mut waited = Duration::ZERO;
                    loop {
                        match scene.admit(&name, &from) {
                            Ok(attempt) => break attempt,
                            Err(refusal) => {
                                prop_assert!(!refusal.retry_after.is_zero());
                                waited += refusal.retry_after;
                                prop_assert!(waited <= 3 * cap);
                                scene.hand.advance(refusal.retry_after);
                            }
                        }
                    }
                }
            };
            match step {
                Step::Succeed { .. } => attempt.succeeded(),
                Step::Void { .. } => attempt.void(),
                _ => drop(attempt),
            }
        }
    }
}
