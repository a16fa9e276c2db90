//! Replicas are restarted one after the other, and a client with a channel does
//! not notice: not even calls are lost that must not be sent twice.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use countersign_mesh::{
    Part,
    config::ServerConfig,
    server::{Report, Server},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::Response;

use super::{
    replicas::{ONCE, channel, hurried, under_load, until},
    support::Probe,
};

/// A replica that can be started again where it was.
struct Member {
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
    shutdown: CancellationToken,
    serving: JoinHandle<Report>,
}

impl Member {
    async fn start(address: SocketAddr) -> Self {
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        let probe = Probe::new(move |request: tonic::Request<String>| {
            counter.fetch_add(1, Ordering::SeqCst);
            async {
                // So that calls are open when it stops.
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                Ok(Response::new(request.into_inner()))
            }
        });
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server =
            Server::new(&ServerConfig::default()).part(Part::new("probe").service(probe.guarded()));
        let shutdown = CancellationToken::new();
        let serving = server.serve(listener, shutdown.clone());
        let serving = tokio::spawn(async { serving.await.unwrap() });
        Self { address, calls, shutdown, serving }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    async fn restart(self) -> Self {
        self.shutdown.cancel();
        assert!(self.serving.await.unwrap().drained);
        Self::start(self.address).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_of_every_replica_loses_no_call() {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut members = Vec::new();
    for _ in 0..3 {
        members.push(Member::start(anywhere).await);
    }
    let addresses: Vec<_> = members.iter().map(|member| member.address).collect();
    let channel = channel(&addresses, &hurried());
    let steps = async {
        for _ in 0..3 {
            for place in 0..members.len() {
                until("all are there", || channel.available() == 3).await;
                let member = members.remove(place).restart().await;
                until("it is called", || member.calls() > 20).await;
                members.insert(place, member);
            }
        }
    };
    under_load(&channel, ONCE, steps).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_replica_is_restarted_and_calls_wait_for_it() {
    let mut member = Member::start(SocketAddr::from(([127, 0, 0, 1], 0))).await;
    let channel = channel(&[member.address], &hurried());
    let steps = async {
        for _ in 0..5 {
            member = member.restart().await;
            until("it is called", || member.calls() > 20).await;
        }
    };
    under_load(&channel, ONCE, steps).await;
}
