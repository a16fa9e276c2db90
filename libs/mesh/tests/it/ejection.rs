//! A replica that answers badly is taken out, and comes back when it is well.

use std::time::Duration;

use countersign_mesh::config::ChannelConfig;
use tonic::Status;

use super::replicas::{CALL, Mode, ask, hurried, replicas, to, under_load, until};

/// One of three replicas is made to fail; nobody's call does.
async fn is_ejected_and_comes_back(mode: Mode) {
    let replicas = replicas(3).await;
    let mut config = hurried();
    // Its own health says all the while that it serves.
    config.health_service = Some("test.v1.Probe".to_owned());
    let channel = to(&replicas, &config);
    let steps = async {
        until("all are there", || channel.available() == 3).await;
        replicas[0].set(mode);
        until("it is taken out", || channel.available() == 2).await;
        replicas[0].set(Mode::Well);
        until("it is back in", || channel.available() == 3).await;
        let before = replicas[0].calls();
        until("it is called again", || replicas[0].calls() > before + 10).await;
    };
    under_load(&channel, CALL, steps).await;
}

#[tokio::test]
async fn a_replica_that_hangs_is_taken_out_and_comes_back() {
    is_ejected_and_comes_back(Mode::Hangs).await;
}

#[tokio::test]
async fn a_replica_that_is_too_slow_is_taken_out_and_comes_back() {
    is_ejected_and_comes_back(Mode::Slow(Duration::from_millis(400))).await;
}

#[tokio::test]
async fn a_replica_that_resets_connections_is_taken_out_and_comes_back() {
    is_ejected_and_comes_back(Mode::Resets).await;
}

#[tokio::test]
async fn a_replica_that_lies_about_its_health_is_taken_out_and_comes_back() {
    is_ejected_and_comes_back(Mode::Fails(Status::unavailable("out of order"))).await;
}

#[tokio::test]
async fn a_replica_that_fails_at_once_does_not_draw_the_calls_to_itself() {
    let replicas = replicas(2).await;
    let mut config = ChannelConfig::default();
    // Nothing is forgotten meanwhile.
    config.outliers.interval = Duration::from_secs(600);
    let channel = to(&replicas, &config);
    until("both are there", || channel.available() == 2).await;
    replicas[0].set(Mode::Fails(Status::unavailable("out of order")));
    for _ in 0..50 {
        ask(&channel, CALL).await.unwrap();
    }
    assert_eq!(replicas[0].calls(), 1);
}
