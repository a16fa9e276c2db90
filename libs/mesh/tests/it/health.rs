//! Health follows the parts.

use countersign_mesh::{
    Part, Readiness,
    config::ServerConfig,
    health::v1::{
        HealthCheckRequest, HealthListRequest, health_check_response::ServingStatus,
        health_client::HealthClient,
    },
};
use tonic::Code;

use super::support::{Probe, reason, start, start_probe};

const SERVICE: &str = "test.v1.Probe";

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

#[tokio::test]
async fn a_service_is_serving_when_its_part_is_ready() {
    let (ready, readiness) = Readiness::new(false);
    let part = Part::new("probe").service(Probe::echo().guarded()).ready(readiness);
    let server = start(&ServerConfig::default(), part).await;
    let mut health = HealthClient::new(server.channel());
    for (is_ready, expected) in [(false, ServingStatus::NotServing), (true, ServingStatus::Serving)]
    {
        ready.send(is_ready).unwrap();
        for service in ["", SERVICE] {
            let answer = health.check(of(service)).await.unwrap().into_inner();
            assert_eq!(answer.status(), expected, "{service:?}");
        }
    }
}

#[tokio::test]
async fn an_unknown_service_is_not_found() {
    let server = start_probe(Probe::echo()).await;
    let status = HealthClient::new(server.channel()).check(of("no.Such")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(reason(&status), "SERVICE_UNKNOWN");
}

#[tokio::test]
async fn list_tells_every_status() {
    let server = start_probe(Probe::echo()).await;
    let mut health = HealthClient::new(server.channel());
    let statuses = health.list(HealthListRequest {}).await.unwrap().into_inner().statuses;
    let names: Vec<_> = statuses.keys().map(String::as_str).collect();
    assert_eq!(names, ["", SERVICE]);
    assert!(statuses.values().all(|status| status.status() == ServingStatus::Serving));
}

#[tokio::test]
async fn a_condition_is_told_and_does_not_count_for_the_whole() {
    let (_away, away) = Readiness::new(false);
    let part = Part::new("probe").service(Probe::echo().guarded()).condition("test.broker", away);
    let server = start(&ServerConfig::default(), part).await;
    let mut health = HealthClient::new(server.channel());
    let status = async |name| health.clone().check(of(name)).await.unwrap().into_inner().status();
    assert_eq!(status("test.broker").await, ServingStatus::NotServing);
    assert_eq!(status("").await, ServingStatus::Serving);
    assert!(health.list(HealthListRequest {}).await.is_ok());
}

#[tokio::test]
async fn watch_tells_each_change_and_ends_when_the_server_stops() {
    let (ready, readiness) = Readiness::new(false);
    let part = Part::new("probe").service(Probe::echo().guarded()).ready(readiness);
    let server = start(&ServerConfig::default(), part).await;
    let mut health = HealthClient::new(server.channel());
    let mut changes = health.watch(of(SERVICE)).await.unwrap().into_inner();
    let mut next = async || changes.message().await.map(|change| change.unwrap().status());
    assert_eq!(next().await.unwrap(), ServingStatus::NotServing);
    ready.send(true).unwrap();
    assert_eq!(next().await.unwrap(), ServingStatus::Serving);
    server.shutdown.cancel();
    assert_eq!(next().await.unwrap(), ServingStatus::NotServing);
    let status = next().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(reason(&status), "SERVER_STOPPING");
    assert!(server.stopped().await.unwrap().drained);
}

#[tokio::test]
async fn watching_an_unknown_service_says_so() {
    let server = start_probe(Probe::echo()).await;
    let mut health = HealthClient::new(server.channel());
    let mut changes = health.watch(of("no.Such")).await.unwrap().into_inner();
    let first = changes.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::ServiceUnknown);
}

#[tokio::test]
async fn watches_are_bounded() {
    let config = ServerConfig { max_connections_per_peer: 1024, ..ServerConfig::default() };
    let server = start(&config, Part::new("probe").service(Probe::echo().guarded())).await;
    let mut open = Vec::new();
    let refused = loop {
        // Two channels, for a connection carries 128 streams.
        let mut health = HealthClient::new(server.channel());
        match health.watch(of("")).await {
            Ok(watch) => open.push((health, watch)),
            Err(status) => break status,
        }
    };
    assert_eq!(open.len(), 256);
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(reason(&refused), "TOO_MANY_WATCHES");
}

#[tokio::test]
async fn a_part_is_ready_when_all_that_it_needs_is() {
    let (first, readiness) = Readiness::new(true);
    let (second, also) = Readiness::new(false);
    let part = Part::new("probe").service(Probe::echo().guarded()).ready(readiness).ready(also);
    let running = start(&ServerConfig::default(), part).await;
    let mut health = HealthClient::new(running.channel());
    for (one, other, serves) in [(true, false, false), (true, true, true), (false, true, false)] {
        first.send_replace(one);
        second.send_replace(other);
        for service in ["", "test.v1.Probe"] {
            let request = HealthCheckRequest { service: service.to_owned() };
            let status = health.check(request).await.unwrap().into_inner().status();
            assert_eq!(status == ServingStatus::Serving, serves, "{service:?}");
        }
    }
}
