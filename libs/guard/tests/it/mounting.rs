//! The guard as a part of a tonic server.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use countersign_guard::{Guard, Revocations};
use tonic::{Code, Status, body::Body, server::NamedService, service::Routes};
use tonic_types::StatusExt;
use tower::Service;

use crate::world::{GET, NOBODY, OPEN, RULES, World, settings};

/// Answers everything that it is asked.
#[derive(Clone)]
struct Agreeable;

impl NamedService for Agreeable {
    const NAME: &'static str = "test.v1.ThingService";
}

impl Service<http::Request<Body>> for Agreeable {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<Body>) -> Self::Future {
        ready(Ok(Status::ok("").into_http()))
    }
}

async fn ask(guard: &Guard, rpc: &str, token: Option<&str>) -> Status {
    let mut routes = Routes::new(guard.protect(Agreeable));
    let mut request = http::Request::post(format!("http://test/{rpc}"));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let response = routes.call(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/grpc");
    Status::from_header_map(response.headers()).unwrap()
}

#[tokio::test]
async fn a_guarded_service_is_mounted_like_any_other() {
    let world = World::default();
    assert_eq!(ask(&world.guard, GET, Some(&world.token())).await.code(), Code::Ok);
    assert_eq!(ask(&world.guard, OPEN, None).await.code(), Code::Ok);
    assert_eq!(ask(&world.guard, GET, None).await.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn an_rpc_without_a_rule_is_refused_whoever_asks() {
    let world = World::default();
    let token = world.token();
    for rpc in [
        "test.v1.ThingService/Unknown",
        "test.v1.ThingService/GetThing/",
        "test.v1.ThingService/getThing",
    ] {
        for token in [None, Some(token.as_str())] {
            let status = ask(&world.guard, rpc, token).await;
            assert_eq!(status.code(), Code::Unimplemented, "{rpc}");
            assert_eq!(status.get_details_error_info().unwrap().reason, "METHOD_UNKNOWN");
        }
    }
}

#[tokio::test]
async fn before_it_knows_what_was_revoked_a_guard_takes_no_token() {
    let revocations = Revocations::default();
    let world = World::with(|builder| builder.revocations(revocations.clone()));
    let token = world.token();
    let status = ask(&world.guard, GET, Some(&token)).await;
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.get_details_error_info().unwrap().reason, "GUARD_NOT_READY");
    assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
    assert_eq!(ask(&world.guard, OPEN, None).await.code(), Code::Ok);

    revocations.mark_ready();
    assert_eq!(ask(&world.guard, GET, Some(&token)).await.code(), Code::Ok);
}

#[tokio::test]
async fn a_guard_names_the_rpcs_that_have_a_rule() {
    let world = World::default();
    let mut named: Vec<_> = world.guard.rpcs().collect();
    let mut rules: Vec<_> = RULES.iter().map(|rule| rule.rpc).collect();
    named.sort_unstable();
    rules.sort_unstable();
    assert_eq!(named, rules);
    assert!(named.contains(&NOBODY));
    assert_eq!(world.guard.max_message_bytes(), settings().max_message_bytes);
}
