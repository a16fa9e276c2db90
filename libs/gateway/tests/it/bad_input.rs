//! What is wrong, hostile or too much is answered, and goes no further.

use http::Request;
use http_body_util::StreamBody;
use serde_json::json;
use tonic::{Status, body::Body};

use crate::world::{MAX_MESSAGE, World, request};

/// Refused with this status and reason, and never seen by the service.
async fn refused(request: Request<Body>, status: u16, reason: &str) -> crate::world::Answer {
    let shown = format!("{} {}", request.method(), request.uri());
    let world = World::answering(&[json!({})]);
    let answer = world.send(request).await;
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (status, reason), "{shown}");
    assert!(world.seen().is_none(), "{shown}");
    answer
}

#[tokio::test]
async fn what_is_no_json_is_refused() {
    let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
    let deeper = "[".repeat(MAX_MESSAGE - 1);
    for body in [
        "{",
        " ",
        "nul",
        "{\"a\":1}}",
        "{'a':1}",
        "{\"name\":\"\\ud800\"}",
        "[]",
        "\u{feff}{}",
        "{\"name\":1e999}",
        "{\"name\":NaN}",
        "{\"name\":1,}",
        &deep,
        &deeper,
    ] {
        refused(request("POST", "/books/b:burn", body), 400, "MALFORMED_JSON").await;
    }
}

#[tokio::test]
async fn a_key_that_comes_twice_is_refused() {
    let twice = r#"{"display_title": "x", "display_title": "y"}"#;
    refused(request("PATCH", "/books/b", twice), 400, "MALFORMED_JSON").await;
    let spelt = r#"{"display_title": "x", "displayTitle": "y"}"#;
    let answer = refused(request("PATCH", "/books/b", spelt), 400, "INVALID_ARGUMENT").await;
    assert_eq!(answer.fields(), ["book.display_title"]);
    let escaped = r#"{"labels": {"a": "x", "\u0061": "y"}}"#;
    refused(request("PATCH", "/books/b", escaped), 400, "MALFORMED_JSON").await;
}

#[tokio::test]
async fn unknown_fields_are_refused_and_named_all_at_once() {
    let body = r#"{"titel": "x", "sequel": {"pges": 1}, "authors": [{}, {"name": "y"}],
                   "labels": {"any": "z"}, "[ext]": 1}"#;
    let answer = refused(request("PATCH", "/books/b", body), 400, "INVALID_ARGUMENT").await;
    let mut fields = answer.fields();
    fields.sort();
    assert_eq!(fields, ["book.[ext]", "book.authors[1].name", "book.sequel.pges", "book.titel"]);
}

