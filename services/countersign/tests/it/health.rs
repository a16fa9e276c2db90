//! `countersign health`, as a container's probe runs it.

use std::{net::SocketAddr, process::Output};

use countersign::{Config, UserRole};
use countersign_types::Clock;
use tokio::{net::TcpListener, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

use crate::place::{Place, refusal, success};

/// The command with these arguments, on the settings of a server that listens there.
async fn health(listen: SocketAddr, arguments: &[&str]) -> Output {
    let listen = listen.to_string();
    let line = [&["health", "--listen", &listen], arguments].concat();
    let mut command = Place::new().command(&line);
    spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_probe_hears_what_the_server_says_of_each_service() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config { data_dir: folder.path().join("data"), ..Config::default() };
    // Neither is there: so it serves nobody, and its process is well.
    config.bus.url = Some("nats://127.0.0.1:1".to_owned());
    config.keys.source = vec!["http://127.0.0.1:1".to_owned()];
    let role = UserRole::build(&config, Clock::system()).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let served = tokio::spawn(role.serve(listener, stop.clone()));

    let told = success(&health(address, &["countersign.process"]).await);
    assert_eq!(told, "SERVING\n");
    let refused = refusal(&health(address, &[]).await);
    assert!(refused.contains("it says NOT_SERVING"), "{refused}");
    let refused = refusal(&health(address, &["countersign.auth.v1.AuthService"]).await);
    assert!(refused.contains("no service \"countersign.auth.v1.AuthService\""), "{refused}");

    // Somewhere else than where the settings say.
    let (elsewhere, there) = (SocketAddr::from(([127, 0, 0, 1], 1)), format!("http://{address}"));
    success(&health(elsewhere, &["countersign.process", "--at", &there]).await);
    stop.cancel();
    served.await.unwrap().unwrap();
    let refused = refusal(&health(address, &[]).await);
    assert!(refused.contains("does not serve: ") && refused.contains("refused"), "{refused}");
}
