//! PostgreSQL, for tests: whoever reaches the port may do everything.

use std::{
    net::{SocketAddr, TcpListener},
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::process::Command;

use super::{server::Server, tool};
use crate::{kin, leash::Folder};

/// PostgreSQL refuses to run as root: then it runs as the user that owns nothing.
const NOBODY: u32 = 65534;
/// How long the rest of a server that was killed may take to go. A free port
/// may also be taken by somebody else before it is used.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server with its own data.
#[derive(Debug)]
pub struct Postgres {
    folder: Folder,
    user: Option<u32>,
    safety: Safety,
    address: SocketAddr,
    server: Option<Server>,
}

/// What becomes of commits when PostgreSQL or the machine dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Safety {
    /// They are on the disk, as in production.
    Durable,
    /// They may be lost; where only processes die, however they do, none is.
    Written,
    /// They may be lost, and where the server is killed as well; the fastest.
    Fast,
}

impl Postgres {
    /// Makes a new server.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start(safety: Safety) -> Self {
        let folder = Folder::new();
        let is_root = folder.path().metadata().expect("the folder is there").uid() == 0;
        let user = is_root.then_some(NOBODY);
        if user.is_some() {
            chown(folder.path(), user, user).expect("root gives folders away");
        }
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut postgres = Self { folder, user, safety, address, server: None };
        postgres.initialise().await;
        postgres.restart().await;
        postgres
    }

    /// Where clients connect; another port after each start.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where all that it writes is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where administrators connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://countersign@{}/postgres", self.address)
    }

    async fn initialise(&self) {
        let mut command = Command::new(tool("bin/postgres/initdb"));
        command.arg("--pgdata").arg(self.data());
        command.args(["--username=countersign", "--auth=trust", "--encoding=UTF8"]);
        command.args(["--no-locale", "--no-sync", "--no-instructions"]);
        self.dress(&mut command);
        let done = command.output().await.expect("initdb runs");
        assert!(done.status.success(), "initdb fails: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Starts it again on its data, after a crash as well. What still runs of a
    /// server that was killed goes by itself, and is waited for.
    ///
    /// # Panics
    /// It does not start.
    pub async fn restart(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(said) = self.launch().await {
            assert!(Instant::now() < deadline, "PostgreSQL ends: {said}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn launch(&mut self) -> Result<(), String> {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.expect("a free port");
        let program = tool("bin/postgres/postgres");
        let ready = "database system is ready to accept connections";
        // An immediate shutdown: children and shared memory go with it.
        let server = Server::start(program.as_os_str(), "QUIT", ready, |command| {
            command.arg("-D").arg(self.data()).args(["-h", "127.0.0.1"]);
            command.args(["-p", &address.port().to_string()]);
            let counting = "shared_preload_libraries=pg_stat_statements";
            for setting in ["unix_socket_directories=", "max_connections=500", counting] {
                command.args(["-c", setting]);
            }
            let without: &[&str] = match self.safety {
                Safety::Durable => &[],
                Safety::Written => &["fsync", "full_page_writes"],
                Safety::Fast => &["fsync", "full_page_writes", "synchronous_commit"],
            };
            for name in without {
                command.args(["-c", &format!("{name}=off")]);
            }
            self.dress(command);
        });
        let server = server.await?;
        self.address = address;
        self.server = Some(server);
        Ok(())
    }

    /// Ends its first process at once; the others notice.
    pub async fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.leash.kill().await;
        }
    }

    /// Ends it in good order, without waiting for its clients.
    pub async fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.leash.signal("INT").await;
            server.leash.ended().await;
        }
    }

    /// Sends a signal to its first process, such as `STOP`; false where it does
    /// not run.
    ///
    /// # Panics
    /// `kill` is not there.
    pub async fn signal(&mut self, signal: &str) -> bool {
        match &mut self.server {
            Some(server) => server.leash.signal(signal).await,
            None => false,
        }
    }

    /// Stops every process of it, also those that serve connections.
    pub async fn freeze(&mut self) {
        // The first one first: then it starts no others.
        self.signal("STOP").await;
        kin::signal("STOP", &self.processes("postgres")).await;
    }

    /// Lets all go on.
    pub async fn thaw(&mut self) {
        kin::signal("CONT", &self.processes("postgres")).await;
        self.signal("CONT").await;
    }

    /// Ends one of the processes that serve connections, with a signal that it
    /// cannot hold off. All connections break then, as PostgreSQL trusts its
    /// memory no more and recovers. False where nobody is connected.
    pub async fn kill_backend(&self, number: usize) -> bool {
        let serving = self.processes("postgres: countersign ");
        let Some(id) = serving.get(number % serving.len().max(1)) else { return false };
        kin::signal("KILL", &[*id]).await;
        true
    }

    /// Its processes but the first, whose titles begin like this.
    fn processes(&self, title: &str) -> Vec<u32> {
        let Some(first) = self.server.as_ref().and_then(|server| server.leash.id()) else {
            return Vec::new();
        };
        let children = kin::children(first).into_iter();
        children.filter(|(_, found)| found.starts_with(title)).map(|(id, _)| id).collect()
    }

    /// What it said last.
    #[must_use]
    pub fn said(&self) -> String {
        self.server.as_ref().map(Server::said).unwrap_or_default()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn dress(&self, command: &mut Command) {
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        // The folder of the tests may be one that this user cannot enter.
        command.current_dir(self.folder.path()).env("LC_ALL", "C");
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};

    use super::*;

    async fn connect(postgres: &Postgres) -> DatabaseConnection {
        let mut options = ConnectOptions::new(postgres.url());
        options.acquire_timeout(Duration::from_secs(1));
        Database::connect(options).await.unwrap()
    }

    #[tokio::test]
    async fn it_stands_still_as_a_whole_and_recovers_from_the_end_of_one_process() {
        let mut postgres = Postgres::start(Safety::Durable).await;
        let db = connect(&postgres).await;
        db.execute_unprepared("SELECT 1").await.unwrap();
        postgres.freeze().await;
        let silence = Duration::from_millis(50);
        let asked = tokio::time::timeout(silence, db.execute_unprepared("SELECT 1"));
        assert!(asked.await.is_err(), "a process goes on");
        postgres.thaw().await;
        let db = connect(&postgres).await;
        db.execute_unprepared("SELECT 1").await.unwrap();
        assert!(postgres.kill_backend(0).await);
        let mut failed = false;
        while db.execute_unprepared("SELECT 1").await.is_err() || !failed {
            failed = failed || postgres.said().contains("terminated by signal 9");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_was_committed_is_there_after_a_kill() {
        let mut postgres = Postgres::start(Safety::Durable).await;
        let db = connect(&postgres).await;
        db.execute_unprepared("CREATE TABLE kept AS SELECT 42 AS n").await.unwrap();
        postgres.kill().await;
        assert!(db.execute_unprepared("SELECT 1").await.is_err());
        postgres.restart().await;
        let db = connect(&postgres).await;
        assert_eq!(crate::Ledger::number(&db, "SELECT n::bigint AS n FROM kept").await, 42);
        db.close().await.unwrap();
    }
}
