//! How old the news of revocations may be, for all rules and for some.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use countersign_guard::{Guard, Rule};
use tonic::Code;

use crate::world::{COUNT, GET, POLICIES, PURGE, RULES, SCHEMA, World, refusal, settings};

const MINUTE: Duration = Duration::from_secs(60);

/// A world whose news are as old as is said. `GET` bears ten seconds, `PURGE`
/// ten minutes, and the others what `limit` says.
struct Hearing {
    world: World,
    age: Arc<Mutex<Option<Duration>>>,
}

impl Hearing {
    fn with(limit: Option<Duration>) -> Self {
        let mut world = World::default();
        let age = Arc::new(Mutex::new(None));
        let told = Arc::clone(&age);
        let own = |rule: &Rule| match rule.rpc {
            GET => rule.max_staleness(Duration::from_secs(10)),
            PURGE => rule.max_staleness(Duration::from_secs(600)),
            _ => *rule,
        };
        let rules: Vec<_> = RULES.iter().map(own).collect();
        let guard = Guard::builder(settings())
            .rules(&rules)
            .policies(SCHEMA, &[("things.cedar", POLICIES)])
            .keys(world.ring.clone())
            .revocations(world.revocations.clone())
            .staleness(move || *told.lock().unwrap(), limit)
            .clock(world.now());
        world.guard = guard.build().unwrap().with_resolver("Thing", world.things.clone());
        Self { world, age }
    }

    /// Whether these are let in while the news are so old: `GET`, `PURGE`, `COUNT`.
    async fn let_in(&self, age: Option<u64>) -> [bool; 3] {
        *self.age.lock().unwrap() = age.map(Duration::from_secs);
        let (owner, staff) = (self.world.token(), self.world.token_of_role(&["admin", "auditor"]));
        let mut let_in = [true; 3];
        let calls = [(GET, &owner), (PURGE, &staff), (COUNT, &staff)];
        for ((rpc, token), let_in) in calls.into_iter().zip(&mut let_in) {
            let answer = self.world.call(rpc, token, "lamp").await;
            *let_in = answer.is_ok();
            if !*let_in {
                let expected = (Code::Unavailable, "GUARD_NOT_READY".to_owned());
                assert_eq!(refusal(&answer), expected, "{rpc}");
            }
        }
        let_in
    }
}

#[tokio::test]
async fn a_rule_is_stricter_or_more_lenient_than_the_setting() {
    let hearing = Hearing::with(Some(MINUTE));
    assert_eq!(hearing.let_in(None).await, [false, false, false], "before the first");
    assert_eq!(hearing.let_in(Some(10)).await, [true, true, true]);
    assert_eq!(hearing.let_in(Some(11)).await, [false, true, true]);
    assert_eq!(hearing.let_in(Some(61)).await, [false, true, false]);
    assert!(!hearing.world.guard.is_ready());
    assert_eq!(hearing.let_in(Some(601)).await, [false, false, false]);
    assert_eq!(hearing.let_in(Some(0)).await, [true, true, true], "and it hears again");
    assert!(hearing.world.guard.is_ready());
}

#[tokio::test]
async fn without_a_setting_rules_have_their_own_limits() {
    let hearing = Hearing::with(None);
    assert_eq!(hearing.let_in(None).await, [false, false, true]);
    assert_eq!(hearing.let_in(Some(86_400)).await, [false, false, true]);
    assert!(hearing.world.guard.is_ready());
}
