//! Several relays on one PostgreSQL database.

use std::{collections::BTreeMap, time::Duration};

use async_nats::jetstream::{self, consumer::pull};
use countersign_events::{Bus, Outbox, Relay, RelayOptions, admin};
use countersign_types::Clock;
use futures::{StreamExt, future::join_all};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DbBackend, Statement};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    nats::Nats,
    postgres::Postgres,
    process::{Process, count, happen, often, postgres, until, until_effects},
    stage::{Plans, cut},
};

/// What the stream has: event ids in their order.
async fn stream_ids(nats: &Nats) -> Vec<String> {
    let context = jetstream::new(async_nats::connect(nats.url()).await.unwrap());
    let stream = context.get_stream("COUNTERSIGN").await.unwrap();
    let filter_subject = "countersign.events.*.test.v1.*.*".to_owned();
    let config = pull::Config { filter_subject, ..pull::Config::default() };
    let reader = stream.create_consumer(config).await.unwrap();
    let all = reader.cached_info().num_pending;
    let messages = reader.messages().await.unwrap().take(usize::try_from(all).unwrap());
    let ids = messages.map(|message| {
        let message = message.unwrap();
        message.headers.as_ref().unwrap().get("ce-id").unwrap().as_str().to_owned()
    });
    ids.collect().await
}

#[tokio::test]
async fn two_relays_publish_each_event_once_and_each_aggregate_in_order() {
    let (engine, nats) = (Postgres::new(false), Nats::new());
    let (url, consuming) = (engine.database("producer"), engine.database("consumer"));
    let outboxes = [postgres(&url, "producer").await, postgres(&url, "producer").await];
    let consumer = postgres(&consuming, "consumer").await;
    let plans = Plans::default();
    let mut processes = Vec::new();
    for outbox in &outboxes {
        let process = Process::new(nats.options()).await.consume(&consumer, &plans);
        processes.push(process.relay(outbox));
    }
    // 20 aggregates with 10 events each, from both replicas at once.
    let aggregates: Vec<Uuid> = (0..20).map(|_| Uuid::now_v7()).collect();
    let writers = (0..).zip(&aggregates).map(async |(place, &aggregate)| {
        for number in 0..10 {
            happen(&outboxes[number % 2], aggregate, place * 10 + number as i64).await;
        }
    });
    join_all(writers).await;
    let seen = until_effects(&consumer, 200).await;
    let mut sorted = seen.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..200).collect::<Vec<_>>(), "each once");
    let unmarked = "outbox WHERE stream_sequence IS NULL OR claimant IS NOT NULL";
    until("all marked", async || count(&outboxes[0], unmarked).await == 0).await;
    for process in processes {
        process.stop().await;
    }

    let ids = stream_ids(&nats).await;
    assert_eq!(ids.len(), 200, "the stream has each once");
    let listed = admin::list(outboxes[0].db(), &admin::Filter::default()).await.unwrap();
    let by_id: BTreeMap<String, _> =
        listed.into_iter().map(|entry| (entry.event.id.to_string(), entry.event)).collect();
    let mut last: BTreeMap<Uuid, i64> = BTreeMap::new();
    for id in ids {
        let event = &by_id[&id];
        let before = last.insert(event.aggregate, event.sequence).unwrap_or(0);
        assert_eq!(event.sequence, before + 1);
    }
}

/// A relay's claims, in a process that is gone.
async fn claim_and_die(outbox: &Outbox, bus: &Bus) {
    let relay = Relay::new(outbox.clone(), bus.clone(), short_lease());
    let mut step = Box::pin(relay.step());
    // Until it has rows in hand; then it is dropped.
    until("claimed", async || {
        futures::future::poll_fn(|context| {
            let _ = step.as_mut().poll(context);
            std::task::Poll::Ready(())
        })
        .await;
        count(outbox, "outbox WHERE claimant IS NOT NULL").await > 0
    })
    .await;
}

fn short_lease() -> RelayOptions {
    RelayOptions { lease: Duration::from_millis(300), ..often() }
}

