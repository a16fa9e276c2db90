//! Signing keys: staged rotation refuses no valid token.

use std::{collections::BTreeSet, time::Duration};

use countersign_auth::admin;
use countersign_contracts::{
    auth::v1::{GetVerificationKeysRequest, KeyState, VerificationKey},
    events::v1::SigningKeyChanged,
};
use countersign_tokens::{Binding, KeyRing, VerificationKey as RingKey, verify};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::stage::{PASSWORD, Set, Stage, config, settings};

const EMAIL: &str = "ada@example.org";
const POLL: Duration = Duration::from_secs(60);
const ANNOUNCE: Duration = Duration::from_secs(600);
const ROTATION: Duration = Duration::from_secs(7_200);

impl Stage {
    async fn keys(&self) -> Vec<VerificationKey> {
        let answer = self.auth().get_verification_keys(GetVerificationKeysRequest {}).await;
        answer.unwrap().into_inner().keys
    }

    async fn states(&self) -> Vec<KeyState> {
        self.keys().await.iter().map(VerificationKey::state).collect()
    }
}

async fn stage() -> Stage {
    let mut config = config();
    config.signing_keys.poll_interval = POLL;
    config.signing_keys.announce_period = ANNOUNCE;
    config.signing_keys.rotation_period = ROTATION;
    let stage = Set::new(config).await.start().await.unwrap();
    stage.person(EMAIL).await;
    stage
}

/// The key that signed a token, by the keys of a verifier.
fn verified(token: &str, keys: &[VerificationKey]) -> Option<String> {
    let ring = KeyRing::default();
    ring.replace(keys.iter().map(|key| RingKey::from_paserk(&key.paserk).unwrap()).collect());
    let binding = Binding { environment: settings().environment };
    verify(token, &ring, &binding).ok().map(|verified| verified.key_id.to_string())
}

#[tokio::test]
async fn a_key_is_announced_signs_retires_and_goes() {
    let stage = stage().await;
    assert_eq!(stage.states().await, [KeyState::Signing]);
    let operator = &stage.set;
    let keeper = operator.keeper().await;
    let rotate = || keeper.rotate_signing_keys(&operator.config);
    let announced = rotate().await.unwrap();
    assert!(announced.is_new);
    assert!(!rotate().await.unwrap().is_new);
    assert_eq!(stage.states().await, [KeyState::Signing], "not before the next step");

    stage.service.rotation.step().await.unwrap();
    assert_eq!(stage.states().await, [KeyState::Signing, KeyState::Announced]);
    stage.advance(ANNOUNCE + 2 * POLL);
    assert_eq!(stage.states().await, [KeyState::Retiring, KeyState::Signing]);
    let login = stage.login(EMAIL, PASSWORD).await.unwrap();
    let signed_by = verified(&login.access_token, &stage.keys().await).unwrap();
    assert_eq!(signed_by, announced.key.key_id);

    // The longest life of an access token, and a minute for clocks that differ.
    stage.advance(Duration::from_secs(3_660));
    stage.service.rotation.step().await.unwrap();
    assert_eq!(stage.states().await, [KeyState::Signing]);
    assert_eq!(stage.set.events::<SigningKeyChanged>().await, 3);
    assert_eq!(admin::list_keys(&stage.set.db).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_successor_is_made_in_time_by_itself() {
    let stage = stage().await;
    stage.advance(ROTATION - ANNOUNCE - 2 * POLL);
    stage.service.rotation.step().await.unwrap();
    stage.service.rotation.step().await.unwrap();
    assert_eq!(stage.states().await, [KeyState::Signing, KeyState::Announced]);
    stage.advance(ANNOUNCE + 2 * POLL);
    assert_eq!(stage.states().await, [KeyState::Retiring, KeyState::Signing]);
}

#[tokio::test]
async fn the_fastest_rotation_that_is_allowed_keeps_a_handful_of_keys() {
    let mut config = config();
    config.signing_keys.poll_interval = POLL;
    config.signing_keys.announce_period = 3 * ANNOUNCE;
    config.signing_keys.rotation_period = 2 * (3 * ANNOUNCE + 2 * POLL);
    let stage = Set::new(config).await.start().await.unwrap();
    for _ in 0..500 {
        stage.advance(POLL);
        stage.service.rotation.step().await.unwrap();
        let states = stage.states().await;
        let of = |wanted| states.iter().filter(|state| **state == wanted).count();
        assert_eq!(of(KeyState::Signing), 1, "{states:?}");
        assert!(of(KeyState::Announced) <= 1 && states.len() <= 4, "{states:?}");
    }
}

#[tokio::test]
async fn a_rotation_faster_than_keys_are_announced_is_refused() {
    let mut config = config();
    config.signing_keys.poll_interval = POLL;
    config.signing_keys.announce_period = 6 * ANNOUNCE;
    config.signing_keys.rotation_period = 12 * ANNOUNCE + 3 * POLL;
    let refused = Set::new(config.clone()).await.start().await.err().unwrap().to_string();
    assert!(refused.contains("signing_keys.rotation_period"), "{refused}");
    config.signing_keys.rotation_period += POLL;
    assert!(config.validate().is_ok());
}

#[tokio::test]
async fn a_secret_is_nowhere_in_the_open() {
    let stage = stage().await;
    let opens = "SELECT COUNT(*) FROM signing_keys WHERE LENGTH(secret) <= 64";
    assert_eq!(stage.set.number(opens).await, 0);
}

/// What may happen over the life of several keys.
#[derive(Clone, Debug)]
enum Step {
    /// The server runs for so many poll intervals.
    Run(u32),
    /// Nobody runs it for so many minutes.
    Down(u64),
    /// An operator asks for a new key.
    Rotate,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..40_u32).prop_map(Step::Run),
        1 => (1..300_u64).prop_map(Step::Down),
        2 => Just(Step::Rotate),
    ]
}

