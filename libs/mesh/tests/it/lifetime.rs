//! When a connection is closed, though both sides are well.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use countersign_mesh::{Part, config::ServerConfig};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::sync::{Semaphore, mpsc};
use tonic::{Code, Response, Status};

use super::support::{EMPTY, GRPC, PROBE, Probe, Running, start};

const SOON: Duration = Duration::from_millis(20);

fn request(server: &Running) -> http::Request<Full<Bytes>> {
    http::Request::post(format!("http://{}{PROBE}", server.address))
        .header("te", "trailers")
        .header(GRPC.0, GRPC.1)
        .body(Full::new(Bytes::from_static(EMPTY)))
        .unwrap()
}

/// Answers when the semaphore says so, and tells when it was asked.
fn held(gate: &Arc<Semaphore>) -> (Probe, mpsc::Receiver<()>) {
    let (entered, entries) = mpsc::channel(1);
    let gate = Arc::clone(gate);
    let probe = Probe::new(move |_| {
        let (entered, gate) = (entered.clone(), Arc::clone(&gate));
        async move {
            entered.send(()).await.unwrap();
            gate.acquire().await.unwrap().forget();
            Ok(Response::new(String::new()))
        }
    });
    (probe, entries)
}

/// The status at the end of an answer.
async fn status(answer: http::Response<Incoming>) -> Code {
    let early = Status::from_header_map(answer.headers());
    let late = answer.into_body().collect().await.unwrap();
    let late = late.trailers().and_then(Status::from_header_map);
    early.or(late).expect("an answer with a status").code()
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed() {
    let config = ServerConfig { max_connection_idle: SOON, ..ServerConfig::default() };
    let server = start(&config, Part::new("probe").service(Probe::echo().guarded())).await;
    let (_sender, connection) = server.connect::<Full<Bytes>>().await;
    connection.await.unwrap();
}

#[tokio::test]
async fn a_connection_with_an_open_call_is_not_idle() {
    let gate = Arc::new(Semaphore::new(0));
    let (probe, mut entries) = held(&gate);
    let config = ServerConfig { max_connection_idle: SOON, ..ServerConfig::default() };
    let server = start(&config, Part::new("probe").service(probe.guarded())).await;
    let (mut sender, connection) = server.connect().await;
    let ended = tokio::spawn(connection);
    let call = tokio::spawn(sender.send_request(request(&server)));
    entries.recv().await.unwrap();
    // Another connection that has no call ends meanwhile: so much time has passed.
    let (_other, idle) = server.connect::<Full<Bytes>>().await;
    idle.await.unwrap();
    assert!(!ended.is_finished());
    gate.add_permits(1);
    assert_eq!(status(call.await.unwrap().unwrap()).await, Code::Ok);
    ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_old_connection_lets_its_calls_end_and_takes_no_more() {
    let gate = Arc::new(Semaphore::new(0));
    let (probe, mut entries) = held(&gate);
    let config = ServerConfig { max_connection_age: SOON, ..ServerConfig::default() };
    let server = start(&config, Part::new("probe").service(probe.guarded())).await;
    let (mut sender, connection) = server.connect().await;
    let ended = tokio::spawn(connection);
    let call = tokio::spawn(sender.send_request(request(&server)));
    entries.recv().await.unwrap();
    // Two others, one after the other, come to their end: so much time has passed.
    for _ in 0..2 {
        let (_other, old) = server.connect::<Full<Bytes>>().await;
        old.await.unwrap();
    }
    assert!(sender.send_request(request(&server)).await.is_err(), "it takes no more");
    gate.add_permits(1);
    assert_eq!(status(call.await.unwrap().unwrap()).await, Code::Ok);
    ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_call_that_outlives_the_grace_of_its_connection_is_cut_off() {
    let gate = Arc::new(Semaphore::new(0));
    let (probe, mut entries) = held(&gate);
    let config = ServerConfig {
        max_connection_age: SOON,
        max_connection_grace: SOON,
        ..ServerConfig::default()
    };
    let server = start(&config, Part::new("probe").service(probe.guarded())).await;
    let (mut sender, connection) = server.connect().await;
    tokio::spawn(connection);
    let call = tokio::spawn(sender.send_request(request(&server)));
    entries.recv().await.unwrap();
    assert!(call.await.unwrap().is_err());
}
