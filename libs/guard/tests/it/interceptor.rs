//! The guard as an interceptor, for contracts without rules.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use countersign_guard::{Caller, Guard};
use tonic::{
    Code, Status, body::Body, server::NamedService, service::Routes,
    service::interceptor::InterceptedService,
};
use tonic_types::StatusExt;
use tower::Service;

use crate::world::{World, settings};

/// Answers with the name of who calls.
#[derive(Clone)]
struct WhoAmI;

impl NamedService for WhoAmI {
    const NAME: &'static str = "somebody.v1.WithoutRules";
}

impl Service<http::Request<Body>> for WhoAmI {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let caller = request.extensions().get::<Caller>();
        let message = caller.map_or_else(String::new, |caller| caller.user_id().to_string());
        ready(Ok(Status::new(Code::Ok, message).into_http()))
    }
}

async fn ask(guard: &Guard, token: Option<&str>) -> Status {
    let service = InterceptedService::new(WhoAmI, guard.authenticate_only());
    let mut request = http::Request::post("http://test/somebody.v1.WithoutRules/Anything");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let mut routes = Routes::default().add_service(service);
    let response = routes.call(request.body(Body::empty()).unwrap()).await.unwrap();
    Status::from_header_map(response.headers()).unwrap()
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

#[tokio::test]
async fn whoever_has_a_token_that_holds_is_let_in_by_name() {
    let world = World::default();
    // No rules, no schema, no policies: nothing but what a token needs.
    let guard = Guard::builder(settings())
        .keys(world.ring.clone())
        .revocations(world.revocations.clone())
        .clock(world.now())
        .build()
        .unwrap();
    let claims = world.claims();
    let token = crate::world::signed(&claims);
    let status = ask(&guard, Some(&token)).await;
    assert_eq!((status.code(), status.message()), (Code::Ok, &*claims.subject.to_string()));

    let status = ask(&guard, None).await;
    assert_eq!((status.code(), &*reason(&status)), (Code::Unauthenticated, "TOKEN_MISSING"));
    let status = ask(&guard, Some("nonsense")).await;
    assert_eq!((status.code(), &*reason(&status)), (Code::Unauthenticated, "TOKEN_MALFORMED"));

    world.revocations.revoke_session(claims.session, claims.expires_at);
    let status = ask(&guard, Some(&token)).await;
    assert_eq!((status.code(), &*reason(&status)), (Code::Unauthenticated, "SESSION_REVOKED"));
}
