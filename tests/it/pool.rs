//! Few connections to the database: whoever needs one waits, not for ever, and
//! nobody needs two at a time.

use std::{collections::BTreeSet, time::Duration};

use countersign::Config;
use countersign_contracts::user::v1::Profile;
use countersign_tests::{TestApp, Topology, on_every_topology, refusal};
use futures::future::join_all;
use sea_orm::{ConnectionTrait, TransactionTrait};
use tonic::Code;

fn connections(count: u32) -> impl Fn(&mut Config) {
    move |config| {
        config.database.auth.max_connections = count;
        config.database.user.max_connections = count;
    }
}

async fn a_whole_life_passes_through_one_connection(topology: Topology) {
    for count in [1, 2] {
        let app = TestApp::on_with(topology, connections(count)).await;
        let people: Vec<_> = (0..8).map(|n| format!("ada-{n}")).collect();
        let registered =
            join_all(people.iter().map(async |name| app.clients().register(name).await));
        for person in registered.await {
            person.expect("a registration");
        }
        app.settle().await;
        join_all(people.iter().map(async |name| {
            let ada = app.clients().login(&countersign_tests::email_of(name)).await.unwrap();
            let profile = Profile { bio: "one at a time".to_owned(), ..Profile::default() };
            ada.clients.update(profile, &["bio"]).await.unwrap();
            ada.refreshed().await.unwrap().clients.logout().await.unwrap();
        }))
        .await;
        app.settle().await;
    }
}

async fn sixty_four_refreshes_through_one_connection_are_all_answered(topology: Topology) {
    let app = TestApp::on_with(topology, connections(1)).await;
    let ada = app.signed_in("ada").await;
    let clients = app.clients();
    let answers = join_all((0..64).map(|_| clients.refresh(&ada.refresh_token))).await;
    let successors: BTreeSet<_> =
        answers.into_iter().map(|answer| answer.unwrap().refresh_token).collect();
    assert_eq!(successors.len(), 1);
    app.settle().await;
}

#[tokio::test]
async fn who_gets_no_connection_is_told_so_in_time_and_nothing_stays_stuck() {
    let app = TestApp::on_with(Topology::SplitPostgres, |config| {
        connections(1)(config);
        config.database.auth.acquire_timeout = Duration::from_millis(700);
    })
    .await;
    let ada = app.signed_in("ada").await;
    app.settle().await;
    // Whoever comes first in each process has its one connection, and waits for this.
    let ledger = app.ledger().await;
    let lock = ledger.auth.begin().await.unwrap();
    lock.execute_unprepared("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let clients = app.clients();
    let mut calls: futures::stream::FuturesUnordered<_> =
        (0..16).map(|_| clients.refresh(&ada.refresh_token)).collect();
    let mut busy = 0;
    let mut lock = Some(lock);
    while let Some(answer) = futures::StreamExt::next(&mut calls).await {
        match answer {
            Ok(_) => assert!(lock.is_none(), "nobody gets past the lock"),
            Err(status) => {
                let refused = refusal::<()>(Err(status)).is(Code::Unavailable, "STORAGE_BUSY");
                assert!(refused.retry_after.is_some(), "{refused:?}");
                busy += 1;
            }
        }
        // Those in hand go on as soon as they can.
        if busy >= 8
            && let Some(lock) = lock.take()
        {
            lock.rollback().await.unwrap();
        }
    }
    assert!((8..16).contains(&busy), "{busy} of 16 found no connection");
    app.clients().refresh(&ada.refresh_token).await.expect("the pool is whole again");
}

on_every_topology![
    a_whole_life_passes_through_one_connection,
    sixty_four_refreshes_through_one_connection_are_all_answered,
];
