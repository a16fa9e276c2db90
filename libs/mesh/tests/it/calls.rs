//! What every call gets: an id, a line in the log, and an error with a reason.

use countersign_mesh::{
    Part,
    config::{HttpConfig, ServerConfig},
};
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

use super::{
    lines::Lines,
    support::{EMPTY, GRPC, PROBE, Probe, call, reason, start, start_probe},
};

/// Answers with the id that the handler sees.
fn tell_id() -> Probe {
    Probe::new(|request| async move {
        let id = request.metadata().get("x-request-id").unwrap().to_str().unwrap().to_owned();
        Ok(Response::new(id))
    })
}

#[tokio::test]
async fn a_sane_request_id_is_kept_for_the_handler_and_returned() {
    let server = start_probe(tell_id()).await;
    let mut request = Request::new(String::new());
    request.metadata_mut().insert("x-request-id", "order-66/b".parse().unwrap());
    let response = call(server.channel(), request).await.unwrap();
    assert_eq!(response.metadata().get("x-request-id").unwrap(), "order-66/b");
    assert_eq!(response.get_ref(), "order-66/b");
}

#[tokio::test]
async fn a_missing_or_insane_request_id_is_replaced() {
    let server = start_probe(tell_id()).await;
    for given in [None, Some("two words".to_owned()), Some("x".repeat(65)), Some(String::new())] {
        let mut request = Request::new(String::new());
        if let Some(given) = &given {
            request.metadata_mut().insert("x-request-id", given.parse().unwrap());
        }
        let response = call(server.channel(), request).await.unwrap();
        let returned = response.metadata().get("x-request-id").unwrap().to_str().unwrap();
        assert_eq!(response.get_ref(), returned);
        assert!(Uuid::try_parse(returned).is_ok(), "{given:?} became {returned}");
    }
}

#[tokio::test]
async fn where_http_is_off_what_is_not_grpc_is_turned_away_in_plain_http() {
    let http = HttpConfig { enabled: false, ..HttpConfig::default() };
    let config = ServerConfig { http, ..ServerConfig::default() };
    let server = start(&config, Part::new("probe").service(Probe::echo().guarded())).await;
    let others =
        ["text/html", "application/grpc-web", "application/grpc+json", "application/grpcx"];
    for other in others {
        let answer = server.raw(PROBE, &[("content-type", other)], EMPTY).await;
        assert_eq!(answer.http, 415, "{other}");
        assert!(!answer.headers.contains_key("grpc-status"));
        assert!(answer.headers.contains_key("x-request-id"));
    }
    assert_eq!(server.raw(PROBE, &[], EMPTY).await.http, 415);
    let answer = server.raw(PROBE, &[("content-type", "application/grpc+proto")], EMPTY).await;
    assert_eq!(answer.status().code(), Code::Ok);
}

