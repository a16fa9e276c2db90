//! How an answer of gRPC is told.

use std::{collections::HashMap, time::Duration};

use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::world::{World, request};

fn lines(body: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(body).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_message_is_told_by_the_mapping_of_protobuf() {
    let book = json!({
        "displayTitle": "x", "weight": "9007199254740993", "printTime": "2026-01-01T00:00:00Z",
        "kind": "KIND_NOVEL", "cover": "/+8=",
    });
    let answer = World::answering(std::slice::from_ref(&book)).get("/shelves/a/books/b").await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, book));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_route_may_answer_with_a_field_and_a_status_of_its_own() {
    let world = World::answering(&[json!({"book": {"pages": 3, "etag": "v2"}})]);
    let answer = world.json("PATCH", "/books/b", "{}").await;
    assert_eq!(answer.json(), json!({"pages": 3, "etag": "v2"}));
    assert_eq!(answer.header("etag"), "\"v2\"");
    let answer =
        World::answering(&[json!({"etag": "v1"})]).json("POST", "/shelves/a/books", "{}").await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (201, "\"v1\""));
}

#[tokio::test]
async fn an_etag_that_no_header_could_hold_is_left_out() {
    let answer = World::answering(&[json!({"etag": "a\"b"})]).get("/shelves/a/books/b").await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, ""));
}

#[tokio::test]
async fn an_error_is_a_google_rpc_status_under_the_status_of_its_code() {
    for (code, http) in [
        (Code::InvalidArgument, 400),
        (Code::Unauthenticated, 401),
        (Code::PermissionDenied, 403),
        (Code::NotFound, 404),
        (Code::AlreadyExists, 409),
        (Code::Aborted, 409),
        (Code::FailedPrecondition, 400),
        (Code::ResourceExhausted, 429),
        (Code::Cancelled, 499),
        (Code::Internal, 500),
        (Code::Unimplemented, 501),
        (Code::Unavailable, 503),
        (Code::DeadlineExceeded, 504),
    ] {
        let answer = World::default().ending(Status::new(code, "so")).get("/books").await;
        assert_eq!(answer.status.as_u16(), http, "{code:?}");
        assert_eq!(answer.json(), json!({"code": i32::from(code), "message": "so", "details": []}));
        let challenge = if http == 401 { "Bearer" } else { "" };
        assert_eq!(answer.header("www-authenticate"), challenge);
    }
}

#[tokio::test]
async fn the_details_of_an_error_are_told_by_type_and_its_delay_as_retry_after() {
    let mut details = ErrorDetails::with_error_info("BUSY", "example.org", HashMap::new());
    details.set_retry_info(Some(Duration::from_millis(1500)));
    details.add_bad_request_violation("book.pages", "too few");
    let status = Status::with_error_details(Code::ResourceExhausted, "later", details);
    let answer = World::default().ending(status).get("/books").await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "2"));
    let json = answer.json();
    let types: Vec<_> =
        json["details"].as_array().unwrap().iter().map(|one| &one["@type"]).collect();
    for name in ["ErrorInfo", "RetryInfo", "BadRequest"] {
        assert!(
            types.iter().any(|one| **one == format!("type.googleapis.com/google.rpc.{name}")),
            "{json}"
        );
    }
    assert_eq!(answer.fields(), ["book.pages"]);
}

#[tokio::test]
async fn a_version_that_has_changed_is_a_precondition_that_failed() {
    let world = World::default().ending(Status::aborted("changed"));
    assert_eq!(world.json("PATCH", "/books/b", r#"{"etag": "1"}"#).await.status, 409);
    let mut sent = request("PATCH", "/books/b", "{}");
    sent.headers_mut().insert("if-match", "\"1\"".parse().unwrap());
    assert_eq!(world.send(sent).await.status, 412);
}

#[tokio::test]
async fn an_answer_that_ends_badly_after_its_message_is_an_error() {
    let world = World::answering(&[json!({"pages": 1})]).ending(Status::data_loss("torn"));
    let answer = world.get("/shelves/a/books/b").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["message"]), (500, &json!("torn")));
}

#[tokio::test]
async fn a_stream_is_lines_and_its_error_the_last_one() {
    let books = [json!({"pages": 1}), json!({"pages": 2})];
    let answer = World::answering(&books).get("/books:watch").await;
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let wanted: Vec<_> = books.iter().map(|book| json!({"result": book})).collect();
    assert_eq!(lines(&answer.body), wanted);

    let torn = World::answering(&books).ending(Status::unavailable("gone"));
    let answer = torn.get("/books:watch").await;
    let last = lines(&answer.body).pop().unwrap();
    assert_eq!((answer.status.as_u16(), &last["error"]["code"]), (200, &json!(14)));

    let refused = World::default().ending(Status::permission_denied("no"));
    assert_eq!(refused.get("/books:watch").await.status, 403);
}
