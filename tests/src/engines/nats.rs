//! nats-server with JetStream: one, or a cluster of three.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use futures::future::join_all;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{disk::Disk, server::Server, tool};
use crate::leash::Folder;

/// The servers of a cluster.
const NAMES: [&str; 3] = ["one", "two", "three"];
/// How often a cluster is tried to be started.
const TRIES: usize = 5;
/// MiB of a disk of its own: many times what a long campaign publishes.
const DISK: u32 = 192;
/// How long a cluster may take to agree on a leader.
const PATIENCE: Duration = Duration::from_secs(60);

/// One server, with its own store.
#[derive(Debug)]
pub struct Nats {
    name: String,
    /// Where the other servers of its cluster listen for it.
    routes: Option<Vec<SocketAddr>>,
    folder: Folder,
    /// Where the store is, if it has a disk of its own.
    disk: Option<Disk>,
    ports: Ports,
    /// Lines of its configuration beyond those that every server has.
    extra: String,
    server: Option<Server>,
}

/// Where a store lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// On the disk of this machine.
    Shared,
    /// On a disk of its own, which can be filled.
    Own,
}

/// Three servers that hold every stream three times.
#[derive(Debug)]
pub struct Cluster {
    /// The servers.
    pub nodes: Vec<Nats>,
}

/// Where a server listens. What was free at the first start is asked for again
/// at the next one: others know it by that.
#[derive(Clone, Copy, Debug, Default)]
struct Ports {
    client: Option<SocketAddr>,
    route: Option<SocketAddr>,
    monitor: Option<SocketAddr>,
}

