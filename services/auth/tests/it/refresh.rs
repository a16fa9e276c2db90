//! Refresh tokens: one live successor, whatever is presented when and how often.

use std::{collections::BTreeSet, time::Duration};

use countersign_contracts::events::v1::{RefreshReuseDetected, SessionRevoked};
use futures::future::join_all;
use proptest::prelude::*;
use tokio::runtime::Runtime;
use tonic::Code;

use crate::stage::{PASSWORD, Stage, reason};

const EMAIL: &str = "ada@example.org";

async fn logged_in() -> (Stage, String) {
    let stage = Stage::new().await;
    stage.person(EMAIL).await;
    let login = stage.login(EMAIL, PASSWORD).await.unwrap();
    (stage, login.refresh_token)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_parallel_refreshes_leave_one_live_successor() {
    let (stage, first) = logged_in().await;
    let mut token = first.clone();
    for generation in 2..=4 {
        let answers = join_all((0..64).map(|_| stage.refresh(&token))).await;
        let successors: BTreeSet<_> =
            answers.into_iter().map(|answer| answer.unwrap().refresh_token).collect();
        assert_eq!(successors.len(), 1);
        assert_eq!(stage.set.number("SELECT generation FROM sessions").await, generation);
        token = successors.into_iter().next().unwrap();
    }
    assert_eq!(stage.set.events::<SessionRevoked>().await, 0);
    assert!(stage.refresh(&token).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_replays_of_a_stolen_token_revoke_once() {
    let (stage, first) = logged_in().await;
    let second = stage.refresh(&first).await.unwrap().refresh_token;
    let third = stage.refresh(&second).await.unwrap().refresh_token;
    let answers = join_all((0..32).map(|_| stage.refresh(&first))).await;
    for answer in answers {
        let refused = answer.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
        assert!(["REFRESH_REUSED", "SESSION_ENDED"].contains(&reason(&refused).as_str()));
    }
    assert_eq!(stage.set.events::<RefreshReuseDetected>().await, 1);
    assert_eq!(stage.set.events::<SessionRevoked>().await, 1);
    assert_eq!(reason(&stage.refresh(&third).await.unwrap_err()), "SESSION_ENDED");
}

#[tokio::test]
async fn an_ordinary_refresh_writes_no_event() {
    let (stage, first) = logged_in().await;
    let before = stage.set.number("SELECT COUNT(*) FROM outbox").await;
    stage.refresh(&first).await.unwrap();
    assert_eq!(stage.set.number("SELECT COUNT(*) FROM outbox").await, before);
}

#[tokio::test]
async fn what_was_not_issued_here_is_not_valid_and_changes_nothing() {
    let (stage, token) = logged_in().await;
    let access = stage.login(EMAIL, PASSWORD).await.unwrap().access_token;
    let (other, foreign) = logged_in().await;
    drop(other);
    let mut forged = token.clone().into_bytes();
    forged[20] = if forged[20] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    let longer = format!("{token}A");
    for text in ["x", "csr1_", &access, &foreign, &forged, &longer, &token[..token.len() - 1]] {
        let refused = stage.refresh(text).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{text}");
        assert_eq!(reason(&refused), "REFRESH_INVALID", "{text}");
    }
    assert!(stage.refresh(&token).await.is_ok());
}

#[tokio::test]
async fn a_session_ends_when_it_idles_and_in_any_case_at_its_end() {
    let (stage, mut token) = logged_in().await;
    let lives = stage.set.config.session.clone();
    let second = Duration::from_secs(1);

    let idle = stage.login(EMAIL, PASSWORD).await.unwrap().refresh_token;
    let step = lives.idle_lifetime - second;
    let mut age = Duration::ZERO;
    while age + step < lives.absolute_lifetime {
        stage.advance(step);
        age += step;
        token = stage.refresh(&token).await.unwrap().refresh_token;
    }
    assert_eq!(reason(&stage.refresh(&idle).await.unwrap_err()), "SESSION_ENDED");
    stage.advance(lives.absolute_lifetime - age);
    assert_eq!(reason(&stage.refresh(&token).await.unwrap_err()), "SESSION_ENDED");
    assert_eq!(stage.set.events::<RefreshReuseDetected>().await, 0);
}

/// What may happen to the refresh tokens of one session.
#[derive(Clone, Debug)]
enum Step {
    /// One of the tokens so far is presented, counted back from the last.
    Present(usize),
    Wait(Duration),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Present(0)),
        3 => Just(Step::Present(1)),
        1 => (2..6_usize).prop_map(Step::Present),
        3 => (0..15_000_u64).prop_map(|millis| Step::Wait(Duration::from_millis(millis))),
        1 => (1..20_u64).prop_map(|days| Step::Wait(Duration::from_secs(days * 86_400))),
    ]
}

/// What must come of it.
struct Model {
    tokens: Vec<String>,
    now: Duration,
    rotated: Duration,
    expires: Duration,
    revoked: bool,
}

impl Model {
    async fn check(&mut self, stage: &Stage, step: Step) {
        let lives = &stage.set.config.session;
        let back = match step {
            Step::Wait(span) => {
                stage.advance(span);
                self.now += span;
                return;
            }
            Step::Present(back) => back.min(self.tokens.len() - 1),
        };
        let presented = self.tokens[self.tokens.len() - 1 - back].clone();
        let answer = stage.refresh(&presented).await;
        if self.revoked || self.now >= self.expires {
            assert_eq!(reason(&answer.unwrap_err()), "SESSION_ENDED");
        } else if back == 0 {
            self.tokens.push(answer.unwrap().refresh_token);
            self.rotated = self.now;
            self.expires = (self.now + lives.idle_lifetime).min(lives.absolute_lifetime);
        } else if back == 1 && self.now - self.rotated <= lives.grace_window {
            assert_eq!(answer.unwrap().refresh_token, *self.tokens.last().unwrap());
        } else {
            assert_eq!(reason(&answer.unwrap_err()), "REFRESH_REUSED");
            self.revoked = true;
        }
    }
}

#[test]
fn arbitrary_replays_never_fork_the_chain() {
    let runtime = Runtime::new().unwrap();
    let stage = runtime.block_on(async { logged_in().await.0 });
    let config =
        ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    let steps = prop::collection::vec(step(), 1..25);
    let result = proptest::test_runner::TestRunner::new(config).run(&steps, |steps| {
        runtime.block_on(async {
            let login = stage.login(EMAIL, PASSWORD).await.unwrap();
            let mut model = Model {
                tokens: vec![login.refresh_token],
                now: Duration::ZERO,
                rotated: Duration::ZERO,
                expires: stage.set.config.session.idle_lifetime,
                revoked: false,
            };
            for step in steps {
                model.check(&stage, step).await;
            }
            let distinct: BTreeSet<_> = model.tokens.iter().collect();
            assert_eq!(distinct.len(), model.tokens.len());
        });
        Ok(())
    });
    result.unwrap();
}
