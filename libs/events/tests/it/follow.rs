//! An effect in memory, in every process.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use countersign_events::{Bus, Event, Follower, Following, admin};
use prost::Name;
use uuid::Uuid;

use crate::{
    nats::Nats,
    process::{Process, count, happen, sqlite, until},
    stage::{Happened, Stage},
    town::stream_length,
};

/// The numbers that a follower saw, in their order.
pub type Seen = Arc<Mutex<Vec<i64>>>;

const HORIZON: Duration = Duration::from_hours(1);

/// Follows, and keeps what it saw.
pub fn follow(bus: &Bus) -> (Following, Seen) {
    follow_complete(bus, &[])
}

fn follow_complete(bus: &Bus, sources: &'static [&'static str]) -> (Following, Seen) {
    let seen = Seen::default();
    let into = Arc::clone(&seen);
    let apply = move |event: &Event| {
        into.lock().unwrap().push(event.decode::<Happened>().unwrap().number);
    };
    let follower = Follower::new("guard", &[&Happened::full_name()], HORIZON, apply);
    (bus.follow(follower.complete_from(sources)), seen)
}

/// What was seen, each once.
pub fn set(seen: &Seen) -> Vec<i64> {
    let mut all = seen.lock().unwrap().clone();
    all.sort_unstable();
    all.dedup();
    all
}

#[tokio::test]
async fn in_memory_a_follower_is_called_at_once() {
    let stage = Stage::new();
    let life = stage.start().await;
    let (following, seen) = follow(&life.bus);
    assert!(*following.caught_up().borrow());
    assert_eq!(following.staleness(), Some(Duration::ZERO));
    let unit = life.producer.begin().await.unwrap();
    unit.append(Uuid::now_v7(), &Happened { number: 1 }).await.unwrap();
    let events = unit.commit_events().await.unwrap();
    life.bus.announce(&events[0]).await;
    assert_eq!(set(&seen), [1]);
    life.happen(Uuid::now_v7(), 2).await;
    life.settle().await;
    assert_eq!(set(&seen), [1, 2]);
}

#[tokio::test]
async fn every_process_reads_back_then_follows_and_does_so_again_after_an_interruption() {
    let mut nats = Nats::new();
    let folder = tempfile::tempdir().unwrap();
    let producer = sqlite(&folder.path().join("p.db"), "producer").await;
    let relaying = Process::new(nats.options()).await.relay(&producer);
    for number in 1..=3 {
        happen(&producer, Uuid::now_v7(), number).await;
    }
    let unpublished = "outbox WHERE published_time IS NULL";
    until("published", async || count(&producer, unpublished).await == 0).await;

    let mut guards = Vec::new();
    for _ in 0..2 {
        let process = Process::new(nats.options()).await;
        let (following, seen) = follow(&process.bus);
        assert!(!*following.caught_up().borrow(), "nothing is known yet");
        assert_eq!(following.staleness(), None);
        let process = process.run();
        following.caught_up().wait_for(|&caught_up| caught_up).await.unwrap();
        assert_eq!(set(&seen), [1, 2, 3], "the backlog is there when it says so");
        guards.push((process, following, seen));
    }
    happen(&producer, Uuid::now_v7(), 4).await;
    for (_, following, seen) in &guards {
        until("followed", async || set(seen) == [1, 2, 3, 4]).await;
        assert!(following.staleness().unwrap() < Duration::from_secs(5));
    }

    nats.kill();
    for (_, following, _) in &guards {
        following.caught_up().wait_for(|caught_up| !caught_up).await.unwrap();
    }
    happen(&producer, Uuid::now_v7(), 5).await;
    nats.start();
    for (_, following, seen) in &guards {
        following.caught_up().wait_for(|&caught_up| caught_up).await.unwrap();
        until("followed", async || set(seen) == [1, 2, 3, 4, 5]).await;
    }

    // The stream lost, its sequences begin again: no follower waits for the old ones.
    nats.kill();
    for (_, following, _) in &guards {
        following.caught_up().wait_for(|caught_up| !caught_up).await.unwrap();
    }
    nats.forget();
    nats.start();
    happen(&producer, Uuid::now_v7(), 6).await;
    for (_, _, seen) in &guards {
        until("followed", async || set(seen) == [1, 2, 3, 4, 5, 6]).await;
    }
    for (process, ..) in guards {
        process.stop().await;
    }
    relaying.stop().await;
}

