//! Two replicas on one database whose clocks lie half a minute apart, as where
//! there is no server to tell them the time.

use std::{collections::VecDeque, time::Duration};

use countersign_contracts::auth::v1::{GetVerificationKeysRequest, VerificationKey};
use countersign_tokens::{Binding, Expect, KeyRing, VerificationKey as RingKey, verify};
use countersign_types::Clock;

use crate::stage::{PASSWORD, Set, Stage, config, settings};

const EMAIL: &str = "ada@example.org";
const APART: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_secs(60);
/// Long enough for a key to be announced, to sign, and for its predecessor to go.
const POLLS: usize = 150;
/// A token that was made so many polls ago is still good, by either clock.
const ALIVE: usize = 4;

/// A replica, and another one on its database that is ahead.
async fn replicas() -> [Stage; 2] {
    let mut config = config();
    config.signing_keys.poll_interval = POLL;
    config.signing_keys.announce_period = 10 * POLL;
    config.signing_keys.rotation_period = 120 * POLL;
    let first = Set::new(config.clone()).await.start().await.unwrap();
    let other = Set::new(config).await;
    let (clock, hand) = Clock::manual(first.set.clock.now().plus(APART));
    let (db, master) = (first.set.db.clone(), first.set.master.clone());
    let second = Set { clock, hand, db, master, ..other }.start().await.unwrap();
    first.person(EMAIL).await;
    [first, second]
}

async fn keys(stage: &Stage) -> Vec<VerificationKey> {
    let answer = stage.auth().get_verification_keys(GetVerificationKeysRequest {}).await;
    answer.unwrap().into_inner().keys
}

/// Whether a guard with these keys and this clock takes the token.
fn is_taken(token: &str, keys: &[VerificationKey], clock: &Clock) -> bool {
    let ring = KeyRing::default();
    ring.replace(keys.iter().map(|key| RingKey::from_paserk(&key.paserk).unwrap()).collect());
    let settings = settings();
    let binding = Binding { environment: settings.environment };
    let expect =
        Expect { issuer: settings.issuer, audience: settings.audience, leeway: settings.leeway };
    let verified = verify(token, &ring, &binding);
    verified.is_ok_and(|verified| expect.check(&verified.claims, clock.now()).is_ok())
}

#[tokio::test]
async fn a_token_of_one_is_good_at_the_other_through_a_whole_rotation() {
    let replicas = replicas().await;
    let mut sessions = Vec::new();
    for replica in &replicas {
        sessions.push(replica.login(EMAIL, PASSWORD).await.unwrap().refresh_token);
    }
    let (mut alive, mut seen) = (VecDeque::new(), 0);
    for poll in 0..POLLS {
        for (replica, refresh) in replicas.iter().zip(&mut sessions) {
            let next = replica.refresh(refresh).await.unwrap();
            *refresh = next.refresh_token;
            alive.push_back((poll, next.access_token));
        }
        alive.retain(|(made, _)| made + ALIVE >= poll);
        for replica in &replicas {
            let keys = keys(replica).await;
            seen = seen.max(keys.len());
            for (made, token) in &alive {
                let taken = is_taken(token, &keys, &replica.set.clock);
                assert!(taken, "made at poll {made}, refused at poll {poll}");
            }
        }
        for replica in &replicas {
            replica.advance(POLL);
            replica.service.rotation.step().await.unwrap();
        }
    }
    assert!(seen >= 2, "the keys were rotated meanwhile");
    let made = replicas[0].set.number("SELECT COUNT(*) FROM signing_keys").await;
    assert!(made <= 3, "one of them makes a key, not both: {made}");
}

#[tokio::test]
async fn a_session_that_one_started_goes_on_and_ends_at_the_other() {
    let [first, second] = replicas().await;
    for (here, there) in [(&first, &second), (&second, &first)] {
        let login = here.login(EMAIL, PASSWORD).await.unwrap();
        let next = there.refresh(&login.refresh_token).await.unwrap();
        let last = here.refresh(&next.refresh_token).await.unwrap();
        assert_ne!(last.refresh_token, next.refresh_token);
        let reused = there.refresh(&login.refresh_token).await.unwrap_err();
        assert_eq!(crate::stage::reason(&reused), "REFRESH_REUSED");
        assert!(here.refresh(&last.refresh_token).await.is_err(), "it ended for both");
    }
}