#[tokio::test]
async fn a_value_of_another_type_is_refused_and_its_field_is_named() {
    for (body, field) in [
        (r#"{"pages": "many"}"#, "book.pages"),
        (r#"{"pages": 3000000000}"#, "book.pages"),
        (r#"{"pages": 1.5}"#, "book.pages"),
        (r#"{"pages": 123456789012345678901234567890}"#, "book.pages"),
        (r#"{"copies": -1}"#, "book.copies"),
        (r#"{"weight": 1e300}"#, "book.weight"),
        (r#"{"name": 7}"#, "book.name"),
        (r#"{"kind": "KIND_POEM"}"#, "book.kind"),
        (r#"{"printTime": "yesterday"}"#, "book.print_time"),
        (r#"{"labels": {"a": 1}}"#, "book.labels"),
        (r#"{"authors": {}}"#, "book.authors"),
        (r#"{"sequel": {"pages": []}}"#, "book.sequel.pages"),
        (r#"{"cover": "%%%"}"#, "book.cover"),
        (r#"{"boughtFrom": "a", "givenBy": "b"}"#, "book.given_by"),
    ] {
        let answer = refused(request("PATCH", "/books/b", body), 400, "INVALID_ARGUMENT").await;
        assert_eq!(answer.fields(), [field], "{body}");
        assert!(!answer.json()["message"].to_string().contains("many"), "{body}");
    }
}

#[tokio::test]
async fn a_path_means_one_thing_or_nothing() {
    for path in [
        "/shelves/../books/x",
        "/shelves/%2e%2e/books/x",
        "/shelves/a%2Fb/books/x",
        "/shelves/a%5Cb/books/x",
        "/shelves//books/x",
        "/shelves/a/books/",
        "/shelves/a%00/books/x",
        "/shelves/%zz/books/x",
        "/shelves/%ff/books/x",
        "//books",
    ] {
        let get = Request::builder().uri(path).body(Body::empty()).unwrap();
        refused(get, 400, "MALFORMED_PATH").await;
    }
}

#[tokio::test]
async fn a_parameter_is_a_field_that_nothing_else_gives() {
    for (method, path, field) in [
        ("GET", "/books?colour=red", "colour"),
        ("GET", "/books?page_size=1&pageSize=2", "pageSize"),
        ("GET", "/shelves/a/books?shelf=b", "shelf"),
        ("GET", "/books?by=x", "by"),
        ("GET", "/books?tags.x=y", "tags.x"),
        ("PATCH", "/books/b?name=c", "name"),
        ("PATCH", "/books/b?book.pages=1", "book.pages"),
        ("POST", "/books/b:burn?reason=cold", "reason"),
    ] {
        let body =
            if method == "GET" { Body::empty() } else { request(method, path, "{}").into_body() };
        let mut sent = request(method, path, "");
        *sent.body_mut() = body;
        let answer = refused(sent, 400, "INVALID_ARGUMENT").await;
        assert_eq!(answer.fields(), [field], "{path}");
    }
    let broken = Request::builder().uri("/books?tags=%f").body(Body::empty()).unwrap();
    refused(broken, 400, "MALFORMED_QUERY").await;
}

#[tokio::test]
async fn the_body_can_not_say_otherwise_than_the_path() {
    let other = request("POST", "/books/b:burn", r#"{"name": "c"}"#);
    assert_eq!(refused(other, 400, "INVALID_ARGUMENT").await.fields(), ["name"]);
    let mut other = request("PATCH", "/books/b", r#"{"etag": "1"}"#);
    other.headers_mut().insert("if-match", "\"2\"".parse().unwrap());
    assert_eq!(refused(other, 400, "INVALID_ARGUMENT").await.fields(), ["book.etag"]);
}

#[tokio::test]
async fn an_if_match_that_means_nothing_is_refused() {
    for etag in ["v1", "W/\"v1\"", "\"\"", "\"a\", \"b\"", "\""] {
        let mut sent = request("PATCH", "/books/b", "{}");
        sent.headers_mut().insert("if-match", etag.parse().unwrap());
        refused(sent, 400, "MALFORMED_IF_MATCH").await;
    }
    let mut sent = request("GET", "/books", "");
    sent.headers_mut().insert("if-match", "\"v1\"".parse().unwrap());
    *sent.body_mut() = Body::empty();
    refused(sent, 400, "IF_MATCH_UNSUPPORTED").await;
}

#[tokio::test]
async fn only_plain_json_is_read() {
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", ""]
    {
        let mut sent = request("PATCH", "/books/b", "{}");
        sent.headers_mut().insert("content-type", kind.parse().unwrap());
        let answer = refused(sent, 415, "UNSUPPORTED_MEDIA_TYPE").await;
        assert_eq!(answer.header("accept-patch"), "application/json");
    }
    let mut sent = request("PATCH", "/books/b", "{}");
    sent.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    refused(sent, 415, "UNSUPPORTED_ENCODING").await;
    refused(request("GET", "/books", "{}"), 400, "UNEXPECTED_BODY").await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_announced_or_not() {
    let body = format!("{{\"name\": \"{}\"}}", "x".repeat(MAX_MESSAGE));
    let mut announced = request("PATCH", "/books/b", &body);
    announced.headers_mut().insert("content-length", body.len().into());
    refused(announced, 413, "MESSAGE_TOO_LARGE").await;
    refused(request("PATCH", "/books/b", &body), 413, "MESSAGE_TOO_LARGE").await;
}

#[tokio::test]
async fn headers_that_are_too_large_are_refused() {
    let mut sent = request("PATCH", "/books/b", "{}");
    sent.headers_mut().insert("x-anything", "x".repeat(16 * 1024).parse().unwrap());
    refused(sent, 431, "HEADERS_TOO_LARGE").await;
}

#[tokio::test]
async fn a_body_that_breaks_off_ends_the_call() {
    let broken = futures::stream::iter([Err::<http_body::Frame<bytes::Bytes>, _>(
        Status::unavailable("gone"),
    )]);
    let mut sent = request("PATCH", "/books/b", "");
    *sent.body_mut() = Body::new(StreamBody::new(broken));
    let world = World::answering(&[json!({})]);
    assert_eq!(world.send(sent).await.status, 503);
    assert!(world.seen().is_none());
}

#[tokio::test]
async fn no_header_is_smuggled_into_grpc() {
    let world = World::answering(&[json!({})]);
    let mut sent = request("POST", "/books/b:burn", "{}");
    for (name, value) in [
        ("grpc-timeout", "1n"),
        ("grpc-encoding", "gzip"),
        ("grpc-status", "0"),
        ("grpc-status-details-bin", "AA"),
        ("te", "gzip"),
        ("x-secret-bin", "AA"),
        ("connection", "authorization"),
        ("cookie", "a=b"),
        ("x-http-method-override", "DELETE"),
        ("authorization", "Bearer x"),
        ("x-request-id", "7"),
    ] {
        sent.headers_mut().append(name, value.parse().unwrap());
    }
    assert_eq!(world.send(sent).await.status, 200);
    let headers = world.seen().unwrap().headers;
    let mut names: Vec<_> = headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["authorization", "content-type", "te", "x-request-id"]);
    assert_eq!(headers["te"], "trailers");
    assert_eq!(headers["content-type"], "application/grpc");
}