#[tokio::test]
async fn where_http_is_on_a_door_answers_what_is_not_grpc() {
    let server = start_probe(Probe::echo()).await;
    for (kind, http) in [("text/html", 404), ("application/grpc+json", 415)] {
        let answer = server.raw(PROBE, &[("content-type", kind)], EMPTY).await;
        assert_eq!(answer.http, http, "{kind}");
        assert!(!answer.headers.contains_key("grpc-status"));
        assert!(answer.headers.contains_key("x-request-id"));
    }
    let web = server.raw(PROBE, &[("content-type", "application/grpc-web")], EMPTY).await;
    assert_eq!(web.http, 200);
    assert_eq!(web.headers["content-type"], "application/grpc-web+proto");
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_the_clients_error() {
    let server = start_probe(Probe::echo()).await;
    let malformed: [(&str, &[u8]); 5] = [
        ("invalid utf-8", &[0, 0, 0, 0, 3, 0x0a, 1, 0xff]),
        ("a field that ends too early", &[0, 0, 0, 0, 2, 0x0a, 9]),
        ("a frame that ends too early", &[0, 0, 0, 0, 9, 1]),
        ("compressed without an encoding", &[1, 0, 0, 0, 0]),
        ("no message", &[]),
    ];
    for (name, body) in malformed {
        let status = server.raw(PROBE, &[GRPC], body).await.status();
        assert_eq!(status.code(), Code::InvalidArgument, "{name}: {status:?}");
        assert_eq!(reason(&status), "MALFORMED_MESSAGE", "{name}");
    }
}

#[tokio::test]
async fn an_unknown_service_or_method_is_unimplemented_with_a_reason() {
    let server = start_probe(Probe::echo()).await;
    for path in ["/test.v1.Other/Call", "/grpc.health.v1.Health/Cure", "/"] {
        let status = server.raw(path, &[GRPC], EMPTY).await.status();
        assert_eq!(status.code(), Code::Unimplemented, "{path}");
        assert_eq!(reason(&status), "UNIMPLEMENTED", "{path}");
    }
}

#[tokio::test]
async fn the_text_of_an_internal_error_stays_inside() {
    for hidden in [Status::internal("secret"), Status::unknown("secret")] {
        let server = start_probe(Probe::new(move |_| {
            let hidden = hidden.clone();
            async { Err(hidden) }
        }))
        .await;
        let status = server.call("").await.unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        assert_eq!(status.message(), "an internal error occurred");
        assert_eq!(reason(&status), "INTERNAL");
    }
}

#[tokio::test]
async fn any_other_error_keeps_its_code_and_text_and_gets_a_reason() {
    let server =
        start_probe(Probe::new(|_| async { Err(Status::aborted("somebody was faster")) })).await;
    let status = server.call("").await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Aborted, "somebody was faster"));
    assert_eq!(reason(&status), "ABORTED");
}

#[tokio::test]
async fn a_panic_is_an_internal_error_of_its_call_alone() {
    let server = start_probe(Probe::new(|request| async {
        let text = request.into_inner();
        assert_ne!(text, "panic", "as asked");
        Ok(Response::new(text))
    }))
    .await;
    let status = server.call("panic").await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(reason(&status), "INTERNAL");
    assert_eq!(server.call("calm").await.unwrap().into_inner(), "calm");
}

#[tokio::test]
async fn each_call_is_one_line_with_its_status_and_nothing_of_its_content() {
    let lines = Lines::default();
    let log = tracing_subscriber::fmt().json().flatten_event(true).with_writer(lines.clone());
    // It sees the calls of all tests; those of this one are told by their ids.
    tracing::subscriber::set_global_default(log.finish()).unwrap();
    let server = start_probe(Probe::new(|request| async move {
        match request.get_ref().as_str() {
            "fine" => Ok(Response::new(String::new())),
            "denied" => Err(Status::permission_denied("no")),
            _ => Err(Status::internal("broken")),
        }
    }))
    .await;
    for text in ["fine", "denied", "broken"] {
        let mut request = Request::new(text.to_owned());
        request.metadata_mut().insert("x-request-id", format!("logged-{text}").parse().unwrap());
        request.metadata_mut().insert("authorization", "Bearer hush".parse().unwrap());
        let _ = call(server.channel(), request).await;
    }
    let text = lines.text();
    let calls: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &serde_json::Value| {
            let id = line["request.id"].as_str().unwrap_or_default();
            line["message"] == "call" && id.starts_with("logged-")
        })
        .collect();
    let shown = |name: &str| calls.iter().map(|line| line[name].clone()).collect::<Vec<_>>();
    assert_eq!(shown("rpc.method"), vec!["test.v1.Probe/Call"; 3]);
    assert_eq!(shown("rpc.status"), ["OK", "PERMISSION_DENIED", "INTERNAL"]);
    assert_eq!(shown("level"), ["INFO", "INFO", "ERROR"]);
    assert_eq!(shown("request.id"), ["logged-fine", "logged-denied", "logged-broken"]);
    assert!(calls.iter().all(|line| line["duration_ms"].is_f64()));
    assert!(!text.contains("hush"));
}
