//! From the commit to the effect.

use std::{sync::Arc, time::Duration};

use countersign_events::{
    Backoff, BoxFuture, Consumer, ConsumerOptions, DATA_MAX, Error, Event, Handler, Nack, Relay,
    RelayOptions, Unit, admin,
};
use countersign_types::Fault;
use futures::FutureExt;
use prost::{Message, Name};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::stage::{Followed, Happened, NONE, Plan, Stage, numbers, quick};

#[derive(Clone, PartialEq, Message)]
struct Long {
    #[prost(bytes = "vec", tag = "1")]
    bytes: Vec<u8>,
}

impl Name for Long {
    const NAME: &'static str = "Long";
    const PACKAGE: &'static str = "test.v1";
}

#[tokio::test]
async fn an_event_exists_only_with_its_change() {
    let stage = Stage::new();
    let life = stage.start().await;
    let unit = life.producer.begin().await.unwrap();
    unit.append(Uuid::now_v7(), &Happened { number: 1 }).await.unwrap();
    unit.rollback().await.unwrap();
    let unit = life.producer.begin().await.unwrap();
    unit.append(Uuid::now_v7(), &Happened { number: 2 }).await.unwrap();
    drop(unit);
    life.settle().await;
    assert_eq!(life.effects().await, NONE);

    life.happen(Uuid::now_v7(), 3).await;
    life.settle().await;
    assert_eq!(life.effects().await, [3]);
    assert_eq!(life.follow_ups().await, 1);
}

#[tokio::test]
async fn an_event_carries_its_envelope_and_reads_back_as_what_it_is() {
    let stage = Stage::new();
    let life = stage.start().await;
    let aggregate = Uuid::now_v7();
    life.happen(aggregate, 1).await;
    let id = life.happen(aggregate, 2).await;

    let listed = admin::list(life.producer_db(), &admin::Filter::default()).await.unwrap();
    let Event { data, .. } = listed[0].event.clone();
    let expected = Event {
        id,
        kind: "test.v1.Happened".to_owned(),
        source: "producer".to_owned(),
        aggregate,
        sequence: 2,
        time: stage.clock.now(),
        data,
        trace: None,
    };
    assert_eq!(listed[0].event, expected);
    assert_eq!(expected.decode::<Happened>().unwrap(), Happened { number: 2 });
    assert!(matches!(expected.decode::<Followed>(), Err(Error::Kind { .. })));
    let damaged = Event { data: vec![0xff], ..expected };
    assert!(matches!(damaged.decode::<Happened>(), Err(Error::Decode { .. })));
}

#[tokio::test]
async fn an_event_that_waits_holds_up_its_aggregate_and_no_other() {
    let stage = Stage::new();
    let life = stage.start().await;
    let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
    stage.plan(10, Some(Plan::Away(Some(Duration::from_secs(5)))));
    for (aggregate, number) in [(one, 10), (one, 11), (two, 20), (one, 12), (two, 21)] {
        life.happen(aggregate, number).await;
    }
    life.settle().await;
    assert_eq!(life.effects().await, [20, 21]);

    stage.plan(10, None);
    life.settle().await;
    assert_eq!(life.effects().await, [20, 21], "its time has not come");

    stage.hand.advance(Duration::from_secs(5));
    life.settle().await;
    assert_eq!(life.effects().await, [20, 21, 10, 11, 12]);
}

