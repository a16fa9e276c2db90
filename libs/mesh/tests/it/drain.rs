//! Stopping: calls first, tasks after them, and a panic of a task for all.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use countersign_mesh::{
    Error, Part, Task,
    config::ServerConfig,
    health::v1::{
        HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
    },
    server::{Report, Server},
};
use futures::future::pending;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response};

use super::support::{Probe, call, start};

#[tokio::test]
async fn an_open_call_ends_well_and_tasks_outlive_it() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let gate = Arc::new(Semaphore::new(0));
    let (entered, mut entries) = mpsc::channel(1);
    let probe = {
        let (order, gate) = (Arc::clone(&order), Arc::clone(&gate));
        Probe::new(move |_| {
            let (order, gate, entered) = (Arc::clone(&order), Arc::clone(&gate), entered.clone());
            async move {
                entered.send(()).await.unwrap();
                gate.acquire().await.unwrap().forget();
                order.lock().unwrap().push("the call is answered");
                Ok(Response::new("answer".to_owned()))
            }
        })
    };
    let task = {
        let order = Arc::clone(&order);
        Task::new("keeper", move |cancel: CancellationToken| async move {
            cancel.cancelled().await;
            order.lock().unwrap().push("the task is told to stop");
        })
    };
    let part = Part::new("probe").service(probe.guarded()).task(task);
    let server = start(&ServerConfig::default(), part).await;

    let mut health = HealthClient::new(server.channel());
    let watch = health.watch(HealthCheckRequest::default()).await.unwrap();
    let mut changes = watch.into_inner();
    assert_eq!(changes.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let open = tokio::spawn(call(server.channel(), Request::new(String::new())));
    entries.recv().await.unwrap();

    server.shutdown.cancel();
    assert_eq!(changes.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    gate.add_permits(1);
    assert_eq!(open.await.unwrap().unwrap().into_inner(), "answer");
    let address = server.address;
    let report = server.stopped().await.unwrap();
    assert_eq!(report, Report { drained: true, tasks_cut: Vec::new() });
    assert_eq!(*order.lock().unwrap(), ["the call is answered", "the task is told to stop"]);
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut_off_and_reported() {
    let (entered, mut entries) = mpsc::channel(1);
    let probe = Probe::new(move |_| {
        let entered = entered.clone();
        async move {
            entered.send(()).await.unwrap();
            pending().await
        }
    });
    let part = Part::new("probe").service(probe.guarded()).task(Task::new("deaf", |_| pending()));
    let config =
        ServerConfig { drain_timeout: Duration::from_millis(20), ..ServerConfig::default() };
    let server = start(&config, part).await;
    let open = tokio::spawn(call(server.channel(), Request::new(String::new())));
    entries.recv().await.unwrap();
    server.shutdown.cancel();
    let report = server.stopped().await.unwrap();
    assert_eq!(report, Report { drained: false, tasks_cut: vec!["probe/deaf".to_owned()] });
    assert!(open.await.unwrap().is_err());
}

#[tokio::test]
async fn a_panicking_task_stops_the_server() {
    let part = Part::new("probe")
        .service(Probe::echo().guarded())
        .task(Task::new("done", |_| async {}))
        .task(Task::new("broken", |_| async { panic!("as asked") }));
    let server = start(&ServerConfig::default(), part).await;
    let error = server.stopped().await.unwrap_err();
    assert!(matches!(error, Error::TaskPanicked { part: "probe", task: "broken" }), "{error}");
}

#[tokio::test]
async fn a_service_can_not_be_mounted_twice() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::new(&ServerConfig::default())
        .part(Part::new("one").service(Probe::echo().guarded()))
        .part(Part::new("other").service(Probe::echo().guarded()));
    let error = server.serve(listener, CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "the service test.v1.Probe is mounted twice");
}
