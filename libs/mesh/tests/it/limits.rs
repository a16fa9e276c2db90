//! What the server bears, and what it answers beyond that.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use countersign_mesh::{
    Part,
    config::ServerConfig,
    health::v1::{HealthCheckRequest, health_client::HealthClient},
    server::Priority,
};
use futures::future::pending;
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    sync::{Semaphore, mpsc},
};
use tonic::{Code, Response};
use tonic_types::StatusExt;

use super::{
    replicas::ONCE,
    support::{EMPTY, GRPC, MAX_MESSAGE, PROBE, Probe, call, call_at, reason, start, start_probe},
};

const SOON: Duration = Duration::from_millis(20);

fn never() -> Probe {
    Probe::new(|_| pending())
}

/// A probe that tells of each call that came in, and holds it.
struct Gated {
    probe: Probe,
    entries: mpsc::Receiver<()>,
    /// A permit lets one call go.
    gate: Arc<Semaphore>,
}

fn gated() -> Gated {
    let (entered, entries) = mpsc::channel(8);
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let probe = Probe::new(move |request| {
        let (entered, gate) = (entered.clone(), Arc::clone(&opened));
        async move {
            entered.send(()).await.unwrap();
            gate.acquire().await.unwrap().forget();
            Ok(Response::new(request.into_inner()))
        }
    });
    Gated { probe, entries, gate }
}