#[tokio::test]
async fn events_of_the_nil_aggregate_do_not_wait_for_each_other() {
    let stage = Stage::new();
    let life = stage.start().await;
    stage.plan(1, Some(Plan::Away(Some(Duration::from_secs(5)))));
    for number in 1..=6 {
        life.happen(Uuid::nil(), number).await;
    }
    life.settle().await;
    assert_eq!(life.effects().await, [2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn a_consumer_that_has_the_event_is_left_alone_while_another_tries() {
    let stage = Stage::new();
    let life = stage.start().await;
    struct Busy;
    impl Handler for Busy {
        fn handle<'a>(&'a self, _: &'a Unit, _: &'a Event) -> BoxFuture<'a, Result<(), Fault>> {
            Box::pin(async { Err(Fault::internal()) })
        }
    }
    let options = ConsumerOptions { backoff: Backoff::NONE, ..ConsumerOptions::default() };
    let kinds = [Happened::full_name()];
    let kinds = kinds.each_ref().map(String::as_str);
    life.bus.subscribe(Consumer::new("busy", &kinds, life.consuming().clone(), Busy, options));
    life.happen(Uuid::now_v7(), 1).await;
    life.settle().await;
    assert_eq!(life.effects().await, [1]);
    let dead = admin::dead(life.consumer_db(), 0).await.unwrap();
    assert_eq!((dead[0].consumer.as_str(), dead[0].tries), ("busy", 8));
}

#[tokio::test]
async fn the_bus_asks_for_the_longest_wait_of_its_consumers() {
    let stage = Stage::new();
    let life = stage.start().await;
    let wait = Duration::from_secs(7);
    stage.plan(1, Some(Plan::Away(Some(wait))));
    life.happen(Uuid::now_v7(), 1).await;
    let listed = admin::list(life.producer_db(), &admin::Filter::default()).await.unwrap();
    let nack = life.bus.publish(&listed[0].event).await;
    assert_eq!(nack, Err(Nack { retry_after: Some(wait) }));
}

#[tokio::test]
async fn a_kind_that_nobody_takes_is_published_all_the_same() {
    let stage = Stage::new();
    let life = stage.start().await;
    let unit = life.producer.begin().await.unwrap();
    unit.append(Uuid::now_v7(), &Followed { number: 1 }).await.unwrap();
    unit.commit().await.unwrap();
    assert_eq!(life.relay.step().await.unwrap(), 1);
    assert_eq!(life.relay.step().await.unwrap(), 0);
}

#[tokio::test]
async fn an_event_that_is_too_long_is_refused() {
    let stage = Stage::new();
    let life = stage.start().await;
    let unit = life.producer.begin().await.unwrap();
    let long = Long { bytes: vec![0; DATA_MAX] };
    assert!(matches!(unit.append(Uuid::nil(), &long).await, Err(Error::TooLong { .. })));
    let fits = Long { bytes: vec![0; DATA_MAX - 4] };
    unit.append(Uuid::nil(), &fits).await.unwrap();
}

#[tokio::test]
async fn the_sequence_goes_on_where_pruned_events_left_it() {
    let stage = Stage::new();
    let life = stage.start().await;
    let aggregate = Uuid::now_v7();
    life.happen(aggregate, 1).await;
    life.settle().await;
    stage.hand.advance(Duration::from_hours(8 * 24));
    assert_eq!(life.relay.prune_step().await.unwrap(), 1);
    life.happen(aggregate, 2).await;
    let listed = admin::list(life.producer_db(), &admin::Filter::default()).await.unwrap();
    assert_eq!(listed.iter().map(|entry| entry.event.sequence).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn a_commit_wakes_the_relay_and_cancelling_ends_it() {
    let stage = Stage::new();
    let life = stage.start().await;
    struct Bell(Arc<Notify>);
    impl Handler for Bell {
        fn handle<'a>(&'a self, _: &'a Unit, _: &'a Event) -> BoxFuture<'a, Result<(), Fault>> {
            Box::pin(async {
                self.0.notify_one();
                Ok(())
            })
        }
    }
    let rung = Arc::new(Notify::new());
    let bell = Bell(Arc::clone(&rung));
    let options = ConsumerOptions::default();
    let kinds = ["test.v1.Happened"];
    life.bus.subscribe(Consumer::new("bell", &kinds, life.consuming().clone(), bell, options));

    let never = Duration::from_hours(1);
    let options = RelayOptions { poll_interval: never, prune_interval: never, ..quick() };
    let relay = Relay::new(life.producer.clone(), life.bus.clone(), options);
    let cancel = CancellationToken::new();
    let running = tokio::spawn(relay.run(cancel.clone()));
    for number in 0..3 {
        life.happen(Uuid::now_v7(), number).await;
        rung.notified().await;
    }
    cancel.cancel();
    running.await.unwrap();
    assert_eq!(life.effects().await, [0, 1, 2]);
}

#[tokio::test]
async fn many_writers_at_once_number_an_aggregate_without_a_gap() {
    let stage = Stage::new();
    let life = stage.start().await;
    let aggregate = Uuid::now_v7();
    let writers = (0..32).map(|number| life.happen(aggregate, number));
    futures::future::join_all(writers).await;
    let sql = "SELECT sequence AS number FROM outbox ORDER BY sequence";
    let sequences = numbers(life.producer_db(), sql).await;
    assert_eq!(sequences, (1..=32).collect::<Vec<_>>());
    life.settle().await;
    assert_eq!(life.effects().await.len(), 32);
}

#[tokio::test]
async fn a_commit_that_has_begun_is_followed_by_what_belongs_to_it_though_its_caller_is_gone() {
    let stage = Stage::new();
    let life = stage.start().await;
    let unit = life.producer.begin().await.unwrap();
    unit.append(Uuid::now_v7(), &Happened { number: 1 }).await.unwrap();
    let (then, happened) = tokio::sync::oneshot::channel();
    let commit = unit.commit_then(move |_| then.send(()).unwrap());
    assert_eq!(commit.now_or_never().map(|done| done.unwrap()), None, "it was cut off");

    happened.await.unwrap();
    life.settle().await;
    assert_eq!(life.effects().await, [1]);
}