#[tokio::test]
async fn an_announced_event_is_ahead_of_its_relay() {
    let nats = Nats::new();
    let folder = tempfile::tempdir().unwrap();
    let producer = sqlite(&folder.path().join("p.db"), "producer").await;
    let guard = Process::new(nats.options()).await;
    let (following, seen) = follow(&guard.bus);
    let guard = guard.run();
    following.caught_up().wait_for(|&caught_up| caught_up).await.unwrap();
    let announcing = Bus::jetstream(nats.options()).await.unwrap();
    announcing.connected().wait_for(|&connected| connected).await.unwrap();
    // There is no relay at all.
    happen(&producer, Uuid::now_v7(), 1).await;
    let event = &admin::list(producer.db(), &admin::Filter::default()).await.unwrap()[0].event;
    announcing.announce(event).await;
    until("told", async || set(&seen) == [1]).await;
    guard.stop().await;
}

#[tokio::test]
async fn who_starts_on_a_stream_that_was_lost_waits_until_it_is_refilled() {
    let mut nats = Nats::new();
    let folder = tempfile::tempdir().unwrap();
    let producer = sqlite(&folder.path().join("p.db"), "producer").await;
    let relaying = Process::new(nats.options()).await.relay(&producer);
    for number in 1..=3 {
        happen(&producer, Uuid::now_v7(), number).await;
    }
    let unpublished = "outbox WHERE published_time IS NULL";
    until("published", async || count(&producer, unpublished).await == 0).await;
    let process = Process::new(nats.options()).await;
    let (following, seen) = follow_complete(&process.bus, &["producer"]);
    let process = process.run();
    following.caught_up().wait_for(|&caught_up| caught_up).await.unwrap();
    assert_eq!(set(&seen), [1, 2, 3], "a young stream, and it says that it is complete");
    process.stop().await;
    relaying.stop().await;

    nats.kill();
    nats.forget();
    nats.start();
    let process = Process::new(nats.options()).await;
    let (ignorant, _) = follow(&process.bus);
    let (following, seen) = follow_complete(&process.bus, &["producer"]);
    let process = process.run();
    // It reads all that there is, which is nothing, and does not take it for all.
    ignorant.caught_up().wait_for(|&caught_up| caught_up).await.unwrap();
    until("there is a stream", async || stream_length(&nats.options()).await == 0).await;
    assert!(!*following.caught_up().borrow());
    assert_eq!(following.staleness(), None);

    let relaying = Process::new(nats.options()).await.relay(&producer);
    following.caught_up().wait_for(|&caught_up| caught_up).await.unwrap();
    assert_eq!(set(&seen), [1, 2, 3]);
    process.stop().await;
    relaying.stop().await;
}

#[tokio::test]
async fn the_mark_of_another_stream_or_service_does_not_count() {
    let nats = Nats::new();
    let folder = tempfile::tempdir().unwrap();
    let producer = sqlite(&folder.path().join("p.db"), "producer").await;
    let other = sqlite(&folder.path().join("o.db"), "other").await;
    let relaying = Process::new(nats.options()).await.relay(&other);
    let mark = "countersign.events.producer.complete";
    let context = crate::town::server(&nats.options()).await;
    until("marked", async || {
        let Ok(stream) = context.get_stream("COUNTERSIGN").await else { return false };
        stream.get_last_raw_message_by_subject("countersign.events.other.complete").await.is_ok()
    })
    .await;
    // As from a stream that was lost between the look and the mark.
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("countersign-stream-created", "1");
    context.publish_with_headers(mark, headers, "".into()).await.unwrap().await.unwrap();

    let process = Process::new(nats.options()).await;
    let (ignorant, _) = follow(&process.bus);
    let (both, _) = follow_complete(&process.bus, &["producer", "other"]);
    let (satisfied, _) = follow_complete(&process.bus, &["other"]);
    let process = process.run();
    for following in [&ignorant, &satisfied] {
        following.caught_up().wait_for(|&caught_up| caught_up).await.unwrap();
    }
    assert!(!*both.caught_up().borrow());
    let marking = Process::new(nats.options()).await.relay(&producer);
    both.caught_up().wait_for(|&caught_up| caught_up).await.unwrap();
    for process in [process, marking, relaying] {
        process.stop().await;
    }
}