struct Seen {
    at: Duration,
    keys: BTreeSet<String>,
    signed_by: String,
}

async fn play(stage: &Stage, steps: Vec<Step>) -> Vec<Seen> {
    let (mut seen, mut now) = (Vec::new(), Duration::ZERO);
    for step in steps {
        match step {
            Step::Run(polls) => {
                for _ in 0..polls {
                    let keys = stage.keys().await;
                    let login = stage.login(EMAIL, PASSWORD).await.unwrap();
                    let signed_by = verified(&login.access_token, &keys).unwrap();
                    let keys = keys.into_iter().map(|key| key.key_id).collect();
                    seen.push(Seen { at: now, keys, signed_by });
                    stage.advance(POLL);
                    now += POLL;
                    stage.service.rotation.step().await.unwrap();
                }
            }
            Step::Down(minutes) => {
                stage.advance(Duration::from_secs(60 * minutes));
                now += Duration::from_secs(60 * minutes);
                stage.service.rotation.step().await.unwrap();
            }
            Step::Rotate => {
                let set = &stage.set;
                set.keeper().await.rotate_signing_keys(&set.config).await.unwrap();
            }
        }
    }
    seen
}

#[test]
fn a_token_verifies_all_its_life_with_any_list_that_is_fresh_enough() {
    let runtime = Runtime::new().unwrap();
    let config =
        ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() };
    let steps = prop::collection::vec(step(), 1..12);
    let result = proptest::test_runner::TestRunner::new(config).run(&steps, |steps| {
        let (seen, life) = runtime.block_on(async {
            let stage = stage().await;
            let seen = play(&stage, steps).await;
            (seen, stage.set.config.session.access_token_lifetime)
        });
        for token in &seen {
            let usable =
                |list: &&Seen| list.at + ANNOUNCE >= token.at && list.at <= token.at + life;
            for list in seen.iter().filter(usable) {
                prop_assert!(
                    list.keys.contains(&token.signed_by),
                    "signed at {:?}, list of {:?}",
                    token.at,
                    list.at
                );
            }
        }
        Ok(())
    });
    result.unwrap();
}
