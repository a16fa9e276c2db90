//! Policies that ask for a fresh login, or for one with a factor.

use std::time::Duration;

use countersign_tokens::{AuthMethods, Claims};
use tonic::Code;
use tonic_types::StatusExt;

use crate::world::{Answer, PURGE, SCHEMA, World, refusal, signed};

const AGE: &str = r#"
@id("purge-needs-a-fresh-login")
@step_up("authentication_age<60")
forbid (principal, action == Action::"test.v1.ThingService/PurgeThing", resource)
when { principal.session_age >= 60 };
"#;

const FACTOR: &str = r#"
@id("purge-needs-a-second-factor")
@step_up("authentication_age<300 factor=otp")
forbid (principal, action == Action::"test.v1.ThingService/PurgeThing", resource)
unless { principal.factors.contains("otp") && principal.session_age < 300 };
"#;

fn world(policies: &str) -> World {
    World::with(|builder| builder.policies(SCHEMA, &[("step.cedar", policies)]))
}

/// A token of an administrator who logged in just now, by these methods.
fn admin_by(world: &World, methods: &[&str]) -> String {
    let methods = AuthMethods::new(methods.iter().copied()).unwrap();
    signed(&Claims { methods, roles: vec!["admin".to_owned()], ..world.claims() })
}

/// What a client is told to bring.
#[track_caller]
fn needs(answer: Answer) -> String {
    assert_eq!(refusal(&answer), (Code::PermissionDenied, "STEP_UP_REQUIRED".to_owned()));
    let info = answer.unwrap_err().get_details_error_info().unwrap();
    info.metadata.get("step_up").unwrap().clone()
}

#[track_caller]
fn denied(answer: Answer) {
    assert_eq!(refusal(&answer), (Code::PermissionDenied, "ACCESS_DENIED".to_owned()));
}

#[tokio::test]
async fn a_policy_may_ask_for_a_fresh_login_and_the_denial_says_so() {
    let world = world(AGE);
    let admin = admin_by(&world, &["pwd"]);
    assert!(world.call(PURGE, &admin, "lamp").await.is_ok());
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(needs(world.call(PURGE, &admin, "lamp").await), "authentication_age<60");
    let again = admin_by(&world, &["pwd"]);
    assert!(world.call(PURGE, &again, "lamp").await.is_ok(), "after a fresh login");
}

#[tokio::test]
async fn a_policy_may_ask_for_a_factor_and_a_login_with_it_passes() {
    let world = world(FACTOR);
    for methods in [&["pwd"][..], &["pwd", "sms"]] {
        let token = admin_by(&world, methods);
        let told = needs(world.call(PURGE, &token, "lamp").await);
        assert_eq!(told, "authentication_age<300 factor=otp");
    }
    let stepped_up = admin_by(&world, &["otp", "pwd"]);
    assert!(world.call(PURGE, &stepped_up, "lamp").await.is_ok());
    // The token itself would hold for a little longer, its proof does not.
    world.clock.advance(Duration::from_secs(300));
    assert_eq!(
        needs(world.call(PURGE, &stepped_up, "lamp").await),
        "authentication_age<300 factor=otp"
    );
}

#[tokio::test]
async fn what_several_policies_need_is_told_once_and_together() {
    let world = world(&format!("{AGE}{FACTOR}"));
    let token = admin_by(&world, &["pwd"]);
    world.clock.advance(Duration::from_secs(60));
    let told = needs(world.call(PURGE, &token, "lamp").await);
    assert_eq!(told, "authentication_age<60 factor=otp");
}

#[tokio::test]
async fn a_step_up_is_asked_for_only_where_it_would_help() {
    let world = world(FACTOR);
    let (admin, other) = (admin_by(&world, &["pwd"]), world.token());
    // Forbidden in any case, and permitted in none.
    denied(world.call(PURGE, &admin, "sacred").await);
    denied(world.call(PURGE, &other, "lamp").await);
}
