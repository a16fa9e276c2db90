//! A permit that is kept with its token is one that would be given again. A guard
//! that remembers has to answer like one that remembers nothing, whatever
//! happens between the calls.

use std::{
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};

use countersign_guard::{
    Attributes, Guard, Resolver, Settings, Value,
    policies::{PolicyFolder, PolicyWatch, Step},
};
use countersign_tokens::Claims;
use countersign_types::{Fault, UserId};
use futures::future::BoxFuture;
use proptest::{prelude::*, sample::select};
use tempfile::TempDir;
use tonic::Code;

use crate::{
    differential::{SERVICE_RPCS, THING_RPCS, policy},
    world::{GET, RECENT, RULES, SCHEMA, World, refusal, settings, signed},
};

/// What happens at two guards alike.
#[derive(Clone, Debug)]
enum Event {
    /// One of two people calls about one of few things.
    Call { rpc: &'static str, owner: bool, id: &'static str },
    /// So many seconds go by.
    Wait(u64),
    /// Things come to be like this.
    Change { owner: bool, size: i64, open: bool, label: &'static str },
    /// Another set of policies comes into force.
    Reload,
}

/// Says of all things the same, which changes.
#[derive(Clone, Default)]
struct Changing(Arc<Mutex<Attributes>>);

/// A guard, and the folder of its policies.
struct Place {
    world: World,
    watch: PolicyWatch,
}

/// The same at a guard that remembers and at one that does not.
struct Pair {
    folder: TempDir,
    things: Changing,
    places: [Place; 2],
    owner: Person,
    /// An administrator.
    other: Person,
}

struct Person {
    id: UserId,
    token: String,
}

impl Resolver for Changing {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Attributes>, Fault>> {
        let attributes = self.0.lock().unwrap().clone();
        Box::pin(async move { Ok(Some(attributes)) })
    }
}

impl Place {
    fn new(cache_capacity: u64, folder: &TempDir, things: &Changing) -> Self {
        let folder = PolicyFolder::new(folder.path());
        let snapshot = folder.read().unwrap();
        let mut world = World::default();
        let guard = Guard::builder(Settings { cache_capacity, ..settings() })
            .rules(RULES)
            .policies(SCHEMA, &[])
            .more_policies(snapshot.files.clone())
            .keys(world.ring.clone())
            .revocations(world.revocations.clone())
            .clock(world.now())
            .build();
        world.guard = guard.unwrap().with_resolver("Thing", things.clone());
        let hour = Duration::from_secs(3600);
        let watch = world.guard.watch_policies(Vec::new(), folder, &snapshot, hour);
        Self { world, watch }
    }
}

impl Pair {
    fn new(policies: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("my.cedar"), policies).unwrap();
        let things = Changing::default();
        let places = [10_000, 0].map(|capacity| Place::new(capacity, &folder, &things));
        let claims = places[0].world.claims();
        let admin = Claims {
            subject: UserId::generate(),
            roles: vec!["admin".to_owned()],
            ..claims.clone()
        };
        let [owner, other] =
            [claims, admin].map(|claims| Person { id: claims.subject, token: signed(&claims) });
        let pair = Self { folder, things, places, owner, other };
        pair.change(true, 7, true, "a thing");
        pair
    }

    fn change(&self, owner: bool, size: i64, open: bool, label: &str) {
        *self.things.0.lock().unwrap() = Attributes::owner(self.person(owner).id)
            .set("size", Value::Long(size))
            .set("tags", Value::StringSet(vec!["red".to_owned()]))
            .set("label", Value::String(label.to_owned()))
            .set("open", Value::Bool(open));
    }

    const fn person(&self, owner: bool) -> &Person {
        if owner { &self.owner } else { &self.other }
    }

    fn wait(&self, seconds: u64) {
        for place in &self.places {
            place.world.clock.advance(Duration::from_secs(seconds));
        }
    }

    async fn reload(&mut self, policies: &str) {
        fs::write(self.folder.path().join("my.cedar"), policies).unwrap();
        for place in &mut self.places {
            while !matches!(place.watch.step().await, Step::Applied | Step::Unchanged) {}
        }
    }

