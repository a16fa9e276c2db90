//! The services apart, composed by the functions of the executable, with all
//! the tasks that move events by themselves.

use std::{
    fs::File,
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use countersign::{AuthRole, Config, Error, UserRole};
use countersign_mesh::health::v1::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use countersign_types::Clock;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, System};
use crate::Clients;

pub(super) async fn start(
    config: Config,
    folders: [PathBuf; 2],
    replicas: usize,
    clocks: [Clock; 2],
) -> System {
    let [auth_folder, user_folder] = folders;
    let (auth, auth_listeners) = listen(replicas).await;
    let (user, user_listeners) = listen(replicas).await;
    let mut config = config;
    config.keys.source = auth.iter().map(|address| format!("http://{address}")).collect();

    let auth_config = Config { data_dir: auth_folder, ..config.clone() };
    let mut db = None;
    for (listener, clock) in auth_listeners.into_iter().zip(clocks.iter().cycle()) {
        let role = patiently(|| AuthRole::build(&auth_config, clock.clone())).await;
        db = Some(role.db.clone());
        tokio::spawn(role.serve(listener, CancellationToken::new()));
    }
    let user_config = Config { data_dir: user_folder, ..config };
    for (listener, clock) in user_listeners.into_iter().zip(clocks.iter().cycle()) {
        let role = patiently(|| UserRole::build(&user_config, clock.clone())).await;
        tokio::spawn(role.serve(listener, CancellationToken::new()));
    }
    for &address in auth.iter().chain(&user) {
        serves(address).await;
    }
    System { auth, user, db: db.expect("a replica"), steps: None, _folder: None }
}

/// A program that another test starts inherits the lock of every data folder
/// of this process for the moment until it is loaded: a restart waits for that.
pub(super) async fn patiently<T, F: Future<Output = Result<T, Error>>>(build: impl Fn() -> F) -> T {
    loop {
        match build().await {
            Ok(built) => return built,
            Err(Error::FolderInUse(folder)) => {
                let lock = File::open(folder.join("lock")).expect("the lock is there");
                let free = tokio::task::spawn_blocking(move || lock.lock()).await;
                free.expect("a thread").expect("the lock can be waited for");
            }
            Err(error) => panic!("does not start: {error}"),
        }
    }
}

/// Listeners before anything is built: a service has to know where others are.
async fn listen(replicas: usize) -> (Vec<SocketAddr>, Vec<TcpListener>) {
    let (mut addresses, mut listeners) = (Vec::new(), Vec::new());
    for _ in 0..replicas {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        addresses.push(listener.local_addr().expect("an address"));
        listeners.push(listener);
    }
    (addresses, listeners)
}

/// Waits until a replica says that it serves: its guard knows what it needs.
async fn serves(address: SocketAddr) {
    let mut health = HealthClient::new(Clients::of(address).channel());
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = health.check(HealthCheckRequest { service: String::new() }).await;
        match answer {
            Ok(answer) if answer.get_ref().status() == ServingStatus::Serving => return,
            other => assert!(Instant::now() < deadline, "{address} does not serve: {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
