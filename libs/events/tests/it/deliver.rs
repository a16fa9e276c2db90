//! What a consumer does with what the broker brings.

use std::{sync::Arc, time::Duration};

use async_nats::{HeaderMap, jetstream::consumer::PullConsumer};
use countersign_events::{BoxFuture, Event, Handler, JetStreamOptions, Unit, admin};
use countersign_types::Fault;
use prost::Name;
use sea_orm::ConnectionTrait;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    nats::Nats,
    process::{Process, count, effects, happen, until, until_effects},
    stage::{Followed, Happened, NONE, Plan},
    town::{Town, server},
};

/// Takes its time, until it is let go.
struct Slow {
    reached: Arc<Notify>,
    go: Arc<Notify>,
}

impl Handler for Slow {
    fn handle<'a>(&'a self, unit: &'a Unit, _: &'a Event) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async {
            unit.execute_unprepared("INSERT INTO effects (number) VALUES (1)").await.unwrap();
            self.reached.notify_one();
            self.go.notified().await;
            Ok(())
        })
    }
}

#[tokio::test]
async fn a_consumer_killed_in_the_middle_leaves_one_effect() {
    let (town, nats) = (Town::new(), Nats::new());
    let (producer, consumer) = (town.producer().await, town.consumer().await);
    let (reached, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = || Slow { reached: Arc::clone(&reached), go: Arc::clone(&go) };
    let relaying = Process::new(nats.options()).await.relay(&producer);
    let first = Process::new(nats.options()).await.handle(&consumer, slow());
    happen(&producer, Uuid::now_v7(), 1).await;
    reached.notified().await;
    first.kill().await;
    assert_eq!(effects(&consumer).await, NONE);

    let second = Process::new(nats.options()).await.handle(&consumer, slow());
    reached.notified().await;
    go.notify_one();
    assert_eq!(until_effects(&consumer, 1).await, [1]);
    second.stop().await;
    relaying.stop().await;
    assert_eq!(count(&consumer, "effects").await, 1);
}

#[tokio::test]
async fn a_handler_slower_than_the_broker_waits_is_not_asked_twice() {
    let (town, nats) = (Town::new(), Nats::new());
    let (producer, consumer) = (town.producer().await, town.consumer().await);
    let options = JetStreamOptions { ack_wait: Duration::from_millis(300), ..nats.options() };
    let (reached, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = Slow { reached: Arc::clone(&reached), go: Arc::clone(&go) };
    let process = Process::new(options).await.relay(&producer).handle(&consumer, slow);
    happen(&producer, Uuid::now_v7(), 1).await;
    reached.notified().await;
    let stream = server(&nats.options()).await.get_stream("COUNTERSIGN").await.unwrap();
    let long = tokio::time::sleep(Duration::from_secs(1));
    long.await;
    let mut durable: PullConsumer = stream.get_consumer("consumer-recorder").await.unwrap();
    assert_eq!(durable.info().await.unwrap().num_redelivered, 0);
    go.notify_one();
    until_effects(&consumer, 1).await;
    process.stop().await;
}

#[tokio::test]
async fn poison_and_what_is_no_event_become_dead_letters_and_hold_nobody_up() {
    let (town, nats) = (Town::new(), Nats::new());
    let (producer, consumer) = (town.producer().await, town.consumer().await);
    town.plans.lock().unwrap().insert(1, Plan::Refuse);
    let process =
        Process::new(nats.options()).await.consume(&consumer, &town.plans).relay(&producer);
    let aggregate = Uuid::now_v7();
    for number in 1..=3 {
        happen(&producer, aggregate, number).await;
    }
    assert_eq!(until_effects(&consumer, 2).await, [2, 3], "in order, behind the poison");

    let context = server(&nats.options()).await;
    let subject = format!("countersign.events.producer.test.v1.Happened.{aggregate}");
    let stream = context.get_stream("COUNTERSIGN").await.unwrap();
    let event = stream.get_last_raw_message_by_subject(&subject).await.unwrap();
    let bare = context.publish(subject.clone(), "x".into()).await.unwrap();
    bare.await.unwrap();
    // All headers, and data that are no message.
    let mut headers: HeaderMap = event.headers;
    let id = Uuid::now_v7().to_string();
    headers.insert("Nats-Msg-Id", id.as_str());
    headers.insert("ce-id", id.as_str());
    let broken = context.publish_with_headers(subject, headers, vec![0xFF; 3].into());
    broken.await.unwrap().await.unwrap();
    happen(&producer, aggregate, 4).await;
    assert_eq!(until_effects(&consumer, 3).await, [2, 3, 4]);

    until("dead letters", async || count(&consumer, "dead_letters").await == 3).await;
    let dead = admin::dead(consumer.db(), 0).await.unwrap();
    let errors: Vec<&str> = dead.iter().map(|letter| letter.error.as_str()).collect();
    for start in ["POISON", "MALFORMED: ce-id is missing", "EVENT_MALFORMED"] {
        assert!(errors.iter().any(|error| error.starts_with(start)), "{start}: {errors:?}");
    }
    let mut durable: PullConsumer = stream.get_consumer("consumer-recorder").await.unwrap();
    until("nothing left", async || {
        let info = durable.info().await.unwrap();
        info.num_pending == 0 && info.num_ack_pending == 0
    })
    .await;
    process.stop().await;
}

/// Both kinds, as a newer version takes them.
struct Both;

impl Handler for Both {
    fn handle<'a>(&'a self, unit: &'a Unit, event: &'a Event) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async {
            let number = match event.decode::<Followed>() {
                Ok(followed) => followed.number,
                Err(_) => event.decode::<Happened>()?.number,
            };
            let insert = format!("INSERT INTO effects (number) VALUES ({number})");
            unit.execute_unprepared(&insert).await.unwrap();
            Ok(())
        })
    }
}

#[tokio::test]
async fn an_old_version_leaves_a_new_kind_to_the_new_one() {
    let (town, nats) = (Town::new(), Nats::new());
    let (producer, consumer) = (town.producer().await, town.consumer().await);
    let kinds = [Happened::full_name(), Followed::full_name()];
    let new = || async { Process::new(nats.options()).await.handle_kinds(&kinds, &consumer, Both) };
    let relaying = Process::new(nats.options()).await.relay(&producer);
    let first = new().await;
    happen(&producer, Uuid::now_v7(), 1).await;
    until_effects(&consumer, 1).await;
    first.stop().await;

    let old = Process::new(nats.options()).await.consume(&consumer, &town.plans);
    let unit = producer.begin().await.unwrap();
    unit.append(Uuid::now_v7(), &Followed { number: 7 }).await.unwrap();
    unit.commit().await.unwrap();
    happen(&producer, Uuid::now_v7(), 2).await;
    assert_eq!(until_effects(&consumer, 2).await, [1, 2]);
    let newer = new().await;
    assert_eq!(until_effects(&consumer, 3).await, [1, 2, 7]);
    assert_eq!(count(&consumer, "dead_letters").await, 0);
    for process in [old, newer, relaying] {
        process.stop().await;
    }
}
