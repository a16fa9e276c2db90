//! A call that is made while another is answered: its deadline, its caller, its id.

use std::time::Duration;

use countersign_mesh::{Incoming, Part, channel::Channel, config::ServerConfig};
use tonic::{Request, Response, metadata::MetadataMap};

use super::{
    replicas::{CALL, Replica, ask, hurried, to},
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
    let channel = to(std::slice::from_ref(&replica), &config);
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
    let channel = to(std::slice::from_ref(&replica), &config).on_behalf_of_caller();
    ask(&channel, CALL).await.unwrap();
    let seen = replica.seen();
    assert!(time(&text(&seen[0], "grpc-timeout").unwrap()) <= config.attempt_timeout);
    assert_eq!(text(&seen[0], "authorization"), None);
}
