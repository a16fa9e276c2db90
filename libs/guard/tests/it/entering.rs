//! The way of a call into a handler: its order, and what the handler is told.

use std::net::SocketAddr;

use countersign_guard::{enter, enter_public, enter_service};
use tonic::{Code, Request, transport::server::TcpConnectInfo};
use tonic_types::StatusExt;

use crate::world::{GET, Named, OPEN, World, refusal};

fn shouting() -> Named {
    Named { id: "a!".to_owned(), note: "b!".to_owned() }
}

#[tokio::test]
async fn every_broken_rule_of_input_comes_back_at_once() {
    let world = World::default();
    let bearer = format!("Bearer {}", world.token());
    let answer = world.send(GET, &[("authorization", &bearer)], shouting()).await;
    assert_eq!(refusal(&answer), (Code::InvalidArgument, "INVALID_ARGUMENT".to_owned()));
    let bad = answer.unwrap_err().get_details_bad_request().unwrap();
    let fields: Vec<_> = bad.field_violations.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, ["id", "note"]);
}

#[tokio::test]
async fn the_token_comes_before_the_message() {
    let world = World::default();
    let answer = world.send(GET, &[], shouting()).await;
    assert_eq!(refusal(&answer).0, Code::Unauthenticated);
}

#[tokio::test]
async fn a_public_call_needs_no_token_and_a_valid_message() {
    let world = World::default();
    assert!(world.send(OPEN, &[], Named::default()).await.is_ok());
    // A token is not even looked at.
    let with_token = [("authorization", "Bearer nonsense")];
    assert!(world.send(OPEN, &with_token, Named::default()).await.is_ok());
    let answer = world.send(OPEN, &[], shouting()).await;
    assert_eq!(refusal(&answer).0, Code::InvalidArgument);
}

#[tokio::test]
async fn a_service_without_its_guard_answers_nobody() {
    let internal = |status: tonic::Status| assert_eq!(status.code(), Code::Internal);
    let request = || Request::new(Named::default());
    internal(enter(request(), |message| message.id.as_str()).await.err().unwrap());
    internal(enter_service(request()).await.err().unwrap());
    internal(enter_public(request()).await.err().unwrap());
}

#[tokio::test]
async fn an_adapter_of_the_wrong_kind_answers_nobody() {
    use countersign_guard::Guarded;
    use std::convert::Infallible;
    use tower::{Service, service_fn};

    let world = World::default();
    // The rule asks for a policy; the adapter takes everybody.
    let service = service_fn(|request: http::Request<Named>| async {
        let entered = enter_public(Request::from_http(request)).await;
        let code = entered.err().map(|status| status.code());
        Ok::<_, Infallible>(http::Response::new(code))
    });
    let mut service: Guarded<_> = world.guard.protect(service);
    let request = http::Request::post(format!("http://test/{GET}"))
        .header("authorization", format!("Bearer {}", world.token()))
        .body(Named::default());
    let response = service.call(request.unwrap()).await.unwrap();
    assert_eq!(*response.body(), Some(Code::Internal));
}

#[tokio::test]
async fn a_handler_learns_where_a_call_comes_from() {
    use std::convert::Infallible;
    use tower::{Service, service_fn};

    let service = service_fn(|request: http::Request<Named>| async {
        let peer = enter_public(Request::from_http(request)).await.unwrap().peer;
        let seen = (peer.address.map(|ip| ip.to_string()), peer.user_agent, peer.request_id);
        Ok::<_, Infallible>(http::Response::new(seen))
    });
    let mut service = World::default().guard.protect(service);
    let address: SocketAddr = "[::ffff:192.0.2.1]:5000".parse().unwrap();
    for (agent, id, seen_agent, seen_id) in [
        ("grpcurl/1.8", "req-1", Some("grpcurl/1.8".to_owned()), Some("req-1".to_owned())),
        ("a\tb", "no spaces", Some("ab".to_owned()), None),
        (&"x".repeat(999), &"y".repeat(129), Some("x".repeat(256)), None),
    ] {
        let mut request = http::Request::post(format!("http://test/{OPEN}"))
            .header("user-agent", agent)
            .header("x-request-id", id)
            .body(Named::default())
            .unwrap();
        let info = TcpConnectInfo { local_addr: None, remote_addr: Some(address) };
        request.extensions_mut().insert(info);
        let seen = service.call(request).await.unwrap().into_body();
        assert_eq!(seen, (Some("192.0.2.1".to_owned()), seen_agent, seen_id));
    }
}

#[tokio::test]
async fn where_a_call_comes_from_does_not_show_in_debug_output() {
    let world = World::default();
    let headers = [("user-agent", "grpcurl/1.8"), ("x-request-id", "req-1")];
    let shown = world.send(OPEN, &headers, Named::default()).await.unwrap();
    assert_eq!(shown, "Peer { request_id: Some(\"req-1\"), .. }");
}
