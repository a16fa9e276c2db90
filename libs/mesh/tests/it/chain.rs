//! A call that is made while another is answered: its deadline, its caller, its id
//! and its trace.

use std::{slice, time::Duration};

use countersign_mesh::{Incoming, Part, channel::Channel, config::ServerConfig};
use countersign_types::TraceParent;
use opentelemetry::trace::{SpanId, TracerProvider as _};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tonic::{Request, Response, metadata::MetadataMap};
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

use super::{
    replicas::{CALL, Replica, ask, ask_with, hurried, to},
    support::{Probe, Running, call, start},
};

/// A service that makes a call of its own over this channel, as is, on behalf of
/// its caller, and from a task.
async fn relay(channel: Channel) -> Running {
    let probe = Probe::new(move |request: Request<String>| {
        let channel = channel.clone();
        async move {
            ask(&channel, CALL).await?;
            ask(&channel.on_behalf_of_caller(), CALL).await?;
            let incoming = Incoming::current().unwrap();
            let task =
                incoming.scope(async move { ask(&channel.on_behalf_of_caller(), CALL).await });
            tokio::spawn(task).await.unwrap()?;
            Ok(Response::new(request.into_inner()))
        }
    });
    start(&ServerConfig::default(), Part::new("relay").service(probe.guarded())).await
}

fn text(metadata: &MetadataMap, key: &str) -> Option<String> {
    metadata.get(key).map(|value| value.to_str().unwrap().to_owned())
}

/// The time in a `grpc-timeout`.
fn time(header: &str) -> Duration {
    let (count, unit) = header.split_at(header.len() - 1);
    let count: u64 = count.parse().unwrap();
    match unit {
        "n" => Duration::from_nanos(count),
        "u" => Duration::from_micros(count),
        "m" => Duration::from_millis(count),
        "S" => Duration::from_secs(count),
        other => unreachable!("{other}"),
    }
}

#[tokio::test]
async fn deadlines_shrink_and_the_caller_is_passed_on_where_the_handler_says_so() {
    let replica = Replica::start().await;
    let mut config = hurried();
    config.attempt_timeout = Duration::from_secs(60);
    let channel = to(slice::from_ref(&replica), &config);
    let relay = relay(channel).await;
    let given = Duration::from_secs(7);
    let mut request = Request::new(String::new());
    request.set_timeout(given);
    request.metadata_mut().insert("authorization", "Bearer somebody".parse().unwrap());
    request.metadata_mut().insert("x-request-id", "one-of-many".parse().unwrap());
    call(relay.channel(), request).await.unwrap();

    let seen = replica.seen();
    let mut least = given;
    for metadata in &seen {
        let left = time(&text(metadata, "grpc-timeout").unwrap());
        assert!(left < least, "{left:?} of {least:?}");
        least = left;
        assert_eq!(text(metadata, "x-request-id").as_deref(), Some("one-of-many"));
    }
    let callers: Vec<_> = seen.iter().map(|metadata| text(metadata, "authorization")).collect();
    let caller = Some("Bearer somebody".to_owned());
    assert_eq!(callers, [None, caller.clone(), caller]);
}

#[tokio::test]
async fn without_a_call_that_is_answered_a_channel_has_its_own_deadline_and_nobodys_token() {
    let replica = Replica::start().await;
    let config = hurried();
    let channel = to(slice::from_ref(&replica), &config).on_behalf_of_caller();
    ask(&channel, CALL).await.unwrap();
    let seen = replica.seen();
    assert!(time(&text(&seen[0], "grpc-timeout").unwrap()) <= config.attempt_timeout);
    assert_eq!(text(&seen[0], "authorization"), None);
}

const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test]
async fn where_nobody_collects_spans_the_trace_goes_on_as_it_came() {
    let replica = Replica::start().await;
    let relay = relay(to(slice::from_ref(&replica), &hurried())).await;
    let mut request = Request::new(String::new());
    request.metadata_mut().insert("traceparent", GIVEN.parse().unwrap());
    call(relay.channel(), request).await.unwrap();
    let told: Vec<_> = replica.seen().iter().map(|seen| text(seen, "traceparent")).collect();
    // The task that the handler spawned is outside of the context of its call.
    assert_eq!(told, [Some(GIVEN.to_owned()), Some(GIVEN.to_owned()), None]);

    relay.call("").await.unwrap();
    let without = replica.seen().split_off(told.len());
    assert!(without.iter().all(|seen| text(seen, "traceparent").is_none()));
}

#[tokio::test]
async fn each_call_has_a_span_of_its_own_under_the_current_one_of_which_the_server_is_told() {
    let provider = SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let subscriber = tracing_subscriber::registry().with(layer);
    let _collecting = tracing::subscriber::set_default(subscriber);
    let replica = Replica::start().await;
    let channel = to(slice::from_ref(&replica), &hurried());
    let span = tracing::info_span!("outer");
    let outer = {
        use opentelemetry::trace::TraceContextExt;
        span.context().span().span_context().clone()
    };
    let twice = async {
        ask(&channel, CALL).await.unwrap();
        ask(&channel, CALL).await.unwrap();
        let mut own = Request::new("echo".to_owned());
        own.metadata_mut().insert("traceparent", GIVEN.parse().unwrap());
        ask_with(&channel, CALL, own).await.unwrap();
    };
    twice.instrument(span).await;
    let told: Vec<_> = replica.seen().iter().map(|seen| text(seen, "traceparent")).collect();
    assert_eq!(told[2].as_deref(), Some(GIVEN), "what a caller has set stays");
    let [one, other] = [0, 1].map(|place| told[place].as_ref().unwrap().parse::<TraceParent>());
    let (one, other) = (one.unwrap(), other.unwrap());
    for parent in [one, other] {
        assert_eq!(parent.trace.to_be_bytes(), outer.trace_id().to_bytes());
        assert_ne!(SpanId::from_bytes(parent.span.to_be_bytes()), outer.span_id());
        assert_eq!(parent.flags, 1);
    }
    assert_ne!(one.span, other.span);
}
