//! A connection whose other end says nothing any more is closed, by either side.

use std::time::Duration;

use bytes::Bytes;
use countersign_mesh::{
    Part,
    config::{ChannelConfig, ServerConfig},
};
use http_body_util::Full;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::{
    replicas::{Mode, ONCE, Replica, ask, channel, hurried, until},
    support::{Probe, start},
};

const SOON: Duration = Duration::from_millis(20);
/// For a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);
/// How HTTP/2 begins, with settings that are all defaults (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test]
async fn a_server_closes_on_a_client_that_gives_no_sign_of_life() {
    let config = ServerConfig {
        keepalive_interval: SOON,
        keepalive_timeout: 10 * SOON,
        ..ServerConfig::default()
    };
    let server = start(&config, Part::new("probe").service(Probe::echo().guarded())).await;
    let (_sender, lively) = server.connect::<Full<Bytes>>().await;
    let lively = tokio::spawn(lively);
    let mut mute = TcpStream::connect(server.address).await.unwrap();
    mute.write_all(PREFACE).await.unwrap();
    let mut heard = Vec::new();
    let ended = timeout(PATIENCE, mute.read_to_end(&mut heard)).await;
    assert!(ended.is_ok(), "it is still open");
    assert!(!lively.is_finished(), "who answers may stay");
}

/// Carries bytes, until it is told to hold them back without a word.
async fn carry(listener: TcpListener, to: std::net::SocketAddr, hold: CancellationToken) {
    let mut held = Vec::new();
    while let Ok((mut client, _)) = listener.accept().await {
        if hold.is_cancelled() {
            held.push(client);
            continue;
        }
        let hold = hold.clone();
        tokio::spawn(async move {
            let mut server = TcpStream::connect(to).await.unwrap();
            tokio::select! {
                _ = copy_bidirectional(&mut client, &mut server) => {}
                () = hold.cancelled() => std::future::pending().await,
            }
        });
    }
}

#[tokio::test]
async fn a_channel_leaves_a_server_that_gives_no_sign_of_life() {
    let replica = Replica::start().await;
    replica.set(Mode::Hangs);
    let (wire, hold) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), CancellationToken::new());
    let address = wire.local_addr().unwrap();
    tokio::spawn(carry(wire, replica.address, hold.clone()));
    let config = ChannelConfig {
        timeout: 10 * PATIENCE,
        keepalive_interval: SOON,
        keepalive_timeout: 10 * SOON,
        ..hurried()
    };
    let channel = channel(&[address], &config);
    let call = tokio::spawn({
        let channel = channel.clone();
        async move { ask(&channel, ONCE).await }
    });
    until("it arrives", || replica.calls() == 1).await;
    hold.cancel();
    let ended = timeout(PATIENCE, call).await.expect("long before its own time is over");
    assert_eq!(ended.unwrap().unwrap_err().code(), Code::Unavailable);
    until("it is left", || channel.available() == 0).await;
}