    /// What both answer, the one that remembers first: the policies that permit,
    /// or why it is refused.
    async fn call(&self, rpc: &str, owner: bool, id: &str) -> [Result<Vec<String>, String>; 2] {
        let token = &self.person(owner).token;
        let mut answers = Vec::new();
        for place in &self.places {
            answers.push(match place.world.call(rpc, token, id).await {
                Ok(permit) => {
                    let (about, policies) = permit.split_once(" by ").unwrap();
                    let policies = policies.split(',').chain([about]).map(str::to_owned);
                    let mut policies: Vec<_> = policies.collect();
                    policies.sort();
                    Ok(policies)
                }
                Err(status) => Err(format!("{:?}", refusal(&Err(status)))),
            });
        }
        answers.try_into().unwrap()
    }
}

fn event() -> impl Strategy<Value = Event> {
    let rpcs = select([THING_RPCS, SERVICE_RPCS].concat());
    let call = (rpcs, any::<bool>(), select(vec!["lamp", "chair", "sofa"]));
    let change = (any::<bool>(), select(vec![3, 7]), any::<bool>(), select(vec!["a thing", "b"]));
    prop_oneof![
        40 => call.prop_map(|(rpc, owner, id)| Event::Call { rpc, owner, id }),
        3 => (1..5_u64).prop_map(Event::Wait),
        3 => change.prop_map(|(owner, size, open, label)| {
            Event::Change { owner, size, open, label }
        }),
        1 => Just(Event::Reload),
    ]
}

fn policies() -> impl Strategy<Value = String> {
    prop::collection::vec(policy(), 1..10).prop_map(|policies| {
        let named = policies.iter().enumerate();
        named.map(|(number, policy)| format!("@id(\"p{number}\") {policy}\n")).collect()
    })
}

proptest! {
    #![proptest_config(crate::fuzz::cases(16))]

    #[test]
    fn a_guard_that_remembers_answers_like_one_that_does_not(
        sets in prop::collection::vec(policies(), 2..4),
        events in prop::collection::vec(event(), 200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut sets = sets.iter().cycle();
            let mut pair = Pair::new(sets.next().unwrap());
            for event in &events {
                match *event {
                    Event::Wait(seconds) => pair.wait(seconds),
                    Event::Change { owner, size, open, label } => {
                        pair.change(owner, size, open, label);
                    }
                    Event::Reload => pair.reload(sets.next().unwrap()).await,
                    Event::Call { rpc, owner, id } => {
                        let [remembering, forgetful] = pair.call(rpc, owner, id).await;
                        prop_assert_eq!(remembering, forgetful, "{:?}", event);
                    }
                }
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn nothing_of_a_permit_outlives_what_it_was_given_for() {
    let permits = format!(
        "@id(\"own\") permit (principal, action == Action::\"{GET}\", resource is Thing)
         when {{ resource.owner == principal }};
         @id(\"fresh\") permit (principal, action == Action::\"{RECENT}\", resource)
         when {{ principal.session_age < 60 }};"
    );
    let denied = |answers: [Result<_, String>; 2]| {
        let word = format!("{:?}", (Code::PermissionDenied, "ACCESS_DENIED"));
        answers.iter().all(|answer| answer == &Err(word.clone()))
    };
    let mut pair = Pair::new(&permits);
    // Twice, so that the second permit is the one that was kept.
    for _ in 0..2 {
        assert!(pair.call(GET, true, "lamp").await.iter().all(Result::is_ok));
        assert!(pair.call(RECENT, true, "").await.iter().all(Result::is_ok));
        assert!(denied(pair.call(GET, false, "lamp").await), "somebody else");
    }
    pair.change(false, 7, true, "a thing");
    assert!(denied(pair.call(GET, true, "lamp").await), "the resource has another owner");
    pair.change(true, 7, true, "a thing");
    assert!(pair.call(GET, true, "lamp").await.iter().all(Result::is_ok));
    pair.wait(60);
    assert!(denied(pair.call(RECENT, true, "").await), "the session is too old");
    pair.reload(&permits.replace("owner == principal", "size > 100")).await;
    assert!(denied(pair.call(GET, true, "lamp").await), "other policies are in force");
}
