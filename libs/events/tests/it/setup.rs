//! The stream and its consumers at the broker, as found and as wanted.

use std::time::Duration;

use async_nats::jetstream::{
    consumer::{PullConsumer, pull},
    stream,
};
use countersign_events::{Bus, JetStreamOptions};
use uuid::Uuid;

use crate::{
    follow::{follow, set},
    nats::{Cluster, Nats},
    process::{Process, effects, happen, until, until_effects},
    town::{Town, server},
};

#[tokio::test]
async fn a_drifted_configuration_is_left_alone_until_it_is_to_be_corrected() {
    let (town, nats) = (Town::new(), Nats::new());
    let (producer, consumer) = (town.producer().await, town.consumer().await);
    let context = server(&nats.options()).await;
    let drifted = stream::Config {
        name: "COUNTERSIGN".to_owned(),
        subjects: vec!["countersign.events.>".to_owned()],
        max_age: Duration::from_hours(1),
        ..stream::Config::default()
    };
    let stream = context.create_stream(drifted).await.unwrap();
    let other = pull::Config {
        durable_name: Some("consumer-recorder".to_owned()),
        ack_wait: Duration::from_secs(7),
        max_deliver: 5,
        filter_subjects: vec!["countersign.events.*.test.v1.Other.*".to_owned()],
        ..pull::Config::default()
    };
    stream.create_consumer(other).await.unwrap();

    let mut number = 0;
    for reconcile in [false, true] {
        let options = JetStreamOptions { reconcile, ..nats.options() };
        let process = Process::new(options).await.consume(&consumer, &town.plans).relay(&producer);
        number += 1;
        happen(&producer, Uuid::now_v7(), number).await;
        // A kind that it did not take is taken in any case: no event is missed.
        until_effects(&consumer, usize::try_from(number).unwrap()).await;
        process.stop().await;
        let stream = context.get_stream("COUNTERSIGN").await.unwrap();
        let age = stream.cached_info().config.max_age;
        let durable: PullConsumer = stream.get_consumer("consumer-recorder").await.unwrap();
        let config = &durable.cached_info().config;
        let happened = "countersign.events.*.test.v1.Happened.*".to_owned();
        assert!(config.filter_subjects.contains(&happened) || config.filter_subject == happened);
        if reconcile {
            assert_eq!(age, Duration::from_hours(14 * 24));
            assert_eq!((config.max_deliver, config.ack_wait), (-1, nats.options().ack_wait));
        } else {
            assert_eq!(age, Duration::from_hours(1));
            assert_eq!((config.max_deliver, config.ack_wait), (5, Duration::from_secs(7)));
        }
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_named_at_the_start() {
    let credentials_file = Some("/nowhere/auth.creds".into());
    let options =
        JetStreamOptions { credentials_file, ..JetStreamOptions::new(["nats://[::1]:1"]) };
    let error = Bus::jetstream(options).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/auth.creds"), "{error}");
}

#[tokio::test]
async fn a_cluster_of_three_goes_on_without_one() {
    let (town, mut cluster) = (Town::new(), Cluster::new());
    let (producer, consumer) = (town.producer().await, town.consumer().await);
    let process = Process::new(cluster.options()).await;
    let (following, seen) = follow(&process.bus);
    let process = process.consume(&consumer, &town.plans).relay(&producer);
    let aggregate = Uuid::now_v7();
    happen(&producer, aggregate, 1).await;
    until_effects(&consumer, 1).await;
    let stream = server(&cluster.options()).await.get_stream("COUNTERSIGN").await.unwrap();
    let info = stream.cached_info();
    assert_eq!(info.config.num_replicas, 3, "it follows the cluster");
    let leader = info.cluster.as_ref().unwrap().leader.clone().unwrap();
    let leader: usize = leader.trim_start_matches('n').parse().unwrap();

    cluster.kill(leader);
    for number in 2..=10 {
        happen(&producer, aggregate, number).await;
    }
    assert_eq!(until_effects(&consumer, 10).await, (1..=10).collect::<Vec<_>>());
    cluster.start(leader);
    happen(&producer, aggregate, 11).await;
    assert_eq!(until_effects(&consumer, 11).await, (1..=11).collect::<Vec<_>>());
    until("followed", async || set(&seen) == (1..=11).collect::<Vec<_>>()).await;
    until("caught up", async || *following.caught_up().borrow()).await;
    process.stop().await;
    assert_eq!(effects(&consumer).await.len(), 11);
}
