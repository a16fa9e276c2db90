//! A broker that is away for long: people register, log in and out, and their
//! events wait; when it is back they arrive, in their order and once.

use std::time::{Duration, Instant};

use countersign::Config;
use countersign_contracts::{auth::v1::ListSessionsRequest, user::v1::Profile};
use countersign_mesh::health::v1::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use countersign_tests::{Clients, Ledger, Surroundings, TestApp, Topology, engines::Nats, refusal};
use futures::{StreamExt, stream};
use tonic::Code;

const PATIENCE: Duration = Duration::from_secs(60);
const BUS: &str = "countersign.bus";
/// Who comes while it is away.
const PEOPLE: usize = 200;
/// How often somebody changes the profile meanwhile.
const CHANGES: usize = 30;
/// Events of one aggregate that do not stand in the stream as they happened.
const OUT_OF_ORDER: &str = "SELECT count(*) AS n FROM outbox a JOIN outbox b \
     ON a.aggregate = b.aggregate AND a.sequence < b.sequence \
     WHERE a.stream_sequence >= b.stream_sequence";
const NOT_IN_THE_STREAM: &str = "SELECT count(*) AS n FROM outbox WHERE stream_sequence IS NULL";

async fn every_replica_says(app: &TestApp, service: &str, status: ServingStatus) {
    let (auth, user) = app.replicas();
    for &address in auth.iter().chain(user) {
        let mut health = HealthClient::new(Clients::of(address).channel());
        let deadline = Instant::now() + PATIENCE;
        loop {
            let asked = health.check(HealthCheckRequest { service: service.to_owned() }).await;
            if asked.unwrap().into_inner().status() == status {
                break;
            }
            assert!(Instant::now() < deadline, "{service:?} of {address} is never {status:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn work_goes_on_without_a_broker_and_its_events_arrive_in_order_and_once(topology: Topology) {
    let mut nats = Nats::start().await;
    let around = Surroundings { broker: Some(nats.url()), ..Surroundings::default() };
    let app = TestApp::among(around, topology, |_| ()).await;
    let (ada, bob) = (app.signed_in("ada").await, app.signed_in("bob").await);
    app.settle().await;
    every_replica_says(&app, BUS, ServingStatus::Serving).await;

    nats.kill().await;
    every_replica_says(&app, BUS, ServingStatus::NotServing).await;
    every_replica_says(&app, "", ServingStatus::Serving).await;
    let names = (0..PEOPLE).map(|n| format!("new-{n}"));
    let clients = app.clients();
    let registered = stream::iter(names).map(|name| {
        let clients = clients.clone();
        async move { clients.register(&name).await.expect("a registration needs no broker") }
    });
    let people: Vec<_> = registered.buffer_unordered(8).collect().await;
    for n in 0..CHANGES {
        let profile = Profile { bio: format!("change {n}"), ..Profile::default() };
        ada.clients.update(profile, &["bio"]).await.expect("nor does an update");
    }
    let ada = ada.refreshed().await.expect("nor a refresh");
    app.clients().login("ada@example.org").await.expect("nor a login");
    bob.clients.logout().await.expect("nor a logout");
    let waits = refusal(app.clients().login(&people[0].email).await);
    assert_eq!(waits.code, Code::FailedPrecondition, "{waits:?}");
    let ledger = app.ledger().await;
    assert!(ledger.unpublished().await > 0, "events wait");

    nats.restart().await;
    every_replica_says(&app, BUS, ServingStatus::Serving).await;
    // While they catch up, others get their turn.
    ada.clients.profile("me").await.unwrap();
    app.clients().login("ada@example.org").await.unwrap();
    app.settle().await;
    app.shut_out(&bob.clients).await;
    for person in &people {
        assert_eq!(ledger.events_of("ProfileCreated", &person.user_id).await, 1);
    }
    app.clients().login(&people[0].email).await.expect("everybody is active");
    for db in [&ledger.auth, &ledger.user] {
        assert_eq!(Ledger::number(db, OUT_OF_ORDER).await, 0, "each aggregate kept its order");
    }
    app.settle().await;
    assert_eq!(Ledger::number(&ledger.user, NOT_IN_THE_STREAM).await, 0);
    let profiles = Ledger::number(&ledger.user, "SELECT count(*) AS n FROM profiles").await;
    assert_eq!(usize::try_from(profiles), Ok(PEOPLE + 2));
    let active = "SELECT count(*) AS n FROM accounts WHERE status = 'active'";
    let active = Ledger::number(&ledger.auth, active).await;
    assert_eq!(usize::try_from(active), Ok(PEOPLE + 2));
}

/// Asks until there is an answer.
async fn soon<T>(ask: impl AsyncFn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "it never comes");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_guard_that_may_not_go_on_with_old_news_refuses_until_it_hears_again() {
    let mut nats = Nats::start().await;
    let around = Surroundings { broker: Some(nats.url()), ..Surroundings::default() };
    let strict = |config: &mut Config| config.token.max_staleness = Duration::from_secs(5);
    let app = TestApp::among(around, Topology::SplitSqlite, strict).await;
    let ada = app.signed_in("ada").await;
    assert!(ada.clients.profile("me").await.is_ok());

    nats.kill().await;
    let refused = soon(async || ada.clients.profile("me").await.err()).await;
    refusal::<()>(Err(refused)).is(Code::Unavailable, "GUARD_NOT_READY");
    // The auth service revokes for itself, and reads of others in its database.
    let request = ListSessionsRequest { user_id: "me".to_owned(), ..Default::default() };
    assert!(ada.clients.sessions().list_sessions(request).await.is_ok());

    nats.restart().await;
    soon(async || ada.clients.profile("me").await.ok()).await;
}

// Without a broker there is none to lose: the embedded topology has no part in this.
countersign_tests::on_topology!(
    split_on_sqlite,
    SplitSqlite,
    work_goes_on_without_a_broker_and_its_events_arrive_in_order_and_once
);
countersign_tests::on_topology!(
    split_on_postgres,
    SplitPostgres,
    work_goes_on_without_a_broker_and_its_events_arrive_in_order_and_once
);