impl Nats {
    /// A server that is alone.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start() -> Self {
        Self::start_on(Storage::Shared).await
    }

    /// The same with its store there.
    ///
    /// # Panics
    /// It does not start, or can have no disk of its own.
    pub async fn start_on(storage: Storage) -> Self {
        let mut nats = Self::new("alone", None, Ports::default(), storage).await;
        nats.restart().await;
        nats
    }

    /// The same with these lines in its configuration.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start_with(extra: String) -> Self {
        let alone = Self::new("alone", None, Ports::default(), Storage::Shared).await;
        let mut nats = Self { extra, ..alone };
        nats.restart().await;
        nats
    }

    async fn new(
        name: &str,
        routes: Option<Vec<SocketAddr>>,
        ports: Ports,
        storage: Storage,
    ) -> Self {
        let folder = Folder::new();
        let disk = match storage {
            Storage::Shared => None,
            Storage::Own => Some(Disk::mount(&store_in(folder.path()), DISK).await),
        };
        let extra = String::new();
        Self { name: name.to_owned(), routes, folder, disk, ports, extra, server: None }
    }

    /// Where clients connect.
    ///
    /// # Panics
    /// Never once it has started.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.ports.client.expect("a server that started has an address")
    }

    /// Where all that it writes is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The same as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// Starts it again on its store, on the same ports.
    ///
    /// # Panics
    /// It does not start.
    pub async fn restart(&mut self) {
        self.try_restart().await.unwrap_or_else(|said| panic!("nats-server ends: {said}"));
    }

    async fn try_restart(&mut self) -> Result<(), String> {
        let path = self.folder.path().join("nats.conf");
        fs::write(&path, self.config()).expect("the folder can be written");
        let nats = tool("bin/nats-server").into_os_string();
        let (program, mut words) = match &self.disk {
            Some(disk) => {
                let (program, mut words) = disk.entrance();
                words.push(nats);
                (program.to_owned(), words)
            }
            None => (nats, Vec::new()),
        };
        words.push("-c".into());
        let server = Server::start(&program, "KILL", "Server is ready", |command| {
            command.args(words).arg(&path);
        });
        let server = server.await?;
        let listens = |mark: &str| server.behind(mark).and_then(|address| address.parse().ok());
        self.ports = Ports {
            client: listens("Listening for client connections on "),
            // It is said after being ready, and chosen before the first start.
            route: self.ports.route,
            monitor: listens("Starting http monitor on "),
        };
        self.server = Some(server);
        Ok(())
    }

    /// Ends it at once.
    pub async fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.leash.kill().await;
        }
    }

    /// Ends it in good order.
    pub async fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.leash.signal("TERM").await;
            server.leash.ended().await;
        }
    }

    /// Takes up all the room on its disk.
    ///
    /// # Panics
    /// It has none of its own.
    pub fn fill_disk(&self) {
        self.disk.as_ref().expect("a disk of its own").fill();
    }

    /// Gives the room back.
    ///
    /// # Panics
    /// It has no disk of its own, or there is room.
    pub fn free_disk(&self) {
        self.disk.as_ref().expect("a disk of its own").free();
    }

    /// What it said last.
    #[must_use]
    pub fn said(&self) -> String {
        self.server.as_ref().map(Server::said).unwrap_or_default()
    }

    /// Sends a signal, such as `STOP`; false where it does not run.
    ///
    /// # Panics
    /// `kill` is not there.
    pub async fn signal(&mut self, signal: &str) -> bool {
        match &mut self.server {
            Some(server) => server.leash.signal(signal).await,
            None => false,
        }
    }

    /// Removes everything that a server which has ended had stored.
    ///
    /// # Panics
    /// The store cannot be removed.
    pub fn lose_store(&self) {
        assert!(self.server.is_none(), "a running server keeps its store");
        let store = self.disk.as_ref().map_or_else(|| self.store(), Disk::path);
        // What is in it, not itself: a disk is mounted there.
        let entries = fs::read_dir(store).into_iter().flatten();
        for entry in entries {
            let path = entry.expect("an entry").path();
            fs::remove_dir_all(path).expect("the store can be removed");
        }
    }

    fn store(&self) -> PathBuf {
        store_in(self.folder.path())
    }

    fn config(&self) -> String {
        let listen = |known: Option<SocketAddr>| {
            known.map_or_else(|| "127.0.0.1:-1".to_owned(), |address| address.to_string())
        };
        let Ports { client, route, monitor } = self.ports;
        let mut config = format!(
            "server_name: {}\nlisten: \"{}\"\nhttp: \"{}\"\n\
             jetstream {{ store_dir: \"{}\", sync_interval: always, max_file: 1G }}\n",
            self.name,
            listen(client),
            listen(monitor),
            self.store().display(),
        );
        config.push_str(&self.extra);
        if let Some(routes) = &self.routes {
            let routes: Vec<_> = routes.iter().map(|route| format!("\"nats://{route}\"")).collect();
            // Clients are told of no other server: there may be a proxy in front of each.
            config.push_str(&format!(
                "cluster {{ name: test, listen: \"{}\", no_advertise: true, routes: [{}] }}\n",
                listen(route),
                routes.join(", ")
            ));
        }
        config
    }

    /// The leader that this server knows for the streams of its cluster.
    async fn leader(&self) -> Option<String> {
        let state = self.monitor("/jsz").await?;
        let cluster = &state["meta_cluster"];
        let leader = cluster["leader"].as_str().filter(|leader| !leader.is_empty());
        leader.filter(|_| cluster["cluster_size"] == 3).map(str::to_owned)
    }

    /// Waits until it says that it is well: its streams are there and have what
    /// those of the other servers have.
    ///
    /// # Panics
    /// It never says so.
    pub async fn has_caught_up(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let health = self.monitor("/healthz").await.unwrap_or_default();
            if health["status"] == "ok" {
                return;
            }
            assert!(Instant::now() < deadline, "nats-server is not well: {health}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What it tells about itself.
    async fn monitor(&self, path: &str) -> Option<Value> {
        let mut stream = TcpStream::connect(self.ports.monitor?).await.ok()?;
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        serde_json::from_str(body).ok()
    }
}

impl Cluster {
    /// Starts three servers and waits until they agree.
    ///
    /// # Panics
    /// One does not start, or they do not agree.
    pub async fn start() -> Self {
        Self::start_on(Storage::Shared).await
    }

    /// The same with their stores there, each with its own.
    ///
    /// # Panics
    /// One does not start, they do not agree, or can have no disks of their own.
    pub async fn start_on(storage: Storage) -> Self {
        for _ in 0..TRIES {
            // Each has to know where the others will be. A port that is free now
            // may be taken by then: that is why there is more than one try.
            let free: Vec<_> = NAMES.map(|_| TcpListener::bind("127.0.0.1:0")).into();
            let free: io::Result<Vec<_>> =
                free.into_iter().map(|listener| listener?.local_addr()).collect();
            let routes = free.expect("free ports");
            let nodes = NAMES.iter().zip(&routes).map(|(name, route)| {
                let ports = Ports { route: Some(*route), ..Ports::default() };
                Nats::new(name, Some(routes.clone()), ports, storage)
            });
            let mut nodes = join_all(nodes).await;
            let started = join_all(nodes.iter_mut().map(Nats::try_restart)).await;
            if started.iter().all(Result::is_ok) {
                let cluster = Self { nodes };
                cluster.agree().await;
                return cluster;
            }
        }
        panic!("no cluster of nats-server starts");
    }

    /// Waits until all that run know the same leader.
    ///
    /// # Panics
    /// They do not agree.
    pub async fn agree(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut leaders = Vec::new();
            for node in self.nodes.iter().filter(|node| node.server.is_some()) {
                leaders.push(node.leader().await);
            }
            if let Some(Some(first)) = leaders.first()
                && leaders.iter().all(|leader| leader.as_ref() == Some(first))
            {
                return;
            }
            assert!(Instant::now() < deadline, "the cluster does not agree: {leaders:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The URLs of all, with commas between them.
    #[must_use]
    pub fn url(&self) -> String {
        self.nodes.iter().map(Nats::url).collect::<Vec<_>>().join(",")
    }
}

fn store_in(folder: &Path) -> PathBuf {
    folder.join("store")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cluster_goes_on_without_one_and_comes_back_whole() {
        let mut cluster = Cluster::start().await;
        let before = cluster.url();
        cluster.nodes[0].kill().await;
        cluster.agree().await;
        cluster.nodes[0].restart().await;
        cluster.agree().await;
        for node in &mut cluster.nodes {
            node.kill().await;
        }
        for node in &mut cluster.nodes {
            node.restart().await;
        }
        cluster.agree().await;
        assert_eq!(cluster.url(), before);
    }
}
