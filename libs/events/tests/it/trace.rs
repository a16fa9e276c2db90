//! One trace from the call to the effect, and to what follows from it.

use std::sync::{Arc, Mutex};

use countersign_events::{
    BoxFuture, Bus, Consumer, ConsumerOptions, Event, Handler, Outbox, Relay, Unit, admin,
};
use countersign_types::{Code, Fault, TraceParent};
use opentelemetry::{
    Context,
    context::FutureExt,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::{
    nats::Nats,
    process::{Process, count, happen, sqlite, until},
    stage::{Followed, Stage, quick},
    town::server,
};

const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// What was the parent of each delivery.
type Parents = Arc<Mutex<Vec<SpanContext>>>;

struct Traced(Parents, bool);

impl Handler for Traced {
    fn handle<'a>(&'a self, unit: &'a Unit, event: &'a Event) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let parent = Context::current().span().span_context().clone();
            self.0.lock().unwrap().push(parent);
            unit.append(event.aggregate, &Followed { number: 1 }).await?;
            if self.1 { Err(Fault::new(Code::Internal, "POISON", "no good")) } else { Ok(()) }
        })
    }
}

fn given() -> TraceParent {
    GIVEN.parse().unwrap()
}

/// As the server does it for a call.
fn call() -> Context {
    Context::new().with_remote_span_context(SpanContext::new(
        TraceId::from_bytes(given().trace.to_be_bytes()),
        SpanId::from_bytes(given().span.to_be_bytes()),
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    ))
}

fn is_given(parent: &SpanContext) -> bool {
    parent.is_remote()
        && parent.is_sampled()
        && parent.trace_id().to_bytes() == given().trace.to_be_bytes()
        && parent.span_id().to_bytes() == given().span.to_be_bytes()
}

/// How many events of the outbox are part of the given trace.
async fn traced(outbox: &Outbox) -> i64 {
    count(outbox, &format!("outbox_traces WHERE traceparent = '{GIVEN}'")).await
}

#[tokio::test]
async fn in_memory_the_consumer_has_the_caller_as_its_parent_and_passes_it_on() {
    let stage = Stage::new();
    let life = stage.start().await;
    let parents = Parents::default();
    let bus = Bus::memory();
    let handler = Traced(Arc::clone(&parents), false);
    let options = ConsumerOptions::default();
    let consuming = life.consuming().clone();
    bus.subscribe(Consumer::new("traced", &["test.v1.Happened"], consuming, handler, options));
    let follow_ups = Parents::default();
    let handler = Traced(Arc::clone(&follow_ups), false);
    let producing = life.producer.clone();
    bus.subscribe(Consumer::new("next", &["test.v1.Followed"], producing, handler, options));
    let relay = Relay::new(life.producer.clone(), bus.clone(), quick());
    let back = Relay::new(life.consuming().clone(), bus, quick());

    life.happen(Uuid::now_v7(), 1).with_context(call()).await;
    life.happen(Uuid::now_v7(), 2).await;
    // A relay's own trace is nobody's parent.
    let elsewhere = call().with_remote_span_context(SpanContext::new(
        TraceId::from(7),
        SpanId::from(7),
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    ));
    while relay.step().with_context(elsewhere.clone()).await.unwrap() > 0 {}
    while back.step().await.unwrap() > 0 {}
    for parents in [parents, follow_ups] {
        let parents = parents.lock().unwrap().clone();
        assert_eq!(parents.len(), 2);
        assert_eq!(parents.iter().filter(|parent| is_given(parent)).count(), 1, "{parents:?}");
        assert_eq!(parents.iter().filter(|parent| parent.is_valid()).count(), 1, "{parents:?}");
    }
}

#[tokio::test]
async fn through_the_broker_the_trace_stands_in_the_message_and_at_the_consumer() {
    let nats = Nats::new();
    let folder = tempfile::tempdir().unwrap();
    let producer = sqlite(&folder.path().join("p.db"), "producer").await;
    let consumer = sqlite(&folder.path().join("c.db"), "consumer").await;
    let parents = Parents::default();
    let process = Process::new(nats.options()).await;
    let process = process.handle(&consumer, Traced(Arc::clone(&parents), false)).relay(&producer);
    let (of_call, plain) = (Uuid::now_v7(), Uuid::now_v7());
    happen(&producer, of_call, 1).with_context(call()).await;
    happen(&producer, plain, 2).await;
    until("delivered", async || parents.lock().unwrap().len() == 2).await;
    process.stop().await;

    let stream = server(&nats.options()).await.get_stream("COUNTERSIGN").await.unwrap();
    for (aggregate, expected) in [(of_call, Some(GIVEN)), (plain, None)] {
        let subject = format!("countersign.events.producer.test.v1.Happened.{aggregate}");
        let message = stream.get_last_raw_message_by_subject(&subject).await.unwrap();
        for name in ["ce-traceparent", "traceparent"] {
            assert_eq!(message.headers.get(name).map(|value| value.as_str()), expected);
        }
    }
    let parents = parents.lock().unwrap().clone();
    assert_eq!(parents.iter().filter(|parent| is_given(parent)).count(), 1, "{parents:?}");
    assert_eq!(traced(&consumer).await, 1, "it goes on from there");
}

#[tokio::test]
async fn a_trace_goes_through_the_dead_letters_and_away_with_its_event() {
    let stage = Stage::new();
    let life = stage.start().await;
    let parents = Parents::default();
    let bus = Bus::memory();
    let handler = Traced(Arc::clone(&parents), true);
    let options = ConsumerOptions { max_deliveries: 1, ..ConsumerOptions::default() };
    let consuming = life.consuming().clone();
    let consumer =
        Consumer::new("traced", &["test.v1.Happened"], consuming.clone(), handler, options);
    bus.subscribe(consumer.clone());
    let relay = Relay::new(life.producer.clone(), bus, quick());
    let id = life.happen(Uuid::now_v7(), 1).with_context(call()).await;
    while relay.step().await.unwrap() > 0 {}
    let dead = admin::dead(consuming.db(), 0).await.unwrap();
    assert_eq!(dead[0].event.trace, Some(given()));
    admin::requeue(consuming.db(), id, "traced").await.unwrap();
    consumer.redeliver_step().await.unwrap();
    assert_eq!(parents.lock().unwrap().iter().filter(|parent| is_given(parent)).count(), 2);

    assert_eq!(traced(&life.producer).await, 1);
    stage.hand.advance(std::time::Duration::from_hours(8 * 24));
    assert_eq!(relay.prune_step().await.unwrap(), 1);
    assert_eq!(traced(&life.producer).await, 0);
}

#[tokio::test]
async fn a_damaged_trace_in_the_database_harms_nobody() {
    let stage = Stage::new();
    let life = stage.start().await;
    life.happen(Uuid::now_v7(), 1).with_context(call()).await;
    let damage = "UPDATE outbox_traces SET traceparent = '00-what'";
    life.producer.db().execute_unprepared(damage).await.unwrap();
    assert_eq!(life.relay.step().await.unwrap(), 1);
    assert_eq!(life.effects().await, [1]);
}