#[tokio::test]
async fn a_call_ends_when_the_clients_time_is_over() {
    let server = start_probe(never()).await;
    let status = server.raw(PROBE, &[GRPC, ("grpc-timeout", "20m")], EMPTY).await.status();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(reason(&status), "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn a_call_without_a_deadline_ends_when_the_servers_time_is_over() {
    let config = ServerConfig { request_timeout: SOON, ..ServerConfig::default() };
    let server = start(&config, Part::new("probe").service(never().guarded())).await;
    let status = server.raw(PROBE, &[GRPC], EMPTY).await.status();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_client_cannot_ask_for_more_than_the_longest_deadline() {
    let config = ServerConfig { max_request_timeout: SOON, ..ServerConfig::default() };
    let server = start(&config, Part::new("probe").service(never().guarded())).await;
    let status = server.raw(PROBE, &[GRPC, ("grpc-timeout", "99H")], EMPTY).await.status();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn an_expired_deadline_is_answered_before_the_handler_runs() {
    let ran = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&ran);
    let server = start_probe(Probe::new(move |_| {
        seen.store(true, Ordering::SeqCst);
        async { Ok(Response::new(String::new())) }
    }))
    .await;
    let status = server.raw(PROBE, &[GRPC, ("grpc-timeout", "0n")], EMPTY).await.status();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(reason(&status), "DEADLINE_EXCEEDED");
    assert!(!ran.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_malformed_deadline_is_refused() {
    let server = start_probe(Probe::echo()).await;
    for malformed in ["", "S", "10", "1s", "123456789S", "-1S", "1 S"] {
        let status = server.raw(PROBE, &[GRPC, ("grpc-timeout", malformed)], EMPTY).await.status();
        assert_eq!(status.code(), Code::InvalidArgument, "{malformed:?}");
        assert_eq!(reason(&status), "MALFORMED_TIMEOUT", "{malformed:?}");
    }
    let status = server.raw(PROBE, &[GRPC, ("grpc-timeout", "99999999H")], EMPTY).await.status();
    assert_eq!(status.code(), Code::Ok);
}

#[tokio::test]
async fn a_stream_ends_when_the_clients_time_is_over() {
    let server = start_probe(Probe::echo()).await;
    let watch = "/grpc.health.v1.Health/Watch";
    let answer = server.raw(watch, &[GRPC, ("grpc-timeout", "50m")], EMPTY).await;
    assert!(!answer.body.is_empty(), "the first status came");
    assert_eq!(answer.status().code(), Code::DeadlineExceeded);
    assert_eq!(reason(&answer.status()), "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_by_its_length() {
    let server = start_probe(Probe::echo()).await;
    assert!(server.call(&"x".repeat(MAX_MESSAGE - 8)).await.is_ok());
    let status = server.call(&"x".repeat(MAX_MESSAGE)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(reason(&status), "MESSAGE_TOO_LARGE");
    // A promise of 4 GiB is refused though nothing of it was sent.
    let status = server.raw(PROBE, &[GRPC], &[0, 255, 255, 255, 255]).await.status();
    assert_eq!(reason(&status), "MESSAGE_TOO_LARGE");
}

#[tokio::test]
async fn one_call_too_many_is_shed_and_health_is_not() {
    let Gated { probe, mut entries, gate } = gated();
    let config = ServerConfig { max_concurrent_calls: 1, ..ServerConfig::default() };
    let server = start(&config, Part::new("probe").service(probe.guarded())).await;

    let first = tokio::spawn(call(server.channel(), tonic::Request::new("first".to_owned())));
    entries.recv().await.unwrap();
    let status = server.call("second").await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(reason(&status), "SERVER_BUSY");
    assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
    let mut health = HealthClient::new(server.channel());
    assert!(health.check(HealthCheckRequest::default()).await.is_ok());

    gate.add_permits(1);
    assert_eq!(first.await.unwrap().unwrap().into_inner(), "first");
    gate.add_permits(1);
    assert!(server.call("third").await.is_ok(), "its place is free again");
}

#[tokio::test]
async fn what_nobody_waits_for_is_shed_before_what_others_wait_for() {
    // Of five places, these leave one and two to the others.
    for (priority, its_places) in [(Priority::Low, 4), (Priority::Lowest, 3)] {
        let Gated { probe, mut entries, gate } = gated();
        let config = ServerConfig { max_concurrent_calls: 5, ..ServerConfig::default() };
        let part = Part::new("probe").service(probe.guarded());
        let server = start(&config, part.priority(priority, &["test.v1.Probe/Once"])).await;
        let request = || tonic::Request::new(String::new());
        let mut open = Vec::new();
        for _ in 0..its_places {
            open.push(tokio::spawn(call_at(server.channel(), ONCE, request())));
            entries.recv().await.unwrap();
        }
        let status = call_at(server.channel(), ONCE, request()).await.unwrap_err();
        assert_eq!(reason(&status), "SERVER_BUSY", "{priority:?}");
        for _ in its_places..5 {
            open.push(tokio::spawn(call(server.channel(), request())));
            entries.recv().await.unwrap();
        }
        let status = call(server.channel(), request()).await.unwrap_err();
        assert_eq!(reason(&status), "SERVER_BUSY", "{priority:?}");
        gate.add_permits(5);
        for call in open {
            assert!(call.await.unwrap().is_ok());
        }
    }
}

#[tokio::test]
async fn calls_whose_message_is_not_there_take_no_place() {
    let config = ServerConfig {
        max_concurrent_calls: 1,
        max_concurrent_calls_per_peer: 1,
        ..ServerConfig::default()
    };
    let server = start(&config, Part::new("probe").service(Probe::echo().guarded())).await;
    let (mut sender, connection) = server.connect().await;
    tokio::spawn(connection);
    // Headers only, and a message without its last byte.
    for bytes in [&[][..], &[0, 0, 0, 0, 1]] {
        for _ in 0..16 {
            sender.ready().await.unwrap();
            tokio::spawn(sender.send_request(server.unfinished(bytes)));
        }
    }
    for _ in 0..16 {
        assert!(server.call("whole").await.is_ok());
    }
}

#[tokio::test]
async fn a_message_that_does_not_arrive_in_time_ends_its_call() {
    let config = ServerConfig { message_timeout: SOON, ..ServerConfig::default() };
    let server = start(&config, Part::new("probe").service(Probe::echo().guarded())).await;
    let (mut sender, connection) = server.connect().await;
    tokio::spawn(connection);
    for bytes in [&[][..], &[0, 0, 0, 0, 1], EMPTY] {
        let answer = sender.send_request(server.unfinished(bytes)).await.unwrap();
        let status = tonic::Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{bytes:?}");
        assert_eq!(reason(&status), "MESSAGE_TOO_SLOW", "{bytes:?}");
    }
}

#[tokio::test]
async fn no_peer_takes_all_places() {
    let (entered, mut entries) = mpsc::channel(1);
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let probe = Probe::new(move |_| {
        let (entered, gate) = (entered.clone(), Arc::clone(&opened));
        async move {
            entered.send(()).await.unwrap();
            gate.acquire().await.unwrap().forget();
            Ok(Response::new(String::new()))
        }
    });
    let config = ServerConfig { max_concurrent_calls_per_peer: 1, ..ServerConfig::default() };
    let server = start(&config, Part::new("probe").service(probe.guarded())).await;
    let first = tokio::spawn(call(server.channel(), tonic::Request::new(String::new())));
    entries.recv().await.unwrap();
    let status = server.call("").await.unwrap_err();
    assert_eq!(reason(&status), "SERVER_BUSY");
    gate.add_permits(1);
    assert!(first.await.unwrap().is_ok());
}

#[tokio::test]
async fn one_connection_too_many_of_a_peer_is_closed() {
    let config = ServerConfig { max_connections_per_peer: 1, ..ServerConfig::default() };
    let server = start(&config, Part::new("probe").service(Probe::echo().guarded())).await;
    let channel = server.channel();
    let request = || tonic::Request::new(String::new());
    assert!(call(channel.clone(), request()).await.is_ok());
    let mut second = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(second.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert!(call(channel, request()).await.is_ok(), "the first is still served");
}

#[tokio::test]
async fn one_connection_too_many_is_closed() {
    let config = ServerConfig { max_connections: 1, ..ServerConfig::default() };
    let server = start(&config, Part::new("probe").service(Probe::echo().guarded())).await;
    let channel = server.channel();
    let request = || tonic::Request::new(String::new());
    assert!(call(channel.clone(), request()).await.is_ok());
    let mut second = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(second.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert!(call(channel, request()).await.is_ok(), "the first is still served");
}

#[tokio::test]
async fn a_connection_that_never_speaks_is_closed() {
    let config = ServerConfig { handshake_timeout: SOON, ..ServerConfig::default() };
    let server = start(&config, Part::new("probe").service(Probe::echo().guarded())).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut said = Vec::new();
    // The end of the stream, after whatever the server says first.
    let _ = silent.read_to_end(&mut said).await;
    assert!(server.call("").await.is_ok());
}

#[tokio::test]
async fn headers_that_are_too_large_are_refused_up_to_a_megabyte() {
    let server = start_probe(Probe::echo()).await;
    for length in [16 * 1024, 100_000, 1024 * 1024] {
        let token = "x".repeat(length);
        let status = server.raw(PROBE, &[GRPC, ("authorization", &token)], EMPTY).await.status();
        assert_eq!(status.code(), Code::ResourceExhausted, "{length}");
        assert_eq!(reason(&status), "HEADERS_TOO_LARGE", "{length}");
    }
    let token = "x".repeat(8 * 1024);
    let status = server.raw(PROBE, &[GRPC, ("authorization", &token)], EMPTY).await.status();
    assert_eq!(status.code(), Code::Ok);
}