#[tokio::test]
async fn what_a_killed_relay_had_in_hand_is_taken_over_in_time() {
    let engine = Postgres::new(false);
    let mut nats = Nats::new();
    let url = engine.database("producer");
    let producer = postgres(&url, "producer").await;
    let options = nats.options();
    let bus = Bus::jetstream(options.clone()).await.unwrap();
    bus.connected().wait_for(|&connected| connected).await.unwrap();
    let aggregate = Uuid::now_v7();
    for number in 1..=3 {
        happen(&producer, aggregate, number).await;
    }
    // A broker that is stopped takes nothing, and does not say so.
    nats.freeze();
    claim_and_die(&producer, &bus).await;
    nats.thaw();
    let other = Relay::new(producer.clone(), bus, short_lease());
    assert_eq!(count(&producer, "outbox WHERE published_time IS NULL").await, 3);
    until("taken over", async || other.step().await.unwrap() > 0).await;
    while other.step().await.unwrap() > 0 {}
    assert_eq!(count(&producer, "outbox WHERE published_time IS NULL").await, 0);
}

#[tokio::test]
async fn a_relay_that_lives_keeps_what_it_has_in_hand_for_longer_than_a_claim() {
    let (engine, mut nats) = (Postgres::new(false), Nats::new());
    let producer = postgres(&engine.database("producer"), "producer").await;
    let bus = Bus::jetstream(nats.options()).await.unwrap();
    bus.connected().wait_for(|&connected| connected).await.unwrap();
    happen(&producer, Uuid::now_v7(), 1).await;
    nats.freeze();
    let slow = Relay::new(producer.clone(), bus.clone(), short_lease());
    let stepping = tokio::spawn(async move { slow.step().await });
    let held = async || {
        let sql = "SELECT claimant, claim_until FROM outbox WHERE claimant IS NOT NULL";
        let row = producer.db().query_one_raw(Statement::from_string(DbBackend::Postgres, sql));
        let row = row.await.unwrap()?;
        let claimant: Uuid = row.try_get("", "claimant").unwrap();
        Some((claimant, row.try_get::<i64>("", "claim_until").unwrap()))
    };
    until("claimed", async || held().await.is_some()).await;
    let (claimant, first) = held().await.unwrap();
    let other = Relay::new(producer.clone(), bus, short_lease());
    let lease = i64::try_from(short_lease().lease.as_micros()).unwrap();
    until("held for longer than a claim", async || {
        assert_eq!(other.step().await.unwrap(), 0);
        let (holder, claim_until) = held().await.unwrap();
        assert_eq!(holder, claimant, "it was taken from one that lives");
        claim_until > first + lease
    })
    .await;
    nats.thaw();
    assert_eq!(stepping.await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn nobody_waits_for_a_claim_of_a_clock_that_is_ahead() {
    let (engine, nats) = (Postgres::new(false), Nats::new());
    let producer = postgres(&engine.database("producer"), "producer").await;
    let bus = Bus::jetstream(nats.options()).await.unwrap();
    bus.connected().wait_for(|&connected| connected).await.unwrap();
    happen(&producer, Uuid::now_v7(), 1).await;
    let relay = Relay::new(producer.clone(), bus, often());
    // Of one that died, whose clock was half a minute ahead.
    let until = Clock::system().now().plus(Duration::from_secs(35));
    let claim = format!(
        "UPDATE outbox SET claimant = '{}', claim_until = {}",
        Uuid::new_v4(),
        until.as_micros()
    );
    producer.db().execute_unprepared(&claim).await.unwrap();
    assert_eq!(relay.step().await.unwrap(), 1);
}

#[tokio::test]
async fn a_step_is_short_however_much_more_there_is_than_when_it_was_planned() {
    let (engine, nats) = (Postgres::new(false), Nats::new());
    let url = engine.database("producer");
    let producer = postgres(&url, "producer").await;
    // Long for a step, and short where it looks for its rows once for each row.
    let limit = "ALTER DATABASE producer SET statement_timeout = '10s'";
    producer.db().execute_unprepared(limit).await.unwrap();
    let producer = postgres(&url, "producer").await;
    let bus = Bus::jetstream(nats.options()).await.unwrap();
    bus.connected().wait_for(|&connected| connected).await.unwrap();
    let relay = Relay::new(producer.clone(), bus, often());
    // The engine plans anew until it has seen a statement some times.
    for number in 0..10 {
        happen(&producer, Uuid::now_v7(), number).await;
        assert_eq!(relay.step().await.unwrap(), 1);
    }
    let columns = "kind, source, create_time, data, next_attempt_time, attempts";
    let many = format!(
        "INSERT INTO outbox (id, aggregate, sequence, {columns}) \
         SELECT gen_random_uuid(), md5((series / 6)::text)::uuid, series % 6, {columns} \
         FROM (SELECT * FROM outbox LIMIT 1) AS one, generate_series(0, 8999) AS series"
    );
    producer.db().execute_unprepared(&many).await.unwrap();
    let batch = usize::try_from(often().batch).unwrap();
    assert_eq!(relay.step().await.unwrap(), batch, "as many as it asks for");
}

#[tokio::test]
async fn who_goes_away_while_a_transaction_begins_leaves_none_open() {
    let engine = Postgres::new(false);
    let url = engine.database("producer");
    let others = postgres(&url, "producer").await;
    let mut options = ConnectOptions::new(&url);
    // The next one has the connection of the one before.
    options.max_connections(1);
    let db = Database::connect(options).await.unwrap();
    let outbox = Outbox::new(db, Clock::system(), "producer");
    for polls in 1..20 {
        for in_flight in [true, false] {
            cut(outbox.begin(), polls, in_flight).await;
            let told = "INSERT INTO effects (number) VALUES (1) RETURNING position";
            let told = Statement::from_string(DbBackend::Postgres, told);
            let told = outbox.db().query_one_raw(told).await.unwrap().unwrap();
            let position: i64 = told.try_get("", "position").unwrap();
            let there = format!("effects WHERE position = {position}");
            assert_eq!(count(&others, &there).await, 1, "{polls} polls, {in_flight}");
        }
    }
}

/// A relay that would look by itself after an hour.
fn sleepy(listen: bool, poll_interval: Duration) -> RelayOptions {
    RelayOptions { listen, poll_interval, ..RelayOptions::default() }
}

#[tokio::test]
async fn what_one_process_commits_wakes_the_relay_of_another() {
    let engine = Postgres::new(false);
    let url = engine.database("producer");
    // With notifications at once; without them by looking.
    for (listen, poll) in [(true, Duration::from_hours(1)), (false, Duration::from_millis(300))] {
        let nats = Nats::new();
        let (here, there) = (postgres(&url, "producer").await, postgres(&url, "producer").await);
        let bus = Bus::jetstream(nats.options()).await.unwrap();
        bus.connected().wait_for(|&connected| connected).await.unwrap();
        let idle = Relay::new(here.clone(), bus.clone(), sleepy(listen, poll));
        let cancel = CancellationToken::new();
        let relay = Relay::new(there.clone(), bus, sleepy(listen, poll));
        let running = tokio::spawn(relay.run(cancel.clone()));
        let listening = "pg_stat_activity WHERE query LIKE 'LISTEN%'";
        if listen {
            until("listening", async || count(&here, listening).await == 1).await;
        } else {
            assert_eq!(count(&here, listening).await, 0);
        }
        for number in 1..=3 {
            happen(&here, Uuid::now_v7(), number).await;
            let unpublished = "outbox WHERE published_time IS NULL";
            until("published", async || count(&here, unpublished).await == 0).await;
        }
        drop(idle);
        cancel.cancel();
        running.await.unwrap();
    }
}

#[tokio::test]
async fn one_replica_at_a_time_compares_with_the_stream() {
    let (engine, nats) = (Postgres::new(false), Nats::new());
    let url = engine.database("producer");
    let producer = postgres(&url, "producer").await;
    let bus = Bus::jetstream(nats.options()).await.unwrap();
    bus.connected().wait_for(|&connected| connected).await.unwrap();
    happen(&producer, Uuid::now_v7(), 1).await;
    let relays: Vec<Relay> =
        (0..4).map(|_| Relay::new(producer.clone(), bus.clone(), often())).collect();
    assert_eq!(relays[0].step().await.unwrap(), 1);
    let swept = join_all(relays.iter().map(Relay::sweep_step)).await;
    let compared: Vec<u64> = swept.into_iter().map(|swept| swept.unwrap().compared).collect();
    assert_eq!(compared.iter().sum::<u64>(), 1, "{compared:?}");
}

#[tokio::test]
async fn a_database_that_comes_back_is_worked_with_again() {
    let (mut engine, nats) = (Postgres::new(false), Nats::new());
    let (url, consuming) = (engine.database("producer"), engine.database("consumer"));
    let producer = postgres(&url, "producer").await;
    let consumer = postgres(&consuming, "consumer").await;
    let process = Process::new(nats.options()).await;
    let process = process.consume(&consumer, &Plans::default()).relay(&producer);
    let aggregate = Uuid::now_v7();
    happen(&producer, aggregate, 1).await;
    until_effects(&consumer, 1).await;
    engine.kill();
    assert!(producer.begin().await.is_err());
    engine.start();
    until("there again", async || producer.begin().await.is_ok()).await;
    happen(&producer, aggregate, 2).await;
    assert_eq!(until_effects(&consumer, 2).await, [1, 2]);
    process.stop().await;
}
