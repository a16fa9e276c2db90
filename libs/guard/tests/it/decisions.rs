//! What the policies decide, and what they are not asked for.

use std::time::Duration;

use countersign_guard::{Guard, OwnedById, Settings};
use countersign_types::{Timestamp, UserId};
use tokio::sync::mpsc;
use tonic::Code;
use tonic_types::StatusExt;

use crate::world::{
    COUNT, FRAGILE, GET, NOBODY, POLICIES, PURGE, RECENT, RULES, SCHEMA, START, World, refusal,
    settings,
};

fn denied() -> (Code, String) {
    (Code::PermissionDenied, "ACCESS_DENIED".to_owned())
}

#[tokio::test]
async fn nothing_is_permitted_that_no_policy_permits() {
    let world = World::default();
    let admin = world.token_of_role(&["admin", "auditor"]);
    assert_eq!(refusal(&world.call(NOBODY, &admin, "lamp").await), denied());
    assert_eq!(refusal(&world.call(GET, &admin, "lamp").await), denied());
}

#[tokio::test]
async fn roles_are_parents_of_the_caller() {
    let world = World::default();
    let admin = world.token_of_role(&["admin"]);
    let answer = world.call(PURGE, &admin, "lamp").await;
    assert_eq!(answer.unwrap(), "lamp by thing-admin");
    assert_eq!(refusal(&world.call(PURGE, &world.token(), "lamp").await), denied());
}

#[tokio::test]
async fn a_forbid_wins_over_a_permit() {
    let world = World::default();
    let admin = world.token_of_role(&["admin"]);
    assert_eq!(refusal(&world.call(PURGE, &admin, "sacred").await), denied());
}

#[tokio::test]
async fn the_service_is_a_resource_and_actions_have_groups() {
    let world = World::default();
    let auditor = world.token_of_role(&["auditor"]);
    let answer = world.call(COUNT, &auditor, "").await;
    assert_eq!(answer.unwrap(), "test.v1.ThingService by auditor-reads");
    assert_eq!(refusal(&world.call(COUNT, &world.token(), "").await), denied());
}

#[tokio::test]
async fn a_policy_that_fails_to_evaluate_denies() {
    let world = World::default();
    assert_eq!(refusal(&world.call(FRAGILE, &world.token(), "").await), denied());
}

#[tokio::test]
async fn the_session_ages_while_its_token_is_remembered() {
    let world = World::default();
    let token = world.token();
    world.clock.advance(Duration::from_secs(59));
    assert!(world.call(RECENT, &token, "").await.is_ok());
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(refusal(&world.call(RECENT, &token, "").await), denied());
}

#[tokio::test]
async fn attributes_are_asked_for_only_where_a_policy_reads_them() {
    let world = World::default();
    let (owner, admin) = (world.token(), world.token_of_role(&["admin"]));
    assert!(world.call(PURGE, &admin, "lamp").await.is_ok());
    assert!(world.call(NOBODY, &owner, "lamp").await.is_err());
    assert_eq!(world.things.asked(), 0);
    assert!(world.call(GET, &owner, "lamp").await.is_ok());
    assert_eq!(world.things.asked(), 1);
}

#[tokio::test]
async fn a_missing_thing_looks_like_one_of_somebody_else() {
    let world = World::default();
    let missing = world.call(GET, &world.token(), "missing").await.unwrap_err();
    let foreign = world.call(GET, &world.token_of_role(&[]), "lamp").await.unwrap_err();
    assert_eq!(missing.code(), foreign.code());
    assert_eq!(missing.message(), foreign.message());
    assert_eq!(missing.details(), foreign.details());
}

#[tokio::test]
async fn the_fault_of_a_resolver_ends_the_call() {
    let world = World::default();
    let answer = world.call(GET, &world.token(), "broken").await;
    assert_eq!(refusal(&answer), (Code::Unavailable, "STORE_AWAY".to_owned()));
}

#[tokio::test]
async fn a_resolver_that_tells_of_existence_is_not_repeated() {
    let world = World::default();
    let answer = world.call(GET, &world.token(), "told").await;
    assert_eq!(refusal(&answer), (Code::Unavailable, "RESOLVER_FAILED".to_owned()));
}

