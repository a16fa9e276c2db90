//! A process that dies at any point: the future is dropped after so many
//! polls, and both services start again from their files.

use countersign_events::admin;
use proptest::prelude::*;
use uuid::Uuid;

use crate::stage::{Life, NONE, Plan, Stage, TRIES, cut};

/// Runs `act` on a stage as `set_up` left it and dies after 0, 1, 2 … polls, until it gets
/// to its end; after each death, `check` starts again from the files.
async fn die_everywhere(
    set_up: impl AsyncFn() -> Stage,
    act: impl AsyncFn(&Life),
    check: impl AsyncFn(Life),
) {
    for in_flight in [false, true] {
        for polls in 0.. {
            let stage = set_up().await;
            let life = stage.start().await;
            let done = cut(act(&life), polls, in_flight).await;
            life.end().await;
            check(stage.start().await).await;
            if done.is_some() {
                assert!(polls > 1, "there were points to die at");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_crash_at_any_point_of_a_step_loses_and_doubles_nothing() {
    let set_up = async || {
        let stage = Stage::new();
        let life = stage.start().await;
        let aggregate = Uuid::now_v7();
        for number in 1..=2 {
            life.happen(aggregate, number).await;
        }
        life.happen(Uuid::now_v7(), 3).await;
        life.end().await;
        stage
    };
    let act = async |life: &Life| {
        life.settle().await;
    };
    let check = async |life: Life| {
        life.settle().await;
        let mut effects = life.effects().await;
        let in_order = effects.iter().position(|&n| n == 1) < effects.iter().position(|&n| n == 2);
        assert!(in_order, "{effects:?}");
        effects.sort_unstable();
        assert_eq!(effects, [1, 2, 3]);
        assert_eq!(life.follow_ups().await, 3);
    };
    die_everywhere(set_up, act, check).await;
}

#[tokio::test]
async fn a_crash_at_any_point_of_a_change_leaves_all_of_it_or_nothing() {
    let set_up = async || Stage::new();
    let act = async |life: &Life| {
        life.happen(Uuid::from_u128(7), 1).await;
    };
    let check = async |life: Life| {
        let rows = admin::list(life.producer_db(), &admin::Filter::default()).await.unwrap();
        life.settle().await;
        assert_eq!(life.effects().await.len(), rows.len());
        // The sequence has no hole where the change was undone.
        life.happen(Uuid::from_u128(7), 2).await;
        let rows = admin::list(life.producer_db(), &admin::Filter::default()).await.unwrap();
        assert_eq!(rows[0].event.sequence, i64::try_from(rows.len()).unwrap());
    };
    die_everywhere(set_up, act, check).await;
}

#[tokio::test]
async fn a_crash_at_any_point_of_giving_up_leaves_one_dead_letter() {
    let set_up = async || {
        let stage = Stage::new();
        stage.plan(1, Some(Plan::Refuse));
        let life = stage.start().await;
        life.happen(Uuid::now_v7(), 1).await;
        life.end().await;
        stage
    };
    let act = async |life: &Life| {
        life.settle().await;
    };
    let check = async |life: Life| {
        life.settle().await;
        let dead = admin::dead(life.consumer_db(), 0).await.unwrap();
        assert_eq!(dead.iter().map(|letter| letter.tries).collect::<Vec<_>>(), [TRIES]);
        assert_eq!(life.effects().await, NONE);
        assert_eq!(life.follow_ups().await, 0);
    };
    die_everywhere(set_up, act, check).await;
}

#[tokio::test]
async fn a_crash_at_any_point_of_a_redelivery_delivers_once() {
    let set_up = async || {
        let stage = Stage::new();
        stage.plan(1, Some(Plan::Refuse));
        let life = stage.start().await;
        let id = life.happen(Uuid::now_v7(), 1).await;
        life.settle().await;
        admin::requeue(life.consumer_db(), id, "recorder").await.unwrap();
        stage.plan(1, None);
        life.end().await;
        stage
    };
    let act = async |life: &Life| {
        life.consumer.redeliver_step().await.unwrap();
    };
    let check = async |life: Life| {
        life.consumer.redeliver_step().await.unwrap();
        life.settle().await;
        assert_eq!(life.effects().await, [1]);
        assert_eq!(life.follow_ups().await, 1);
        assert_eq!(admin::dead(life.consumer_db(), 0).await.unwrap(), []);
    };
    die_everywhere(set_up, act, check).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_and_whenever_it_dies_each_effect_comes_once_and_in_order(
        aggregates in prop::collection::vec(0..3_u128, 1..8),
        poison in prop::collection::btree_set(0..8_i64, 0..3),
        deaths in prop::collection::vec((0..80_usize, any::<bool>()), 0..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let stage = Stage::new();
            let life = stage.start().await;
            for &number in &poison {
                stage.plan(number, Some(Plan::Refuse));
            }
            for (number, &aggregate) in (0..).zip(&aggregates) {
                life.happen(Uuid::from_u128(aggregate + 1), number).await;
            }
            life.end().await;
            for (polls, in_flight) in deaths {
                let life = stage.start().await;
                cut(life.settle(), polls, in_flight).await;
                life.end().await;
            }
            let life = stage.start().await;
            life.settle().await;

            let effects = life.effects().await;
            for wanted in 0..3 {
                let of = |&number: &i64| aggregates[usize::try_from(number).unwrap()] == wanted;
                let seen: Vec<i64> = effects.iter().copied().filter(of).collect();
                let all = 0..i64::try_from(aggregates.len()).unwrap();
                let due: Vec<i64> = all.filter(of).filter(|n| !poison.contains(n)).collect();
                prop_assert_eq!(seen, due);
            }
            let dead = admin::dead(life.consumer_db(), 0).await.unwrap();
            let expected = poison.iter().filter(|&&n| usize::try_from(n).unwrap() < aggregates.len());
            prop_assert_eq!(dead.len(), expected.count());
            Ok(())
        })?;
    }
}
