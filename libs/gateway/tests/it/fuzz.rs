//! Whatever comes by HTTP, it is answered as HTTP, and nothing panics; what is let
//! through is a message of the contract. `make fuzz` runs the same for minutes.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use proptest::{collection::vec, prelude::*};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tonic::body::Body;

use crate::world::World;

/// As many cases as `FUZZ_CASES` says, or those of an ordinary run.
fn cases(ordinary: u32) -> ProptestConfig {
    let asked = std::env::var("FUZZ_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(asked.unwrap_or(ordinary))
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

/// Words that a path or a query is made of, and others.
fn target() -> impl Strategy<Value = String> {
    let words = [
        "/",
        "//",
        ":",
        "books",
        "shelves",
        "burn",
        "watch",
        "b",
        "%2F",
        "%2e",
        "..",
        "%",
        "%C3%A9",
        "%ff",
        "{name}",
        "*",
        "?",
        "&",
        "=",
        "page_size",
        "tags",
        "by.family_name",
        "update_mask",
        "kind",
        "since",
        "1",
        "true",
        "-",
        "+",
        "openapi.json",
        "library.v1.Library",
        "GetBook",
    ];
    vec(prop::sample::select(words.to_vec()), 0..12)
        .prop_map(|words| format!("/{}", words.concat()))
}

/// Texts that are nearly JSON, nearly of a book.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\"pages\"",
        "\"display_title\"",
        "\"displayTitle\"",
        "\"sequel\"",
        "\"authors\"",
        "\"labels\"",
        "\"printTime\"",
        "\"weight\"",
        "\"kind\"",
        "1",
        "-1",
        "1e400",
        "123456789012345678901234567890",
        "null",
        "true",
        "\"x\"",
        "\"\\ud800\"",
        "\"2026-01-01T00:00:00Z\"",
        "\"KIND_NOVEL\"",
        "\u{0}",
        "é",
        " ",
    ];
    let text = vec(prop::sample::select(words.to_vec()), 0..40)
        .prop_map(|words| words.concat().into_bytes());
    prop_oneof![4 => text, 1 => vec(any::<u8>(), 0..64), 2 => object().prop_map(|value| value.to_string().into_bytes())]
}

/// JSON whose keys are those of a book, and some others.
fn object() -> impl Strategy<Value = serde_json::Value> {
    let keys = [
        "name",
        "pages",
        "weight",
        "etag",
        "kind",
        "bought_from",
        "givenBy",
        "labels",
        "print_time",
        "authors",
        "sequel",
        "cover",
        "price",
        "copies",
        "other",
        "",
    ];
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|truth| json!(truth)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
        ".{0,12}".prop_map(|text| json!(text)),
    ];
    leaf.prop_recursive(6, 40, 6, move |inner| {
        let key = prop::sample::select(keys.to_vec()).prop_map(str::to_owned);
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|items| json!(items)),
            prop::collection::btree_map(key, inner, 0..6).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn any_request_is_answered(
        method in prop::sample::select(vec!["GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "HEAD"]),
        target in target(),
        body in body(),
        kind in prop::sample::select(vec!["application/json", "application/json; charset=utf-8", "text/plain", ""]),
        etag in prop::option::of("[ -~]{0,8}"),
    ) {
        let builder = Request::builder().method(method).uri(&target);
        let mut builder = builder.header("content-type", kind);
        if let Some(etag) = etag {
            builder = builder.header("if-match", etag);
        }
        // What is no URI comes through no server of HTTP.
        let Ok(request) = builder.body(Body::new(Full::new(Bytes::from(body)))) else { return Ok(()) };
        let world = World::answering(&[json!({})]);
        let answer = runtime().block_on(world.send(request));
        let status = answer.status.as_u16();
        prop_assert!((200..500).contains(&status), "{status}");
        prop_assert_eq!(world.seen().is_some(), answer.status.is_success() && !target.starts_with("/openapi"));
        if answer.header("content-type") == "application/json" {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).is_ok());
        }
    }

    #[test]
    fn what_is_let_through_of_a_body_says_what_the_body_says(value in object()) {
        let world = World::answering(&[json!({})]);
        let answer = runtime().block_on(world.json("PATCH", "/books/b", &value.to_string()));
        let Some(seen) = world.seen() else {
            prop_assert_eq!(answer.status.as_u16(), 400);
            return Ok(());
        };
        let Some(pages) = value.get("pages").filter(|pages| !pages.is_null()) else { return Ok(()) };
        let pages = pages.as_f64().or_else(|| pages.as_str()?.parse().ok());
        prop_assert_eq!(seen.message["book"]["pages"].as_f64().unwrap_or(0.0), pages.unwrap());
    }
}
