//! Calls, as many as are answered and so many in a second.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use countersign_mesh::{
    channel::{Channel, Target},
    config::ChannelConfig,
};
use prost::Message;
use prost_types::{
    FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, MethodOptions,
    ServiceDescriptorProto, method_options::IdempotencyLevel,
};
use tokio::{runtime::Runtime, task::JoinSet};
use tonic::{Request, client::GrpcService, transport::Endpoint};
use tonic_prost::ProstCodec;

use crate::{
    CLOSED, OPEN, RATE, cost,
    served::Served,
    stage::{Get, PATH},
};

const CALLERS: usize = 32;

/// How a server is called.
#[derive(Clone)]
pub struct Way {
    over: Over,
    authorization: tonic::metadata::AsciiMetadataValue,
    id: String,
}

#[derive(Clone)]
enum Over {
    Theirs(tonic::transport::Channel),
    Ours(Channel),
}

/// What one round has shown: calls a second, and of the open loop microseconds.
pub struct Round {
    pub rate: f64,
    pub server_cpu: f64,
    pub client_cpu: f64,
    pub p50: f64,
    pub p99: f64,
}

impl Way {
    /// A connection to a server, by our channel or by tonic's.
    pub async fn to(served: &Served, ours: bool) -> Self {
        let over = if ours {
            let target: Target = served.address.parse().unwrap();
            let config = ChannelConfig::default();
            Over::Ours(Channel::describing(target, &config, &[&descriptors()]).unwrap())
        } else {
            let endpoint = Endpoint::from_shared(format!("http://{}", served.address)).unwrap();
            Over::Theirs(endpoint.connect().await.unwrap())
        };
        let authorization = format!("Bearer {}", served.token).parse().unwrap();
        Self { over, authorization, id: served.id.clone() }
    }

    async fn call(&self) {
        let mut request = Request::new(Get { id: self.id.clone() });
        request.metadata_mut().insert("authorization", self.authorization.clone());
        match &self.over {
            Over::Theirs(channel) => call(channel.clone(), request).await,
            Over::Ours(channel) => call(channel.clone(), request).await,
        }
    }
}

async fn call<T>(channel: T, request: Request<Get>)
where
    T: GrpcService<tonic::body::Body, ResponseBody = tonic::body::Body>,
    T::Error: std::fmt::Debug,
{
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static(PATH);
    let codec = ProstCodec::<Get, Get>::default();
    let answer = client.unary(request, path, codec).await.unwrap();
    assert_eq!(answer.get_ref().id.len(), 36);
}

/// One round of both loops.
pub fn round(runtime: &Runtime, served: &Served, way: &Way) -> Round {
    let rate = runtime.block_on(closed(way));
    let process = std::process::id();
    let (server, client) = (cost::cpu(served.process()), cost::cpu(process));
    let (mut times, pacing) = open(runtime, way);
    let calls = times.len() as f64;
    let server = cost::cpu(served.process()) - server;
    let client = cost::cpu(process) - client - pacing;
    times.sort_unstable();
    let percentile = |of: usize| times.get(times.len() * of / 100).unwrap().as_secs_f64() * 1e6;
    Round {
        rate,
        server_cpu: server * 1e6 / calls,
        client_cpu: client * 1e6 / calls,
        p50: percentile(50),
        p99: percentile(99),
    }
}

/// Calls that are answered in a second where so many callers wait for one after the other.
async fn closed(way: &Way) -> f64 {
    let (count, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (way, count, stop) = (way.clone(), Arc::clone(&count), Arc::clone(&stop));
        callers.spawn(async move {
            while !stop.load(Relaxed) {
                way.call().await;
                count.fetch_add(1, Relaxed);
            }
        });
    }
    tokio::time::sleep(CLOSED).await;
    stop.store(true, Relaxed);
    callers.join_all().await;
    count.load(Relaxed) as f64 / began.elapsed().as_secs_f64()
}

/// How long each call takes from the time that it is due, whatever became of those
/// before it; and the seconds of CPU that went into keeping the time.
fn open(runtime: &Runtime, way: &Way) -> (Vec<Duration>, f64) {
    let times = Arc::new(Mutex::new(Vec::new()));
    let (began, before) = (Instant::now(), cost::own_cpu());
    let number = RATE * u32::try_from(OPEN.as_secs()).unwrap();
    let mut calls = Vec::new();
    for place in 0..number {
        let due = began + OPEN * place / number;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let (way, times) = (way.clone(), Arc::clone(&times));
        calls.push(runtime.spawn(async move {
            way.call().await;
            times.lock().unwrap().push(due.elapsed());
        }));
    }
    let pacing = cost::own_cpu() - before;
    for call in calls {
        runtime.block_on(call).unwrap();
    }
    let times = std::mem::take(&mut *times.lock().unwrap());
    (times, pacing)
}

/// What the contract would say: a call that may be tried again.
fn descriptors() -> Vec<u8> {
    let level = IdempotencyLevel::NoSideEffects.into();
    let (service, method) = PATH.trim_start_matches('/').split_once('/').unwrap();
    let (package, service) = service.rsplit_once('.').unwrap();
    let method = MethodDescriptorProto {
        name: Some(method.to_owned()),
        options: Some(MethodOptions { idempotency_level: Some(level), ..Default::default() }),
        ..Default::default()
    };
    let service = ServiceDescriptorProto {
        name: Some(service.to_owned()),
        method: vec![method],
        options: None,
    };
    let file = FileDescriptorProto {
        package: Some(package.to_owned()),
        service: vec![service],
        ..Default::default()
    };
    FileDescriptorSet { file: vec![file] }.encode_to_vec()
}
