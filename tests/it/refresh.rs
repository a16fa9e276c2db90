//! Rotation of refresh tokens: whatever is repeated, in whatever order, one
//! chain of tokens stays alive or none.

use std::{collections::BTreeSet, time::Duration};

use countersign_tests::{TestApp, Topology, on_every_topology, refusal};
use futures::future::join_all;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tonic::Code;

/// The time in which a lost answer can be asked for again.
const GRACE: u64 = 10;

async fn sixty_four_parallel_refreshes_give_one_successor(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let calls = (0..64).map(|_| {
        let clients = app.clients();
        let token = ada.refresh_token.clone();
        async move { clients.refresh(&token).await }
    });
    let answers = join_all(calls).await;
    let tokens: BTreeSet<_> = answers
        .into_iter()
        .map(|answer| answer.expect("within the window").refresh_token)
        .collect();
    assert_eq!(tokens.len(), 1, "the chain was not forked");
    let successor = tokens.first().unwrap();
    assert_ne!(successor, &ada.refresh_token);
    app.clients().refresh(successor).await.unwrap();
    assert!(app.ledger().await.events("RefreshReuseDetected").await.is_empty());
}

async fn a_lost_answer_can_be_asked_for_until_the_successor_is_used(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let first = app.clients().refresh(&ada.refresh_token).await.unwrap();
    app.clock().advance(Duration::from_secs(GRACE - 1));
    let again = app.clients().refresh(&ada.refresh_token).await.unwrap();
    assert_eq!(first.refresh_token, again.refresh_token);
    app.clients().refresh(&first.refresh_token).await.unwrap();

    let reused = refusal(app.clients().refresh(&ada.refresh_token).await);
    reused.is(Code::Unauthenticated, "REFRESH_REUSED");
    app.shut_out(&ada.clients).await;
    let ledger = app.ledger().await;
    assert_eq!(ledger.events("RefreshReuseDetected").await.len(), 1);
    assert_eq!(ledger.events("SessionRevoked").await.len(), 1);
}

async fn after_the_window_the_predecessor_is_reuse(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let next = app.clients().refresh(&ada.refresh_token).await.unwrap();
    app.clock().advance(Duration::from_secs(GRACE + 1));
    let reused = refusal(app.clients().refresh(&ada.refresh_token).await);
    reused.is(Code::Unauthenticated, "REFRESH_REUSED");
    let victim = refusal(app.clients().refresh(&next.refresh_token).await);
    assert_eq!(victim.code, Code::Unauthenticated, "thief and owner alike");
}

async fn an_idle_session_ends(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    app.clock().advance(Duration::from_secs(13 * 24 * 60 * 60));
    let ada = ada.refreshed().await.unwrap();
    app.clock().advance(Duration::from_secs(15 * 24 * 60 * 60));
    let ended = refusal(ada.refreshed().await);
    assert_eq!(ended.code, Code::Unauthenticated);
}

/// How long several processes are gone at a restart, in seconds.
const RESTART: u64 = 60;

/// What a client, or a thief, does next.
#[derive(Clone, Debug)]
enum Step {
    /// Presents one of the tokens ever seen, counted from the latest.
    Present(usize),
    /// Presents one of them many times at once.
    Race(usize, usize),
    /// Waits for so many seconds.
    Wait(u64),
    /// The server dies and starts again.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Present(0)),
        4 => (0..4_usize).prop_map(Step::Present),
        2 => (0..2_usize, 2..8_usize).prop_map(|(back, times)| Step::Race(back, times)),
        3 => (1..2 * GRACE).prop_map(Step::Wait),
        1 => Just(Step::Restart),
    ];
    vec(step, 1..14)
}

/// The chain as the design tells it.
struct Model {
    tokens: Vec<String>,
    /// Seconds since the current token was issued.
    age: u64,
    live: bool,
}

impl Model {
    /// What presenting a token comes to: its successor if there is one already,
    /// a new token, or the end.
    fn expects(&self, at: usize) -> Expected {
        let latest = self.tokens.len() - 1;
        if !self.live {
            Expected::Refused
        } else if at == latest {
            Expected::New
        } else if at + 1 == latest && self.age <= GRACE {
            Expected::Same(self.tokens[latest].clone())
        } else {
            Expected::Refused
        }
    }

