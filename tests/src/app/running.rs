//! One run of the system, from its start to its end or crash. It has a runtime
//! of its own, so that all of it can die at once.

use std::{fs::File, net::SocketAddr, path::Path, time::Duration};

use countersign::{Config, DataFolder, Databases, Embedded, Error};
use countersign_events::{Consumer, Relay};
use countersign_mesh::server::Server;
use countersign_types::Clock;
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
};
use tokio_util::sync::CancellationToken;

use crate::Ledger;

/// More steps than any test needs.
const MOST_STEPS: usize = 10_000;
/// How long a crash may take; nothing waits that long.
const END: Duration = Duration::from_secs(10);

pub(super) struct Running {
    pub address: SocketAddr,
    pub steps: Steps,
    pub databases: Databases,
    runtime: Runtime,
    folder: DataFolder,
}

/// What moves events, by hand.
pub(super) struct Steps {
    pub auth: Relay,
    pub user: Relay,
    consumers: Vec<Consumer>,
}

impl Running {
    pub(super) async fn start(config: Config, clock: Clock) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let started = runtime.spawn(async move {
            let Embedded { auth, user, databases, server, folder, .. } =
                build(&config, clock).await;
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("an address");
            let consumers = auth.consumers.into_iter().chain(user.consumers).collect();
            let steps = Steps { auth: auth.relay, user: user.relay, consumers };
            let server = Server::new(&server).part(auth.part).part(user.part);
            tokio::spawn(server.serve(listener, CancellationToken::new()));
            (address, steps, databases, folder)
        });
        let (address, steps, databases, folder) = started.await.expect("the system starts");
        Self { address, steps, runtime, databases, folder }
    }

    /// Ends everything where it stands.
    pub(super) async fn crash(self) {
        let Self { runtime, steps, databases, folder, .. } = self;
        let end = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(END));
        end.await.expect("the runtime ends");
        drop((steps, databases, folder));
    }

    /// Brings the last events on their way, ends, and asserts that none is left over.
    pub(super) fn end(self, data: &Path, dead_letters_allowed: bool) {
        let Self { runtime, steps, databases, folder, .. } = self;
        runtime.shutdown_timeout(END);
        let last = Builder::new_current_thread().enable_all().build().expect("a runtime");
        last.block_on(async {
            if !dead_letters_allowed {
                steps.settle().await;
            }
            drop((steps, databases));
            let ledger = Ledger::open(data).await;
            let (waiting, dead) = (ledger.unpublished().await, ledger.dead_letters().await);
            ledger.close().await;
            if !dead_letters_allowed {
                assert_eq!(waiting, 0, "events are left over");
                assert!(dead.is_empty(), "dead letters are left over: {dead:?}");
            }
        });
        drop(folder);
    }
}

/// A program that another test starts inherits the lock of every data folder
/// of this process for the moment until it is loaded: a restart waits for that.
async fn build(config: &Config, clock: Clock) -> Embedded {
    loop {
        match Embedded::build(config, clock.clone()).await {
            Ok(embedded) => return embedded,
            Err(Error::FolderInUse(folder)) => {
                let lock = File::open(folder.join("lock")).expect("the lock is there");
                let free = tokio::task::spawn_blocking(move || lock.lock()).await;
                free.expect("a thread").expect("the lock can be waited for");
            }
            Err(error) => panic!("does not start: {error}"),
        }
    }
}

impl Steps {
    pub(super) async fn settle(&self) {
        for _ in 0..MOST_STEPS {
            let mut moved = self.auth.step().await.expect("the relay of auth steps");
            moved += self.user.step().await.expect("the relay of user steps");
            for consumer in &self.consumers {
                moved += consumer.redeliver_step().await.expect("the consumer steps");
            }
            if moved == 0 {
                return;
            }
        }
        panic!("the events never come to rest");
    }
}
