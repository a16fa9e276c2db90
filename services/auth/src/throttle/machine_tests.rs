//! What holds after any sequence of steps.

use std::time::Duration;

use proptest::prelude::*;

use super::{device, scene};

/// What anybody may do to the throttle.
#[derive(Clone, Debug)]
enum Step {
    Log { account: u8, network: u8, device: bool, how: How },
    Register { network: u8 },
    Wait(Duration),
    TurnBack(Duration),
}

#[derive(Clone, Copy, Debug)]
enum How {
    Fail,
    Succeed,
    Void,
}

fn step() -> impl Strategy<Value = Step> {
    let how = prop_oneof![8 => Just(How::Fail), 1 => Just(How::Succeed), 1 => Just(How::Void)];
    let log = (0..3_u8, 0..3_u8, any::<bool>(), how)
        .prop_map(|(account, network, device, how)| Step::Log { account, network, device, how });
    prop_oneof![
        10 => log,
        1 => (0..3_u8).prop_map(|network| Step::Register { network }),
        3 => (0..60_000_u64).prop_map(|millis| Step::Wait(Duration::from_millis(millis))),
        1 => (0..600_u64).prop_map(|seconds| Step::TurnBack(Duration::from_secs(seconds))),
    ]
}

proptest! {
    #[test]
    fn whatever_happened_every_wait_ends_when_it_was_said_to(
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let scene = scene();
        let cap = scene.config.throttle.account_and_network.cap;
        let devices = [device(), device(), device()];
        for step in steps {
            let (account, network, device, how) = match step {
                Step::Log { account, network, device, how } => (account, network, device, how),
                Step::Register { network } => {
                    let _ = scene.register(&format!("192.0.2.{network}"));
                    continue;
                }
                Step::Wait(span) => {
                    scene.hand.advance(span);
                    continue;
                }
                Step::TurnBack(span) => {
                    scene.hand.turn_back(span);
                    continue;
                }
            };
            let (name, from) = (format!("user{account}"), format!("192.0.2.{network}"));
            let device = device.then(|| &devices[usize::from(account)]);
            let attempt = match scene.ask(&name, &from, device) {
                Ok(attempt) => attempt,
                Err(wait) => {
                    prop_assert!(!wait.is_zero() && wait <= cap, "{:?}", wait);
                    scene.hand.advance(wait);
                    scene.ask(&name, &from, device).unwrap()
                }
            };
            match how {
                How::Fail => drop(attempt),
                How::Succeed => attempt.succeeded(),
                How::Void => attempt.void(),
            }
        }
    }

    #[test]
    fn nothing_that_strangers_do_keeps_a_known_device_waiting(
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let (scene, device) = (scene(), device());
        for step in steps {
            match step {
                Step::Log { account, network, how, .. } => {
                    let (name, from) = (format!("user{account}"), format!("192.0.2.{network}"));
                    match (scene.admit(&name, &from), how) {
                        (Ok(attempt), How::Succeed) => attempt.succeeded(),
                        (Ok(attempt), How::Void) => attempt.void(),
                        _ => (),
                    }
                }
                Step::Register { network } => {
                    let _ = scene.register(&format!("192.0.2.{network}"));
                }
                Step::Wait(span) => scene.hand.advance(span),
                Step::TurnBack(span) => scene.hand.turn_back(span),
            }
        }
        scene.ask("user0", "192.0.2.0", Some(&device)).unwrap().succeeded();
    }
}
