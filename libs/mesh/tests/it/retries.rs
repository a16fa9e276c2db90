//! What is tried again, and what never is; counted where it arrives.

use std::time::Duration;

use countersign_mesh::config::ChannelConfig;
use futures::{StreamExt, stream};
use tonic::{Code, Request, Status, metadata::MetadataMap};

use super::replicas::{CALL, Mode, ONCE, ask, ask_with, hurried, replicas, to, until};

#[tokio::test]
async fn what_may_have_been_heard_is_sent_once_where_it_may_not_be_repeated() {
    for (mode, code) in [
        (Mode::Resets, Code::Unavailable),
        (Mode::Hangs, Code::DeadlineExceeded),
        (Mode::Fails(Status::unavailable("perhaps")), Code::Unavailable),
        (Mode::Fails(Status::internal("perhaps")), Code::Internal),
    ] {
        let replicas = replicas(2).await;
        replicas.iter().for_each(|replica| replica.set(mode.clone()));
        let config = ChannelConfig { timeout: Duration::from_millis(500), ..hurried() };
        let channel = to(&replicas, &config);
        until("both are there", || channel.available() == 2).await;
        let refused = ask(&channel, ONCE).await.unwrap_err();
        assert_eq!(refused.code(), code, "{mode:?}");
        assert_eq!(replicas.iter().map(|r| r.calls()).sum::<usize>(), 1, "{mode:?}");
    }
}

#[tokio::test]
async fn a_call_is_tried_as_often_as_it_may_be_and_says_so() {
    let replicas = replicas(1).await;
    replicas[0].set(Mode::Fails(Status::unavailable("out of order")));
    let refused = ask(&to(&replicas, &hurried()), CALL).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::Unavailable, "out of order"));
    let header = |metadata: &MetadataMap| {
        metadata.get("grpc-previous-rpc-attempts").map(|n| n.to_str().unwrap().to_owned())
    };
    let said: Vec<_> = replicas[0].seen().iter().map(header).collect();
    let expected = [None, Some("1"), Some("2"), Some("3"), Some("4")];
    assert_eq!(said, expected.map(|n| n.map(str::to_owned)));
}

#[tokio::test]
async fn retries_never_multiply_a_flood() {
    const CALLS: usize = 1000;
    let replicas = replicas(2).await;
    replicas.iter().for_each(|r| r.set(Mode::Fails(Status::unavailable("out of order"))));
    let attempt_timeout = Duration::from_secs(60);
    let config = ChannelConfig { retry_tokens: 20, attempt_timeout, ..hurried() };
    let channel = to(&replicas, &config);
    let calls = stream::iter(0..CALLS).map(|_| ask(&channel, CALL)).buffer_unordered(50);
    let failed = calls.filter(|answer| std::future::ready(answer.is_err())).count().await;
    assert_eq!(failed, CALLS);
    let arrived: usize = replicas.iter().map(|replica| replica.calls()).sum();
    // Ten tokens of twenty, which nothing brings back.
    assert!((CALLS + 1..=CALLS + 10).contains(&arrived), "{arrived} for {CALLS}");
}

#[tokio::test]
async fn a_server_that_wants_no_further_attempt_gets_none() {
    for (pushback, expected) in [("-1", 1), ("0", 5)] {
        let replicas = replicas(1).await;
        let mut metadata = MetadataMap::new();
        metadata.insert("grpc-retry-pushback-ms", pushback.parse().unwrap());
        let status = Status::with_metadata(Code::Unavailable, "full", metadata);
        replicas[0].set(Mode::Fails(status));
        assert!(ask(&to(&replicas, &hurried()), CALL).await.is_err());
        assert_eq!(replicas[0].calls(), expected, "{pushback}");
    }
}

#[tokio::test]
async fn a_deadline_counts_for_all_attempts_together() {
    let replicas = replicas(2).await;
    replicas.iter().for_each(|replica| replica.set(Mode::Hangs));
    let config = ChannelConfig { attempt_timeout: Duration::from_millis(50), ..hurried() };
    let channel = to(&replicas, &config);
    until("both are there", || channel.available() == 2).await;
    let mut request = Request::new("echo".to_owned());
    request.set_timeout(Duration::from_millis(120));
    let refused = ask_with(&channel, CALL, request).await.unwrap_err();
    assert_eq!(refused.code(), Code::DeadlineExceeded);
    let arrived: usize = replicas.iter().map(|replica| replica.calls()).sum();
    assert!((1..=3).contains(&arrived), "{arrived}");
}