    fn check(&mut self, at: usize, answer: Result<String, Code>) {
        match (self.expects(at), answer) {
            (Expected::New, Ok(token)) => {
                assert!(!self.tokens.contains(&token), "a new token is a new one");
                self.tokens.push(token);
                self.age = 0;
            }
            (Expected::Same(expected), Ok(token)) => assert_eq!(token, expected),
            (Expected::Refused, Err(Code::Unauthenticated)) => self.live = false,
            (expected, answer) => {
                panic!("token {at} of {}: expected {expected:?}, got {answer:?}", self.tokens.len())
            }
        }
    }
}

#[derive(Debug)]
enum Expected {
    New,
    Same(String),
    Refused,
}

async fn present(app: &TestApp, token: &str) -> Result<String, Code> {
    let answer = app.clients().refresh(token).await;
    answer.map(|response| response.refresh_token).map_err(|status| status.code())
}

async fn play(app: &mut Option<TestApp>, topology: Topology, steps: Vec<Step>) {
    let email = "ada@example.org";
    let start = app.as_ref().expect("it runs").clients().login(email).await.unwrap();
    let mut model = Model { tokens: vec![start.refresh_token], age: 0, live: true };
    for step in steps {
        let running = app.as_ref().expect("it runs");
        let from_latest = |back: usize| (model.tokens.len() - 1).saturating_sub(back);
        match step {
            Step::Wait(seconds) => {
                running.clock().advance(Duration::from_secs(seconds));
                model.age += seconds;
            }
            Step::Present(back) => {
                let at = from_latest(back);
                let answer = present(running, &model.tokens[at]).await;
                model.check(at, answer);
            }
            Step::Race(back, times) => {
                let at = from_latest(back);
                let token = model.tokens[at].clone();
                let answers = join_all((0..times).map(|_| present(running, &token))).await;
                // All of them came to the same; one after the other it is what the model says.
                let first = answers.iter().find(|answer| answer.is_ok()).unwrap_or(&answers[0]);
                assert!(answers.iter().all(|answer| answer == first), "{answers:?}");
                model.check(at, first.clone());
            }
            Step::Restart => {
                *app = Some(app.take().expect("it runs").crash_and_restart().await);
                if topology != Topology::Embedded {
                    model.age += RESTART;
                }
            }
        }
    }
    let running = app.as_ref().expect("it runs");
    let mut live = 0;
    // The oldest first would be reuse: ask the latest, which alone may be live.
    let latest = model.tokens.last().expect("at least one").clone();
    live += usize::from(present(running, &latest).await.is_ok());
    assert_eq!(live, usize::from(model.live), "exactly one live successor, or none");
}

fn arbitrary_replays_keep_one_live_successor_or_none(topology: Topology, cases: u32) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let app = runtime.block_on(async {
        let app = TestApp::on(topology).await;
        app.active("ada").await;
        app
    });
    let app = std::sync::Mutex::new(Some(app));
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&steps(), |steps| {
        let mut app = app.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        runtime.block_on(play(&mut app, topology, steps));
        Ok(())
    });
    let app = app.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    runtime.block_on(async { drop(app) });
    result.unwrap();
}

#[test]
fn arbitrary_replays_keep_one_live_successor_or_none_embedded() {
    arbitrary_replays_keep_one_live_successor_or_none(Topology::Embedded, 24);
}

#[test]
fn arbitrary_replays_keep_one_live_successor_or_none_split_on_sqlite() {
    arbitrary_replays_keep_one_live_successor_or_none(Topology::SplitSqlite, 12);
}

#[test]
fn arbitrary_replays_keep_one_live_successor_or_none_split_on_postgres() {
    arbitrary_replays_keep_one_live_successor_or_none(Topology::SplitPostgres, 12);
}

on_every_topology![
    sixty_four_parallel_refreshes_give_one_successor,
    a_lost_answer_can_be_asked_for_until_the_successor_is_used,
    after_the_window_the_predecessor_is_reuse,
    an_idle_session_ends,
];
