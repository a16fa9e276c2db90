//! Everything in one process, stepped by hand.

use std::sync::Arc;

use countersign::{Config, Embedded};
use countersign_audit::Asides;
use countersign_events::{Consumer, Relay};
use countersign_mesh::{database::Probe, server::Server};
use countersign_types::Clock;
use tokio::{net::TcpListener, sync::Mutex};
use tokio_util::sync::CancellationToken;

use super::{System, split::patiently};

/// More steps than any test needs.
const MOST_STEPS: usize = 10_000;

/// What moves events, by hand.
pub(in super::super) struct Steps {
    pub auth: Relay,
    pub user: Relay,
    pub probes: [Probe; 2],
    consumers: Vec<Consumer>,
    asides: Mutex<[Asides; 2]>,
}

pub(super) async fn start(config: &Config, clock: Clock) -> System {
    let build = || Embedded::build(config, clock.clone());
    let Embedded { auth, user, databases, server, folder, policies, .. } = patiently(build).await;

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let consumers = auth.consumers.into_iter().chain(user.consumers).collect();
    let probes = [auth.probe, user.probe];
    let asides = Mutex::new([auth.asides, user.asides]);
    let steps = Steps { auth: auth.relay, user: user.relay, probes, consumers, asides };
    let server = Server::new(&server).part(auth.part).part(user.part).part(policies.into_part());
    tokio::spawn(server.serve(listener, CancellationToken::new()));
    System {
        auth: vec![address],
        user: vec![address],
        db: databases.auth,
        steps: Some(Arc::new(steps)),
        _folder: Some(folder),
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
            for asides in self.asides.lock().await.iter_mut() {
                moved += asides.step().await.expect("the asides are written");
            }
            if moved == 0 {
                return;
            }
        }
        panic!("the events never come to rest");
    }
}
