//! A replica whose clock is wrong: nobody notices.

use std::{collections::BTreeSet, time::Duration};

use countersign_auth::admin;
use countersign_events::admin as events;
use countersign_tests::{Clients, Surroundings, TestApp, Topology, refusal};
use countersign_types::Timestamp;
use tonic::Code;

const OFF: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_replica_whose_clock_is_half_a_minute_off_harms_nobody() {
    let around = Surroundings { skew: Some(OFF), ..Surroundings::default() };
    let app = TestApp::among(around, Topology::SplitPostgres, |_| ()).await;
    app.active("ada").await;
    let (auth, user) = app.replicas();
    let (auth, user) = (auth.to_vec(), user.to_vec());
    for (here, there) in [(auth[0], auth[1]), (auth[1], auth[0])] {
        let (here, there) = (Clients::of(here), Clients::of(there));
        let ada = here.login("ada@example.org").await.unwrap();
        let next = here.refresh(&ada.refresh_token).await.unwrap();
        // The answer was lost, and the other replica is asked for it.
        let again = there.refresh(&ada.refresh_token).await.expect("within the window");
        assert_eq!(next.refresh_token, again.refresh_token);
        for token in [&ada.access_token, &next.access_token, &again.access_token] {
            for &guard in &user {
                let clients = Clients::of(guard).with_token(token);
                clients.profile("me").await.expect("a token is good at once, and everywhere");
            }
        }
        let last = there.refresh(&again.refresh_token).await.unwrap();
        there.with_token(&last.access_token).logout().await.unwrap();
        app.shut_out(&Clients::to(&auth, &user).with_token(&last.access_token)).await;
        let ended = refusal(here.refresh(&last.refresh_token).await);
        assert_eq!(ended.code, Code::Unauthenticated);
    }
    app.settle().await;
    let ledger = app.ledger().await;
    assert!(ledger.events("RefreshReuseDetected").await.is_empty());
    let keys = admin::list_keys(&ledger.auth).await.unwrap();
    assert_eq!(keys.len(), 1, "both replicas go by one key");
    // Leases: whoever has events in hand keeps them, and each arrives once.
    events::replay(&ledger.auth, Timestamp::EPOCH, None).await.unwrap();
    app.settle().await;
    let created = ledger.events("ProfileCreated").await;
    let ids: BTreeSet<_> = created.iter().map(|entry| entry.event.id).collect();
    assert_eq!((created.len(), ids.len()), (1, 1));
}
