//! The Connect protocol, unary and JSON.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use prost::Message;
use serde_json::json;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt, pb};

use crate::world::{World, request};

const GET: &str = "/library.v1.Library/GetBook";

#[tokio::test]
async fn a_call_names_its_rpc_and_its_body_is_the_message() {
    let world = World::answering(&[json!({"pages": 1, "etag": "v1"})]);
    let mut sent = request("POST", GET, r#"{"shelf": "a", "book": "b"}"#);
    sent.headers_mut().insert("connect-protocol-version", "1".parse().unwrap());
    sent.headers_mut().insert("connect-timeout-ms", "2500".parse().unwrap());
    let answer = world.send(sent).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"pages": 1, "etag": "v1"})));
    let seen = world.seen().unwrap();
    assert_eq!((seen.path.as_str(), seen.message), (GET, json!({"shelf": "a", "book": "b"})));
    assert_eq!(seen.headers["grpc-timeout"], "2500m");
}

#[tokio::test]
async fn a_success_is_200_whatever_the_route_says() {
    let world = World::answering(&[json!({})]);
    let answer = world.json("POST", "/library.v1.Library/CreateBook", "{}").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn an_error_is_told_as_connect_tells_it() {
    let details = ErrorDetails::with_error_info("GONE", "example.org", []);
    let status = Status::with_error_details(Code::NotFound, "no such book", details);
    let answer = World::default().ending(status).json("POST", GET, "{}").await;
    let json = answer.json();
    assert_eq!((answer.status.as_u16(), &json["code"]), (404, &json!("not_found")));
    assert_eq!(json["message"], "no such book");
    assert_eq!(json["details"][0]["type"], "google.rpc.ErrorInfo");
    let value = STANDARD_NO_PAD.decode(json["details"][0]["value"].as_str().unwrap()).unwrap();
    assert_eq!(pb::ErrorInfo::decode(value.as_slice()).unwrap().reason, "GONE");
}

#[tokio::test]
async fn what_is_no_unary_json_is_refused() {
    let world = World::answering(&[json!({})]);
    for (name, value, status, code) in [
        ("connect-protocol-version", "2", 400, "invalid_argument"),
        ("connect-timeout-ms", "12345678901", 400, "invalid_argument"),
        ("connect-timeout-ms", "-1", 400, "invalid_argument"),
        ("content-type", "application/proto", 415, "invalid_argument"),
        ("content-type", "application/connect+json", 415, "invalid_argument"),
    ] {
        let mut sent = request("POST", GET, "{}");
        sent.headers_mut().insert(name, value.parse().unwrap());
        let answer = world.send(sent).await;
        assert_eq!(answer.json()["code"], code, "{name}: {value}");
        assert_eq!(answer.status.as_u16(), status, "{name}: {value}");
    }
    let answer = world.json("POST", "/library.v1.Library/WatchBooks", "{}").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (501, &json!("unimplemented")));
    let answer = world.json("POST", GET, r#"{"shelve": "a"}"#).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (400, &json!("invalid_argument")));
    let answer = world.get(GET).await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "POST"));
    assert!(world.seen().is_none());
}

#[tokio::test]
async fn a_time_that_grpc_can_not_say_in_milliseconds_is_said_in_seconds() {
    let world = World::answering(&[json!({})]);
    let mut sent = request("POST", GET, "{}");
    sent.headers_mut().insert("connect-timeout-ms", "9999999999".parse().unwrap());
    assert_eq!(world.send(sent).await.status, 200);
    assert_eq!(world.seen().unwrap().headers["grpc-timeout"], "9999999S");
}
