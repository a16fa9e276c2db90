//! PostgreSQL that goes away under running services, in every way it can: calls
//! are refused in time and told when to come back, health tells, and everything
//! goes on by itself when it is there again.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use countersign_contracts::{
    auth::v1::{GetVerificationKeysRequest, ListSessionsRequest},
    user::v1::Profile,
};
use countersign_mesh::health::v1::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use countersign_tests::{
    Clients, Ledger, Login, Proxy, Refusal, Surroundings, TestApp, Topology, Weather,
    engines::{Postgres, Safety},
    refusal,
};
use futures::future::join_all;
use tonic::Code;

/// How long anything may take that only has to come about.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the refusals of a database that is away ask for at least, and at most.
const RETRY: std::ops::RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_secs(4);

/// A system on a PostgreSQL of its own, which it reaches by a wire.
struct Yard {
    app: TestApp,
    wire: Proxy,
    postgres: Postgres,
}

impl Yard {
    async fn new() -> Self {
        let postgres = Postgres::start(Safety::Durable).await;
        let wire = Proxy::start(Some(postgres.address())).await;
        let database = Some(format!("postgres://countersign@{}/postgres", wire.address()));
        let around = Surroundings { database, ..Surroundings::default() };
        let app = TestApp::among(around, Topology::SplitPostgres, |_| ()).await;
        Self { app, wire, postgres }
    }

    /// Waits until every replica says so of itself.
    async fn all_are(&self, status: ServingStatus) {
        let (auth, user) = self.app.replicas();
        for &address in auth.iter().chain(user) {
            let mut health = HealthClient::new(Clients::of(address).channel());
            let deadline = Instant::now() + PATIENCE;
            loop {
                let asked = health.check(HealthCheckRequest { service: String::new() }).await;
                if asked.unwrap().into_inner().status() == status {
                    break;
                }
                assert!(Instant::now() < deadline, "{address} is never {status:?}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

/// One of each kind of call that needs the database.
async fn calls(clients: &Clients, ada: &Login) -> Vec<Refusal> {
    let profile = Profile { bio: "gone".to_owned(), ..Profile::default() };
    let (email, token) = ("ada@example.org", ada.refresh_token.as_str());
    let (mut sessions, list) = (ada.clients.sessions(), sessions_of_me());
    let (register, login, refresh, get, update, list, logout) = tokio::join!(
        clients.register("bob"),
        clients.login(email),
        clients.refresh(token),
        ada.clients.profile("me"),
        ada.clients.update(profile, &["bio"]),
        sessions.list_sessions(list),
        ada.clients.logout(),
    );
    vec![
        refusal(register),
        refusal(login),
        refusal(refresh),
        refusal(get),
        refusal(update),
        refusal(list),
        refusal(logout),
    ]
}

fn sessions_of_me() -> ListSessionsRequest {
    ListSessionsRequest { user_id: "me".to_owned(), ..ListSessionsRequest::default() }
}

async fn goes_and_comes_back(go: impl AsyncFnOnce(&mut Yard), come: impl AsyncFnOnce(&mut Yard)) {
    let mut yard = Yard::new().await;
    let ada = yard.app.signed_in("ada").await;
    let eve = yard.app.clients().login("ada@example.org").await.unwrap();
    yard.app.settle().await;
    go(&mut yard).await;
    for _ in 0..3 {
        for refused in calls(&yard.app.clients(), &ada).await {
            let refused = refused.is(Code::Unavailable, "STORAGE_UNAVAILABLE");
            let retry = refused.retry_after.expect("a time to come back");
            assert!(RETRY.contains(&retry), "{refused:?}");
        }
    }
    let keys = yard.app.clients().auth().get_verification_keys(GetVerificationKeysRequest {}).await;
    keys.expect("what needs no database is answered");
    yard.all_are(ServingStatus::NotServing).await;

    come(&mut yard).await;
    yard.all_are(ServingStatus::Serving).await;
    let app = &yard.app;
    let again = eve.refreshed().await.expect("a session outlives it");
    again.clients.profile("me").await.unwrap();
    let bob = app.active("bob-after").await;
    let bob = app.login(&bob).await;
    bob.clients.logout().await.unwrap();
    app.shut_out(&bob.clients).await;
    let Yard { app, wire: _wire, postgres: _postgres } = yard;
    drop(app);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_killed_is_missed_and_taken_up_again() {
    goes_and_comes_back(
        async |yard: &mut Yard| yard.postgres.kill().await,
        async |yard: &mut Yard| {
            yard.postgres.restart().await;
            yard.wire.lead_to(yard.postgres.address());
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stops_in_good_order_is_missed_and_taken_up_again() {
    goes_and_comes_back(
        async |yard: &mut Yard| yard.postgres.stop().await,
        async |yard: &mut Yard| {
            yard.postgres.restart().await;
            yard.wire.lead_to(yard.postgres.address());
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_behind_a_cut_wire_is_missed_and_taken_up_again() {
    goes_and_comes_back(
        async |yard: &mut Yard| yard.wire.set(Weather::Cut),
        async |yard: &mut Yard| yard.wire.heal(),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stands_still_is_missed_and_taken_up_again() {
    goes_and_comes_back(
        // Its first process alone lets nobody in; those that serve go on. So does
        // a machine that hangs: what is there stays, and nothing comes.
        async |yard: &mut Yard| {
            yard.postgres.signal("STOP").await;
            yard.wire.reset();
        },
        async |yard: &mut Yard| {
            yard.postgres.signal("CONT").await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_storms_a_database_that_comes_back() {
    const CLIENTS: usize = 100;
    let mut yard = Yard::new().await;
    let ada = yard.app.signed_in("ada").await;
    yard.postgres.kill().await;
    calls(&yard.app.clients(), &ada).await;
    let refused = join_all((0..CLIENTS).map(|_| ada.clients.profile("me"))).await;
    let times: BTreeSet<_> = refused.into_iter().map(|r| refusal(r).retry_after.unwrap()).collect();
    assert!(times.len() > CLIENTS / 2, "those who went together come back together: {times:?}");

    // Clients without manners: all again at once, for as long as it takes.
    let storm = (0..CLIENTS).map(|_| async {
        let deadline = Instant::now() + PATIENCE;
        while ada.clients.profile("me").await.is_err() {
            assert!(Instant::now() < deadline, "it never comes back");
        }
    });
    let most = async {
        yard.postgres.restart().await;
        yard.wire.lead_to(yard.postgres.address());
        let mut most = 0;
        let ledger = yard.app.ledger().await;
        for _ in 0..50 {
            let count =
                "SELECT count(*) AS n FROM pg_stat_activity WHERE backend_type = 'client backend'";
            most = most.max(Ledger::number(&ledger.auth, count).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        ledger.close().await;
        most
    };
    let (most, _) = tokio::join!(most, join_all(storm));
    // Four processes with eight in the pool, one that listens and one that looks; the ledger's two.
    assert!(most <= 4 * 10 + 2, "{most} connections");
    let Yard { app, wire: _wire, postgres: _postgres } = yard;
    drop(app);
}
