//! Which RPC a request means, and with which message.

use serde_json::{Value, json};

use crate::world::{World, request};

/// The RPC and the message of a call that went through.
async fn called(method: &str, path: &str, body: &str) -> (String, Value) {
    let world = World::answering(&[json!({})]);
    let answer =
        if body.is_empty() { world.get(path).await } else { world.json(method, path, body).await };
    assert!(answer.status.is_success(), "{method} {path}: {answer:?}");
    let seen = world.seen().expect("a call");
    (seen.path.rsplit('/').next().unwrap().to_owned(), seen.message)
}

#[tokio::test]
async fn the_path_gives_fields() {
    let (rpc, message) = called("GET", "/shelves/a%20b/books/%C3%A9", "").await;
    assert_eq!((rpc.as_str(), message), ("GetBook", json!({"shelf": "a b", "book": "é"})));
}

#[tokio::test]
async fn the_query_gives_what_the_path_does_not() {
    let query = "/shelves/a/books?page_size=5&tags=x&tags=y+z&kind=KIND_NOVEL&signed=true\
                 &by.familyName=Eco&since=2026-01-01T00:00:00Z";
    let wanted = json!({
        "shelf": "a", "pageSize": 5, "tags": ["x", "y z"], "kind": "KIND_NOVEL", "signed": true,
        "by": {"familyName": "Eco"}, "since": "2026-01-01T00:00:00Z",
    });
    assert_eq!(called("GET", query, "").await, ("ListBooks".to_owned(), wanted));
}

#[tokio::test]
async fn an_rpc_may_have_several_routes() {
    assert_eq!(called("GET", "/books", "").await, ("ListBooks".to_owned(), json!({})));
}

#[tokio::test]
async fn the_body_is_a_field_or_all_that_is_left() {
    let (rpc, message) =
        called("POST", "/shelves/a/books?dry_run=true", r#"{"display_title": "x"}"#).await;
    let wanted = json!({"shelf": "a", "book": {"displayTitle": "x"}, "dryRun": true});
    assert_eq!((rpc.as_str(), message), ("CreateBook", wanted));
    let (rpc, message) = called("POST", "/books/b:burn", r#"{"reason": "cold"}"#).await;
    assert_eq!((rpc.as_str(), message), ("BurnBook", json!({"name": "b", "reason": "cold"})));
}

#[tokio::test]
async fn a_field_has_the_name_of_json_or_that_of_the_contract() {
    for body in [r#"{"displayTitle": "x"}"#, r#"{"display_title": "x"}"#] {
        let (_, message) = called("POST", "/shelves/a/books", body).await;
        assert_eq!(message["book"], json!({"displayTitle": "x"}), "{body}");
    }
}

#[tokio::test]
async fn a_post_without_a_body_is_an_empty_message() {
    let world = World::answering(&[json!({})]);
    let mut empty = request("POST", "/books/b:burn", "");
    empty.headers_mut().remove("content-type");
    assert_eq!(world.send(empty).await.status, 200);
    assert_eq!(world.seen().unwrap().message, json!({"name": "b"}));
}

#[tokio::test]
async fn a_patch_changes_the_fields_that_its_body_has_be_it_to_nothing() {
    let body = r#"{"displayTitle": "x", "pages": null, "labels": {}, "etag": "1"}"#;
    let (_, message) = called("PATCH", "/books/b", body).await;
    let mask = message["updateMask"].as_str().unwrap();
    let mut mask: Vec<_> = mask.split(',').collect();
    mask.sort_unstable();
    assert_eq!(mask, ["displayTitle", "labels", "pages"]);
    assert_eq!(message["book"], json!({"displayTitle": "x", "etag": "1"}));
}

#[tokio::test]
async fn a_mask_in_the_query_is_the_mask() {
    let path = "/books/b?updateMask=pages,displayTitle";
    let (_, message) = called("PATCH", path, r#"{"pages": 3}"#).await;
    assert_eq!(message["updateMask"], "pages,displayTitle");
}

#[tokio::test]
async fn if_match_is_the_version_that_is_expected() {
    for (path, method, place) in
        [("/books/b", "PATCH", "/book/etag"), ("/books/b:burn", "POST", "/etag")]
    {
        for (header, wanted) in [("\"v1\"", Some("v1")), ("*", None)] {
            let world = World::answering(&[json!({})]);
            let mut request = request(method, path, "{}");
            request.headers_mut().insert("if-match", header.parse().unwrap());
            assert_eq!(world.send(request).await.status, 200);
            let message = world.seen().unwrap().message;
            assert_eq!(message.pointer(place).and_then(Value::as_str), wanted, "{path} {header}");
        }
    }
}

#[tokio::test]
async fn another_method_is_answered_with_those_that_there_are() {
    let world = World::default();
    let answer = world.json("PUT", "/books/b", "{}").await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "PATCH"));
    let answer = world.json("DELETE", "/shelves/a/books", "{}").await;
    assert_eq!(answer.status, 405);
    let mut allowed: Vec<_> = answer.header("allow").split(", ").collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "POST"]);
    for path in ["/openapi.json", "/library.v1.Library/GetBook"] {
        assert_eq!(world.json("PUT", path, "{}").await.status, 405, "{path}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    for path in ["/nowhere", "/books/b/c", "/books/b:steal", "/library.v1.Library/Nothing"] {
        let world = World::default();
        let answer = world.json("POST", path, "{}").await;
        assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (404, "ROUTE_UNKNOWN"));
        assert!(world.seen().is_none());
    }
}
