//! Poison, and what an operator does about it.

use std::time::Duration;

use countersign_events::admin;
use countersign_types::EventId;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::stage::{NONE, Plan, Stage, TRIES, numbers};

const CONSUMER: &str = "recorder";

#[tokio::test]
async fn poison_becomes_a_dead_letter_and_frees_its_aggregate() {
    for poison in [Plan::Refuse, Plan::Panic] {
        let stage = Stage::new();
        let life = stage.start().await;
        let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
        stage.plan(10, Some(poison));
        let id = life.happen(one, 10).await;
        for (aggregate, number) in [(one, 11), (two, 20), (two, 21)] {
            life.happen(aggregate, number).await;
        }
        assert_eq!(life.relay.step().await.unwrap(), 2);
        assert_eq!(life.effects().await, [20], "no effect of poison, no wait elsewhere");
        life.settle().await;
        assert_eq!(life.effects().await, [20, 21, 11]);
        assert_eq!(life.follow_ups().await, 3);

        let dead = admin::dead(life.consumer_db(), 0).await.unwrap();
        assert_eq!(dead.len(), 1);
        assert_eq!((dead[0].consumer.as_str(), dead[0].event.id), (CONSUMER, id));
        assert_eq!((dead[0].tries, dead[0].requeued), (TRIES, false));
        assert!(["POISON: no good", "PANIC: the handler panicked"].contains(&&*dead[0].error));
    }
}

#[tokio::test]
async fn what_is_away_is_no_poison() {
    let stage = Stage::new();
    let life = stage.start().await;
    stage.plan(1, Some(Plan::Away(None)));
    life.happen(Uuid::now_v7(), 1).await;
    for _ in 0..3 * TRIES {
        assert_eq!(life.relay.step().await.unwrap(), 1);
    }
    stage.plan(1, None);
    life.settle().await;
    assert_eq!(life.effects().await, [1]);
}

#[tokio::test]
async fn a_fault_of_the_database_is_no_poison() {
    let stage = Stage::new();
    let life = stage.start().await;
    let db = life.consumer_db();
    db.execute_unprepared("ALTER TABLE inbox RENAME TO gone").await.unwrap();
    life.happen(Uuid::now_v7(), 1).await;
    for _ in 0..3 * TRIES {
        assert_eq!(life.relay.step().await.unwrap(), 1);
    }
    db.execute_unprepared("ALTER TABLE gone RENAME TO inbox").await.unwrap();
    life.settle().await;
    assert_eq!(life.effects().await, [1]);
    assert_eq!(numbers(db, "SELECT tries AS number FROM attempts").await, NONE);
}

/// A stage with event 1 among the dead letters.
async fn with_a_dead_letter() -> (Stage, EventId) {
    let stage = Stage::new();
    stage.plan(1, Some(Plan::Refuse));
    let life = stage.start().await;
    let id = life.happen(Uuid::now_v7(), 1).await;
    life.settle().await;
    life.end().await;
    (stage, id)
}

#[tokio::test]
async fn a_dead_letter_stays_dead_until_somebody_asks() {
    let (stage, _) = with_a_dead_letter().await;
    stage.plan(1, None);
    let life = stage.start().await;
    let again = admin::replay(life.producer_db(), stage.clock.now(), None).await.unwrap();
    assert_eq!(again, 1);
    life.settle().await;
    assert_eq!(life.consumer.redeliver_step().await.unwrap(), 0);
    assert_eq!(life.effects().await, NONE);
    assert_eq!(admin::dead(life.consumer_db(), 0).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_requeued_letter_is_delivered_once() {
    let (stage, id) = with_a_dead_letter().await;
    stage.plan(1, None);
    let life = stage.start().await;
    assert!(admin::requeue(life.consumer_db(), id, CONSUMER).await.unwrap());
    assert!(admin::dead(life.consumer_db(), 0).await.unwrap()[0].requeued);
    assert_eq!(life.consumer.redeliver_step().await.unwrap(), 1);
    assert_eq!(life.consumer.redeliver_step().await.unwrap(), 0);
    admin::replay(life.producer_db(), stage.clock.now(), None).await.unwrap();
    life.settle().await;
    assert_eq!(life.effects().await, [1]);
    assert_eq!(admin::dead(life.consumer_db(), 0).await.unwrap(), []);
}

#[tokio::test]
async fn a_requeued_letter_that_fails_again_is_dead_again() {
    let (stage, id) = with_a_dead_letter().await;
    stage.plan(1, Some(Plan::Panic));
    let life = stage.start().await;
    admin::requeue(life.consumer_db(), id, CONSUMER).await.unwrap();
    assert_eq!(life.consumer.redeliver_step().await.unwrap(), 1);
    let dead = admin::dead(life.consumer_db(), 0).await.unwrap();
    assert_eq!((dead[0].tries, dead[0].requeued), (TRIES + 1, false));
    assert!(dead[0].error.starts_with("PANIC"), "the last error is the one to look at");
    assert_eq!(life.effects().await, NONE);
}

#[tokio::test]
async fn a_requeued_letter_waits_while_its_handler_cannot_work() {
    let (stage, id) = with_a_dead_letter().await;
    stage.plan(1, Some(Plan::Away(None)));
    let life = stage.start().await;
    admin::requeue(life.consumer_db(), id, CONSUMER).await.unwrap();
    assert_eq!(life.consumer.redeliver_step().await.unwrap(), 0);
    stage.plan(1, None);
    assert_eq!(life.consumer.redeliver_step().await.unwrap(), 1);
    assert_eq!(life.effects().await, [1]);
}

#[tokio::test]
async fn a_dropped_letter_is_gone_for_good() {
    let (stage, id) = with_a_dead_letter().await;
    stage.plan(1, None);
    let life = stage.start().await;
    assert!(admin::drop(life.consumer_db(), id, CONSUMER).await.unwrap());
    assert!(!admin::drop(life.consumer_db(), id, CONSUMER).await.unwrap());
    assert!(!admin::requeue(life.consumer_db(), id, CONSUMER).await.unwrap());
    admin::replay(life.producer_db(), stage.clock.now(), None).await.unwrap();
    life.settle().await;
    assert_eq!(life.effects().await, NONE);
}

#[tokio::test]
async fn counts_of_tries_are_forgotten_with_the_inbox() {
    let stage = Stage::new();
    let life = stage.start().await;
    stage.plan(1, Some(Plan::Refuse));
    life.happen(Uuid::now_v7(), 1).await;
    assert_eq!(life.relay.step().await.unwrap(), 1);
    stage.plan(1, None);
    life.settle().await;
    let tries = "SELECT tries AS number FROM attempts";
    assert_eq!(numbers(life.consumer_db(), tries).await, [1]);

    let housekeeping = countersign_events::Relay::new(
        life.consuming().clone(),
        countersign_events::Bus::memory(),
        crate::stage::quick(),
    );
    stage.hand.advance(Duration::from_hours(15 * 24));
    assert_eq!(housekeeping.prune_step().await.unwrap(), 2, "an entry and a count");
    assert_eq!(numbers(life.consumer_db(), tries).await, NONE);
}