#[tokio::test]
async fn a_slow_resolver_ends_the_call_and_permits_nothing() {
    let mut world = World::default();
    let settings = Settings { resolver_timeout: Duration::from_millis(10), ..settings() };
    let guard = Guard::builder(settings)
        .rules(RULES)
        .policies(SCHEMA, &[("things.cedar", POLICIES)])
        .keys(world.ring.clone())
        .revocations(world.revocations.clone())
        .clock(world.now());
    world.guard = guard.build().unwrap().with_resolver("Thing", world.things.clone());
    let answer = world.call(GET, &world.token(), "slow").await;
    assert_eq!(refusal(&answer), (Code::DeadlineExceeded, "RESOLVER_TOO_SLOW".to_owned()));
    // What needs no attributes needs no resolver.
    let admin = world.token_of_role(&["admin"]);
    assert!(world.call(PURGE, &admin, "slow").await.is_ok());
}

#[tokio::test]
async fn without_its_resolver_a_type_is_closed() {
    let mut world = World::default();
    let token = world.token();
    // A guard of the same ring and the same policies, and no resolver.
    let bare = Guard::builder(settings())
        .rules(RULES)
        .policies(SCHEMA, &[("things.cedar", POLICIES)])
        .keys(world.ring.clone())
        .revocations(world.revocations.clone());
    let (clock, _hand) = countersign_types::Clock::manual(START);
    world.guard = bare.clock(clock).build().unwrap();
    let answer = world.call(GET, &token, "lamp").await;
    assert_eq!(refusal(&answer), (Code::Internal, "INTERNAL".to_owned()));
}

#[tokio::test]
async fn me_is_the_caller() {
    let mut world = World::default();
    world.guard = world.guard.with_resolver("Thing", OwnedById);
    let token = world.token();
    let owner = world.things.owner;
    let answer = world.call(GET, &token, "me").await;
    assert_eq!(answer.unwrap(), format!("{owner} by thing-owner"));
    assert!(world.call(GET, &token, &owner.to_string()).await.is_ok());
    let other = UserId::generate().to_string();
    for id in [other.as_str(), "", "ME", "lamp", &owner.to_string().to_uppercase()] {
        assert_eq!(refusal(&world.call(GET, &token, id).await), denied(), "{id}");
    }
}

#[tokio::test]
async fn a_client_learns_nothing_about_policies() {
    let world = World::default();
    let admin = world.token_of_role(&["admin"]);
    let status = world.call(PURGE, &admin, "sacred").await.unwrap_err();
    let info = status.get_details_error_info().unwrap();
    assert!(info.metadata.is_empty());
    assert_eq!(status.message(), "the caller may not do this");
}

#[tokio::test]
async fn denials_are_recorded_and_never_wait_for_room() {
    let (sink, mut denials) = mpsc::channel(2);
    let world = World::with(|builder| builder.record(sink));
    let admin = world.token_of_role(&["admin"]);
    for _ in 0..5 {
        assert!(world.call(PURGE, &admin, "sacred").await.is_err());
    }
    let denial = denials.recv().await.unwrap();
    assert_eq!(denial.rpc, PURGE);
    assert_eq!((denial.resource_type, denial.resource), ("Thing", None));
    assert_eq!(denial.policies, ["never-this-thing"]);
    assert_eq!(denial.time, Timestamp::from_micros(START.as_micros()));
    assert!(denials.try_recv().is_ok());
    assert!(denials.try_recv().is_err(), "the others found no room");
}

#[tokio::test]
async fn each_handle_of_a_guard_sends_its_denials_elsewhere() {
    let (sink, mut first) = mpsc::channel(8);
    let mut world = World::with(|builder| builder.record(sink));
    let (sink, mut second) = mpsc::channel(8);
    world.guard = world.guard.record(sink);
    let admin = world.token_of_role(&["admin"]);
    let id = "0197a1b2-c3d4-7000-8000-00000000000a";
    assert!(world.call(NOBODY, &admin, id).await.is_err());
    assert!(first.try_recv().is_err());
    let denial = second.try_recv().unwrap();
    assert_eq!(denial.rpc, NOBODY);
    assert_eq!(denial.resource.unwrap().to_string(), id);
}
