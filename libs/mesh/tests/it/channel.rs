//! A channel: which replicas it finds, and how it keeps to them.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    str::FromStr,
    sync::{Arc, Mutex},
    time::Duration,
};

use countersign_mesh::{
    Part, Readiness,
    channel::Target,
    config::{ChannelConfig, ServerConfig},
    health::v1::{
        HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
    },
};
use futures::FutureExt;
use tokio::net::{TcpListener, UnixListener};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Code, Request, Response, transport::Server};

use super::{
    replicas::{
        CALL, Mode, ONCE, Replica, ask, channel, channel_to, hurried, replicas, to, under_load,
        until,
    },
    support::{Probe, start},
};

#[tokio::test]
async fn calls_go_to_every_replica_of_a_list() {
    let replicas = replicas(3).await;
    let channel = to(&replicas, &ChannelConfig::default());
    under_load(&channel, ONCE, until("all are called", || replicas.iter().all(|r| r.calls() > 10)))
        .await;
}

#[tokio::test]
async fn a_replica_that_is_at_work_gets_no_call_while_another_is_idle() {
    let replicas = replicas(2).await;
    let channel = to(&replicas, &ChannelConfig::default());
    until("both are there", || channel.available() == 2).await;
    replicas[0].set(Mode::Hangs);
    let mut open = Vec::new();
    while replicas[0].calls() == 0 {
        let channel = channel.clone();
        open.push(tokio::spawn(async move { ask(&channel, ONCE).await }));
        until("it arrives", || replicas.iter().map(|r| r.calls()).sum::<usize>() == open.len())
            .await;
    }
    for _ in 0..50 {
        ask(&channel, ONCE).await.unwrap();
    }
    assert_eq!(replicas[0].calls(), 1);
}

#[tokio::test]
async fn a_name_is_resolved() {
    let replica = Replica::start().await;
    let target = format!("dns:///localhost:{}", replica.address.port());
    let channel = channel_to(target.parse().unwrap(), &ChannelConfig::default());
    ask(&channel, CALL).await.unwrap();
    assert_eq!(replica.calls(), 1);
}

#[tokio::test]
async fn a_socket_on_this_machine_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("probe.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let server = Server::builder().add_service(Probe::echo().guarded());
    tokio::spawn(server.serve_with_incoming(UnixListenerStream::new(listener)));
    let target = Target::from_str(&format!("unix:{}", path.display())).unwrap();
    ask(&channel_to(target, &ChannelConfig::default()), CALL).await.unwrap();
}

#[tokio::test]
async fn new_addresses_of_a_name_are_found_and_gone_ones_left_without_a_lost_call() {
    let replicas = replicas(3).await;
    let addresses: Vec<SocketAddr> = replicas.iter().map(|replica| replica.address).collect();
    let known = Arc::new(Mutex::new(addresses[..1].to_vec()));
    let found = Arc::clone(&known);
    let find = move || {
        let found = found.lock().unwrap().clone();
        async move { Ok(found) }.boxed()
    };
    let target = Target::found_by("probe:1", find).unwrap();
    let resolve_interval = Duration::from_millis(20);
    let channel = channel_to(target, &ChannelConfig { resolve_interval, ..hurried() });
    let steps = async {
        until("the first is called", || replicas[0].calls() > 0).await;
        *known.lock().unwrap() = addresses[1..].to_vec();
        until("the others are called", || replicas[1..].iter().all(|r| r.calls() > 0)).await;
        until("the first is left", || channel.available() == 2).await;
        // A name without addresses is a fault of its server.
        known.lock().unwrap().clear();
        let before = replicas[1].calls();
        until("the last ones stay", || replicas[1].calls() > before + 100).await;
    };
    under_load(&channel, ONCE, steps).await;
    let before = replicas[0].calls();
    ask(&channel, CALL).await.unwrap();
    assert_eq!(replicas[0].calls(), before);
}

#[tokio::test]
async fn only_replicas_that_say_that_they_serve_are_called() {
    let (serving, readiness) = Readiness::new(false);
    let one = Replica::with(|part: Part| part.ready(readiness)).await;
    let other = Replica::start().await;
    let config = ChannelConfig { health_service: Some("test.v1.Probe".to_owned()), ..hurried() };
    let channel = channel(&[one.address, other.address], &config);
    let steps = async {
        until("the other is called", || other.calls() > 100).await;
        assert_eq!(one.calls(), 0);
        serving.send_replace(true);
        until("the one is called", || one.calls() > 0).await;
        serving.send_replace(false);
        until("it is left again", || channel.available() == 1).await;
    };
    under_load(&channel, ONCE, steps).await;
}

#[tokio::test]
async fn a_replica_that_takes_connections_and_never_speaks_is_not_called() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let replica = Replica::start().await;
    let addresses = [silent.local_addr().unwrap(), replica.address];
    let channel = channel(&addresses, &ChannelConfig::default());
    for _ in 0..20 {
        ask(&channel, ONCE).await.unwrap();
    }
    assert_eq!(channel.available(), 1);
}

#[tokio::test]
async fn a_stream_comes_message_by_message_and_ends_with_its_deadline() {
    let (serving, readiness) = Readiness::new(false);
    let replica = Replica::with(|part: Part| part.ready(readiness)).await;
    let mut client = HealthClient::new(channel(&[replica.address], &hurried()));
    let question = || HealthCheckRequest { service: "test.v1.Probe".to_owned() };
    let mut answers = client.watch(question()).await.unwrap().into_inner();
    for expected in [ServingStatus::NotServing, ServingStatus::Serving] {
        assert_eq!(answers.message().await.unwrap().unwrap().status(), expected);
        serving.send_replace(true);
    }

    let mut request = Request::new(question());
    request.set_timeout(Duration::from_millis(200));
    let mut answers = client.watch(request).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    assert_eq!(answers.message().await.unwrap_err().code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_message_that_is_too_large_is_not_sent() {
    let replica = Replica::start().await;
    let config = ChannelConfig { max_message_bytes: 8, ..hurried() };
    let refused = ask(&channel(&[replica.address], &config), CALL).await.unwrap_err();
    assert_eq!((refused.code(), replica.calls()), (Code::ResourceExhausted, 0));
    let config = ChannelConfig { max_message_bytes: 11, ..hurried() };
    ask(&channel(&[replica.address], &config), CALL).await.unwrap();
}

#[tokio::test]
async fn where_nobody_listens_a_call_ends_and_says_whom_it_wanted() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let config = ChannelConfig { ready_timeout: Duration::from_millis(50), ..hurried() };
    let refused = ask(&channel(&[nobody], &config), CALL).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains(&nobody.to_string()), "{refused}");
}

#[tokio::test]
async fn an_old_connection_is_replaced_and_no_call_is_lost_by_that() {
    let peers = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&peers);
    let probe = Probe::new(move |request: Request<String>| {
        seen.lock().unwrap().insert(request.remote_addr().unwrap());
        async { Ok(Response::new(request.into_inner())) }
    });
    let part = Part::new("probe").service(probe.guarded());
    let server = start(&ServerConfig::default(), part).await;
    let max_connection_age = Duration::from_millis(50);
    let channel =
        channel(&[server.address], &ChannelConfig { max_connection_age, ..Default::default() });
    let replaced = until("there were five", || peers.lock().unwrap().len() >= 5);
    under_load(&channel, ONCE, replaced).await;
}
