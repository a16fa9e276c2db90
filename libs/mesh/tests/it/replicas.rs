//! Replicas of one small service that can be made to fail in every way, behind
//! real sockets, and channels to them.

use std::{
    future::{Future, pending},
    net::SocketAddr,
    str::FromStr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use countersign_mesh::{
    Part,
    channel::{Channel, Target},
    config::{ChannelConfig, OutlierConfig, ServerConfig},
};
use http::uri::PathAndQuery;
use prost::Message;
use prost_types::{
    FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, MethodOptions,
    ServiceDescriptorProto, method_options::IdempotencyLevel,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Response, Status, metadata::MetadataMap};
use tonic_prost::ProstCodec;

use super::support::{Probe, start};

/// May be repeated, by its contract.
pub const CALL: &str = "/test.v1.Probe/Call";
/// May not.
pub const ONCE: &str = "/test.v1.Probe/Once";

/// How a replica answers.
#[derive(Clone, Debug)]
pub enum Mode {
    Well,
    /// Never.
    Hangs,
    /// Well, after this time.
    Slow(Duration),
    /// Breaks every connection when it is called.
    Resets,
    /// With this status, while its health says that it serves.
    Fails(Status),
}

/// A replica.
pub struct Replica {
    /// Where clients connect: a wire before the server.
    pub address: SocketAddr,
    mode: Arc<Mutex<Mode>>,
    calls: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<MetadataMap>>>,
    _end: DropGuard,
}

impl Replica {
    pub async fn start() -> Self {
        Self::with(|part| part).await
    }

    /// One whose part is changed by this.
    pub async fn with(change: impl FnOnce(Part) -> Part) -> Self {
        let mode = Arc::new(Mutex::new(Mode::Well));
        let (calls, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let resets = watch::Sender::new(());
        let probe = {
            let (mode, calls, seen) = (Arc::clone(&mode), Arc::clone(&calls), Arc::clone(&seen));
            let resets = resets.clone();
            Probe::new(move |request: Request<String>| {
                calls.fetch_add(1, Ordering::SeqCst);
                let mut seen = seen.lock().unwrap();
                if seen.len() < 10_000 {
                    seen.push(request.metadata().clone());
                }
                let (mode, resets) = (mode.lock().unwrap().clone(), resets.clone());
                async move {
                    match mode {
                        Mode::Well => {}
                        Mode::Hangs => pending().await,
                        Mode::Slow(time) => tokio::time::sleep(time).await,
                        Mode::Resets => {
                            resets.send_replace(());
                            pending().await
                        }
                        Mode::Fails(status) => return Err(status),
                    }
                    Ok(Response::new(request.into_inner()))
                }
            })
        };
        let part = change(Part::new("probe").service(probe.guarded()));
        let server = start(&ServerConfig::default(), part).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let end = CancellationToken::new();
        let wire = carry(listener, server.address, resets);
        tokio::spawn(end.clone().run_until_cancelled_owned(wire));
        Self { address, mode, calls, seen, _end: end.drop_guard() }
    }

    pub fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    /// How many calls have reached its handler.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// The metadata of the calls, in their order.
    pub fn seen(&self) -> Vec<MetadataMap> {
        self.seen.lock().unwrap().clone()
    }
}

/// Carries bytes, and breaks every connection when it is told to.
async fn carry(listener: TcpListener, to: SocketAddr, resets: watch::Sender<()>) {
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut reset = resets.subscribe();
        tokio::spawn(async move {
            let Ok(mut server) = TcpStream::connect(to).await else { return };
            let whole = tokio::select! {
                _ = copy_bidirectional(&mut client, &mut server) => true,
                _ = reset.changed() => false,
            };
            if !whole {
                client.set_zero_linger().unwrap();
            }
        });
    }
}

/// So many replicas.
pub async fn replicas(number: usize) -> Vec<Replica> {
    let mut replicas = Vec::new();
    for _ in 0..number {
        replicas.push(Replica::start().await);
    }
    replicas
}

/// Settings that do everything sooner.
pub fn hurried() -> ChannelConfig {
    ChannelConfig {
        attempt_timeout: Duration::from_millis(200),
        initial_backoff: Duration::from_millis(1),
        max_backoff: Duration::from_millis(20),
        outliers: OutlierConfig {
            interval: Duration::from_millis(500),
            base_ejection_time: Duration::from_millis(500),
            failure_percentage_request_volume: 2,
            ..OutlierConfig::default()
        },
        ..ChannelConfig::default()
    }
}

/// What the contracts of the probe would say.
fn descriptors() -> Vec<u8> {
    let method = |name: &str, level: IdempotencyLevel| MethodDescriptorProto {
        name: Some(name.to_owned()),
        options: Some(MethodOptions {
            idempotency_level: Some(level.into()),
            ..MethodOptions::default()
        }),
        ..MethodDescriptorProto::default()
    };
    let service = ServiceDescriptorProto {
        name: Some("Probe".to_owned()),
        method: vec![
            method("Call", IdempotencyLevel::Idempotent),
            method("Once", IdempotencyLevel::IdempotencyUnknown),
        ],
        options: None,
    };
    let file = FileDescriptorProto {
        package: Some("test.v1".to_owned()),
        service: vec![service],
        ..FileDescriptorProto::default()
    };
    FileDescriptorSet { file: vec![file] }.encode_to_vec()
}

pub fn channel_to(target: Target, config: &ChannelConfig) -> Channel {
    Channel::describing(target, config, &[&descriptors()]).unwrap()
}

/// A channel to the replicas at these addresses.
pub fn channel(addresses: &[SocketAddr], config: &ChannelConfig) -> Channel {
    let list: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();
    channel_to(Target::from_str(&list.join(",")).unwrap(), config)
}

/// A channel to these replicas.
pub fn to(replicas: &[Replica], config: &ChannelConfig) -> Channel {
    channel(&replicas.iter().map(|replica| replica.address).collect::<Vec<_>>(), config)
}

/// Calls a method with a text, which comes back.
pub async fn ask(channel: &Channel, path: &'static str) -> Result<(), Status> {
    ask_with(channel, path, Request::new("echo".to_owned())).await
}

pub async fn ask_with(
    channel: &Channel,
    path: &'static str,
    request: Request<String>,
) -> Result<(), Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let codec = ProstCodec::<String, String>::default();
    let answer = grpc.unary(request, PathAndQuery::from_static(path), codec).await?;
    assert_eq!(answer.into_inner(), "echo");
    Ok(())
}

/// Calls again and again, from several tasks, until `done`; no call may fail.
pub async fn under_load<T>(
    channel: &Channel,
    path: &'static str,
    done: impl Future<Output = T>,
) -> T {
    let enough = CancellationToken::new();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (channel, enough) = (channel.clone(), enough.clone());
            tokio::spawn(async move {
                while !enough.is_cancelled() {
                    ask(&channel, path).await.unwrap();
                    // The replicas run in the same threads: they shall have their turn.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
        })
        .collect();
    let result = done.await;
    enough.cancel();
    for task in tasks {
        task.await.unwrap();
    }
    result
}

/// Waits until something holds.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let asked = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, asked).await.unwrap_or_else(|_| unreachable!("never: {what}"));
}
