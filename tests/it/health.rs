//! Health and reflection: what tools ask before anything else.

use countersign_mesh::health::v1::{
    HealthCheckRequest, HealthListRequest, health_check_response::ServingStatus,
    health_client::HealthClient,
};
use countersign_tests::{Clients, TestApp, Topology, on_every_topology, refusal};
use prost_reflect::DescriptorPool;
use tokio_stream::StreamExt;
use tonic::Code;
use tonic_reflection::pb;

const SERVICES: [&str; 4] = [
    "countersign.auth.v1.AuthService",
    "countersign.auth.v1.SessionService",
    "countersign.user.v1.ProfileService",
    "grpc.health.v1.Health",
];

async fn every_service_is_serving_and_listed_by_each_process_that_has_it(topology: Topology) {
    let app = TestApp::on(topology).await;
    let (auth, user) = app.replicas();
    for (addresses, services) in [(auth, &SERVICES[..2]), (user, &SERVICES[2..3])] {
        for &address in addresses {
            let mut health = HealthClient::new(Clients::of(address).channel());
            for &service in services.iter().chain(&[""]) {
                let request = HealthCheckRequest { service: service.to_owned() };
                let answer = health.check(request).await.unwrap().into_inner();
                assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
            }
            let unknown = HealthCheckRequest { service: "no.such".to_owned() };
            assert_eq!(refusal(health.check(unknown).await).code, Code::NotFound);
            let listed = health.list(HealthListRequest {}).await.unwrap().into_inner().statuses;
            for &service in services {
                assert_eq!(listed[service].status(), ServingStatus::Serving);
            }
        }
    }
}

async fn who_watches_hears_the_status_at_once(topology: Topology) {
    let app = TestApp::on(topology).await;
    let mut health = HealthClient::new(Clients::of(app.user_address()).channel());
    let request = HealthCheckRequest { service: SERVICES[2].to_owned() };
    let mut statuses = health.watch(request).await.unwrap().into_inner();
    let first = statuses.next().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
}

// Embedded alone: it steps the probes. On PostgreSQL, `database_gone` asks the same.
#[tokio::test]
async fn a_service_that_cannot_write_is_not_serving_until_it_can() {
    use ServingStatus::{NotServing, Serving};
    let app = TestApp::start_with(|config| config.database.auth.max_connections = 1).await;
    let statuses = async || {
        app.probe().await;
        let mut health = HealthClient::new(app.clients().channel());
        let listed = health.list(HealthListRequest {}).await.unwrap().into_inner().statuses;
        ["", SERVICES[0], SERVICES[1], SERVICES[2]].map(|service| listed[service].status())
    };
    let ada = app.signed_in("ada").await;
    app.set_auth_read_only(true).await;
    assert_eq!(statuses().await, [Serving; 4], "once may be an accident");
    assert_eq!(statuses().await, [NotServing, NotServing, NotServing, Serving]);
    ada.clients.profile("me").await.expect("what can be answered is answered");
    app.set_auth_read_only(false).await;
    assert_eq!(statuses().await, [Serving; 4]);
}

// Embedded alone, where one process has all there is to be listed: each mounts it by the same
// function.
#[tokio::test]
async fn reflection_v1_lists_the_services_and_keeps_the_rules() {
    use pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let app = TestApp::start().await;
    let mut client = ServerReflectionClient::new(app.clients().channel());
    let ask =
        |question| ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let symbol = "countersign.user.v1.ProfileService".to_owned();
    let questions = tokio_stream::iter([
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(symbol)),
    ]);
    let mut answers = client.server_reflection_info(questions).await.unwrap().into_inner();

    let Some(MessageResponse::ListServicesResponse(list)) =
        answers.next().await.unwrap().unwrap().message_response
    else {
        panic!("a list of services");
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for service in SERVICES {
        assert!(names.iter().any(|name| name == service), "{service} in {names:?}");
    }
    let Some(MessageResponse::FileDescriptorResponse(files)) =
        answers.next().await.unwrap().unwrap().message_response
    else {
        panic!("a file");
    };
    // What a client needs to read the rule comes along or can be asked for.
    let all = countersign_contracts::DESCRIPTOR_SET;
    let pool = DescriptorPool::decode(all).unwrap();
    let rule = pool.get_extension_by_name("countersign.policy.v1.rule").unwrap();
    let service = pool.get_service_by_name("countersign.user.v1.ProfileService").unwrap();
    assert!(service.methods().all(|method| method.options().has_extension(&rule)));
    assert!(
        files
            .file_descriptor_proto
            .iter()
            .any(|file| { file.windows(10).any(|window| window == b"GetProfile") })
    );
}

#[tokio::test]
async fn reflection_v1alpha_answers_older_tools() {
    use pb::v1alpha::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let app = TestApp::start().await;
    let mut client = ServerReflectionClient::new(app.clients().channel());
    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let questions = tokio_stream::iter([question]);
    let mut answers = client.server_reflection_info(questions).await.unwrap().into_inner();
    let answer = answers.next().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else {
        panic!("a list of services");
    };
    assert!(list.service.len() >= SERVICES.len());
}

on_every_topology![
    every_service_is_serving_and_listed_by_each_process_that_has_it,
    who_watches_hears_the_status_at_once,
];
