//! Which events go first where many wait.

use std::sync::Arc;

use countersign_events::{BoxFuture, Event, Handler, Relay, RelayOptions, Unit, admin};
use countersign_types::{Fault, Timestamp};
use sea_orm::ConnectionTrait;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{
    nats::Nats,
    process::{Process, count, happen, often, until, until_effects},
    stage::{Happened, Life, Stage},
    town::{Town, stream_length},
};

/// More than any step takes.
const MANY: i64 = 200;

/// So many events of others, settled and published again.
async fn replay_many(life: &Life) {
    for number in 1..=MANY {
        life.happen(Uuid::now_v7(), number).await;
    }
    life.settle().await;
    let replayed = admin::replay(life.producer_db(), Timestamp::EPOCH, None).await.unwrap();
    assert!(replayed >= u64::try_from(MANY).unwrap());
}

async fn unpublished(life: &Life) -> i64 {
    count(&life.producer, "outbox WHERE published_time IS NULL").await
}

#[tokio::test]
async fn what_is_new_goes_ahead_of_what_is_published_again() {
    let stage = Stage::new();
    let life = stage.start().await;
    replay_many(&life).await;
    life.relay.step().await.unwrap();
    for number in 1001..=1010 {
        life.happen(Uuid::now_v7(), number).await;
        let before = life.effects().await.len();
        // At most one step in between has the turn of the others.
        let mut steps = 0;
        while life.effects().await.len() == before {
            life.relay.step().await.unwrap();
            steps += 1;
        }
        assert!(steps <= 2, "{number}: {steps} steps");
    }
    assert!(unpublished(&life).await > 100, "the replay was still going on");
    life.settle().await;
    assert_eq!(unpublished(&life).await, 0);
}

#[tokio::test]
async fn a_replay_goes_on_however_much_is_new() {
    let stage = Stage::new();
    let life = stage.start().await;
    replay_many(&life).await;
    let replayed = "outbox WHERE published_time IS NULL AND attempts = 0 AND id IN \
                    (SELECT id FROM outbox ORDER BY id LIMIT 200)";
    let mut steps = 0;
    while count(&life.producer, replayed).await > MANY / 2 {
        // As many as a step takes, before each step.
        for number in 0..4 {
            life.happen(Uuid::now_v7(), 10_000 + number).await;
        }
        life.relay.step().await.unwrap();
        steps += 1;
        assert!(steps < 1000, "the replay does not come to its end");
    }
}

#[tokio::test]
async fn an_event_comes_after_the_earlier_of_its_aggregate_and_not_after_the_whole_replay() {
    let stage = Stage::new();
    let life = stage.start().await;
    let aggregate = Uuid::now_v7();
    for number in 1001..=1003 {
        life.happen(aggregate, number).await;
    }
    replay_many(&life).await;
    life.relay.step().await.unwrap();
    // Nobody has seen these four, so their order shows.
    for table in ["inbox", "effects"] {
        life.consumer_db().execute_unprepared(&format!("DELETE FROM {table}")).await.unwrap();
    }
    life.happen(aggregate, 1004).await;
    let mut steps = 0;
    let own = async || {
        let effects = life.effects().await;
        effects.into_iter().filter(|number| *number > 1000).collect::<Vec<_>>()
    };
    while own().await.last() != Some(&1004) {
        life.relay.step().await.unwrap();
        steps += 1;
    }
    let own = own().await;
    assert!(own.is_sorted() && own.len() >= 3, "{own:?}");
    assert!(steps <= 6, "{steps} steps");
    assert!(unpublished(&life).await > 100, "the replay was still going on");
}

#[tokio::test]
async fn a_flood_from_outside_holds_up_nothing_and_is_not_held_up_for_ever() {
    let stage = Stage::new();
    let life = stage.start().await;
    let unit = life.producer.begin().await.unwrap();
    for number in 1..=MANY {
        unit.append_bulk(Uuid::nil(), &Happened { number }).await.unwrap();
    }
    unit.commit().await.unwrap();
    life.happen(Uuid::now_v7(), 1001).await;
    life.relay.step().await.unwrap();
    assert!(life.effects().await.contains(&1001));
    let bulk = "outbox WHERE published_time IS NULL AND aggregate = \
                x'00000000000000000000000000000000'";
    let mut steps = 0;
    while count(&life.producer, bulk).await > MANY / 2 {
        for number in 0..4 {
            life.happen(Uuid::now_v7(), 10_000 + number).await;
        }
        life.relay.step().await.unwrap();
        steps += 1;
        assert!(steps < 1000, "the flood does not drain");
    }
}

#[tokio::test]
async fn an_aggregate_with_many_events_has_one_place_in_a_step() {
    let stage = Stage::new();
    let life = stage.start().await;
    let busy = Uuid::now_v7();
    for number in 1..=MANY {
        life.happen(busy, number).await;
    }
    for number in 1001..=1003 {
        life.happen(Uuid::now_v7(), number).await;
    }
    assert_eq!(life.relay.step().await.unwrap(), 4);
    assert_eq!(life.effects().await, [1, 1001, 1002, 1003]);
}

/// Settles as many events as it has permits.
struct Gate(Arc<Semaphore>);

impl Handler for Gate {
    fn handle<'a>(&'a self, unit: &'a Unit, event: &'a Event) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async {
            self.0.acquire().await.unwrap().forget();
            crate::stage::Effect.handle(unit, event).await
        })
    }
}

#[tokio::test]
async fn a_replay_through_the_broker_goes_no_faster_than_its_consumers() {
    let (town, nats) = (Town::new(), Nats::new());
    let (producer, consumer) = (town.producer().await, town.consumer().await);
    let gate = Arc::new(Semaphore::new(0));
    let process = Process::new(nats.options()).await;
    let process = process.handle(&consumer, Gate(Arc::clone(&gate)));
    process.bus.connected().wait_for(|&connected| connected).await.unwrap();
    let options = RelayOptions { batch: 32, ..often() };
    let relay = Relay::new(producer.clone(), process.bus.clone(), options);
    for number in 1..=MANY {
        happen(&producer, Uuid::now_v7(), number).await;
    }
    let pending = "outbox WHERE published_time IS NULL";
    while count(&producer, pending).await > 0 {
        relay.step().await.unwrap();
    }
    until("there is somebody", async || gate.available_permits() == 0).await;
    let replayed = admin::replay(producer.db(), Timestamp::EPOCH, None).await.unwrap();
    assert_eq!(replayed, u64::try_from(MANY).unwrap());
    while relay.step().await.unwrap() > 0 {}
    let waiting = count(&producer, pending).await;
    assert!(waiting > 100, "only {waiting} wait for the consumer");
    // It is not among those that wait.
    happen(&producer, Uuid::now_v7(), 1001).await;
    let length = stream_length(&nats.options()).await;
    relay.step().await.unwrap();
    assert!(stream_length(&nats.options()).await > length);
    let new = "outbox WHERE published_time IS NULL AND stream_sequence IS NULL";
    assert_eq!(count(&producer, new).await, 0);

    gate.add_permits(10_000);
    until("all of it", async || {
        relay.step().await.unwrap();
        count(&producer, pending).await == 0
    })
    .await;
    until_effects(&consumer, usize::try_from(MANY).unwrap() + 1).await;
    process.stop().await;
}
