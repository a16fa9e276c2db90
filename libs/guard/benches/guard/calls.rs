//! Whole calls over a socket: a server with its guard against the same without.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use countersign_guard::enter;
use countersign_types::UserId;
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    body::Body,
    client::Grpc as Client,
    metadata::{Ascii, MetadataValue},
    server::{Grpc, NamedService, UnaryService},
    transport::{Channel, Endpoint, Server},
};
use tonic_prost::ProstCodec;
use tower::Service;

use crate::{
    at_least,
    clock::{median, process},
    stage::{Get, Stage},
    told,
};

const CONNECTIONS: usize = 4;
const CALLERS: usize = 32;
/// Resources that are called about in turn: more than the guard remembers of a token.
const MANY: usize = 64;
/// Many short rounds: what others do on the machine hits neighbours alike.
const ROUNDS: usize = 40;
const ROUND: Duration = Duration::from_millis(250);

/// Who calls, about one thing after the other.
#[derive(Clone)]
struct Person {
    bearer: MetadataValue<Ascii>,
    ids: Vec<String>,
}

/// What one server has done in a round.
struct Load {
    /// Calls that were answered in a second.
    rate: f64,
    /// Seconds of a processor for each, of the client and the server together.
    cost: f64,
}

/// What a server can do, as a part of what the one without a guard can.
#[derive(Default)]
struct Rounds {
    rates: Vec<f64>,
    costs: Vec<f64>,
}

/// As tonic generates it, for one method.
#[derive(Clone)]
struct Bench {
    guarded: bool,
}

struct Owned {
    guarded: bool,
}

impl UnaryService<Get> for Owned {
    type Response = Get;
    type Future = BoxFuture<'static, Result<Response<Get>, Status>>;

    fn call(&mut self, request: Request<Get>) -> Self::Future {
        let guarded = self.guarded;
        Box::pin(async move {
            let message = if guarded {
                enter(request, |message: &Get| message.id.as_str()).await?.message
            } else {
                request.into_inner()
            };
            Ok(Response::new(message))
        })
    }
}

impl NamedService for Bench {
    const NAME: &'static str = "bench.v1.BenchService";
}

impl Service<http::Request<Body>> for Bench {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let guarded = self.guarded;
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::default());
            Ok(grpc.unary(Owned { guarded }, request).await)
        })
    }
}

/// Servers that differ in nothing but the guard: the same handler, on the same
/// transport, asked by the same clients with the same tokens. What the guard's
/// adapter does for a handler, such as to validate the message, the one without
/// does not do at all.
pub fn measure() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let stage = Stage::new(500);
    let people = |resources: usize| -> Vec<Person> {
        let person = |_| Person {
            bearer: stage.bearer().parse().unwrap(),
            ids: (0..resources).map(|_| UserId::generate().to_string()).collect(),
        };
        (0..CALLERS).map(person).collect()
    };
    let (few, many) = (people(1), people(MANY));
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    let (mut known, mut new) = (Rounds::default(), Rounds::default());
    runtime.block_on(async {
        let guarded = listen(stage.guard.protect(Bench { guarded: true })).await;
        let bare = listen(Bench { guarded: false }).await;
        for _ in 0..ROUNDS {
            let before = load(bare, &few).await;
            known.add(load(guarded, &few).await, &before);
            new.add(load(guarded, &many).await, &before);
            rates.push(before.rate);
            costs.push(before.cost * 1e6);
        }
    });
    told("calls without the guard", median(rates), "1/s");
    told("calls without the guard, processor time of each", median(costs), "us");
    at_least("calls with / without", median(known.rates), "x", 0.85);
    at_least("calls, processor time without / with", median(known.costs), "x", 0.85);
    at_least("calls with / without, every one evaluated", median(new.rates), "x", 0.85);
    let name = "calls, processor time, every one evaluated";
    at_least(name, median(new.costs), "x", 0.85);
}

impl Rounds {
    fn add(&mut self, with: Load, without: &Load) {
        self.rates.push(with.rate / without.rate);
        self.costs.push(without.cost / with.cost);
    }
}

async fn listen<S>(service: S) -> SocketAddr
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = TcpListenerStream::new(listener);
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
    address
}

/// A round of calls.
async fn load(address: SocketAddr, people: &[Person]) -> Load {
    let (count, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        channels.push(endpoint.connect().await.unwrap());
    }
    let (began, had) = (Instant::now(), process());
    let callers: Vec<_> = channels
        .iter()
        .cycle()
        .zip(people)
        .map(|(channel, person)| {
            let (channel, person) = (channel.clone(), person.clone());
            let (count, stop) = (Arc::clone(&count), Arc::clone(&stop));
            tokio::spawn(async move {
                for id in person.ids.iter().cycle() {
                    if stop.load(Relaxed) {
                        break;
                    }
                    call(channel.clone(), &person.bearer, id).await;
                    count.fetch_add(1, Relaxed);
                }
            })
        })
        .collect();
    tokio::time::sleep(ROUND).await;
    stop.store(true, Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    let (calls, seconds) = (count.load(Relaxed) as f64, began.elapsed().as_secs_f64());
    Load { rate: calls / seconds, cost: (process() - had) / calls }
}

async fn call(channel: Channel, bearer: &MetadataValue<Ascii>, id: &str) {
    let mut client = Client::new(channel);
    client.ready().await.unwrap();
    let mut request = Request::new(Get { id: id.to_owned() });
    request.metadata_mut().insert("authorization", bearer.clone());
    let path = http::uri::PathAndQuery::from_static("/bench.v1.BenchService/Tenant");
    let answer: Response<Get> =
        client.unary(request, path, ProstCodec::<Get, Get>::default()).await.unwrap();
    assert_eq!(answer.get_ref().id.len(), 36);
}
