//! How the system of a test is spread out, and where it keeps its data.

use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt, path::PathBuf, time::Duration};

use countersign::Config;
use countersign_seal::MasterKey;
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    Ledger,
    engines::{NewDatabase, shared},
};

/// How the system is spread out. The same tests hold on each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// One process on SQLite, with a bus in memory. Events move when a test
    /// says so.
    Embedded,
    /// One replica of each service, each on its own SQLite, with JetStream.
    SplitSqlite,
    /// Two replicas of each service on PostgreSQL, with JetStream.
    SplitPostgres,
}

/// Engines and clocks in place of those that the tests share.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The URL of any database on a PostgreSQL, for a topology that has one.
    pub database: Option<String>,
    /// The URL of a nats-server, for a topology that has one.
    pub broker: Option<String>,
    /// Replicas go by clocks of the machine, of which each second one is so far
    /// ahead. The hand of the test moves nothing then.
    pub skew: Option<Duration>,
}

/// What stays when the system starts again.
pub(super) struct Place {
    pub topology: Topology,
    folder: TempDir,
    databases: Option<[NewDatabase; 2]>,
    broker: Option<String>,
    /// Sets the streams of tests apart.
    name: String,
}

impl Topology {
    /// How many replicas of each service there are.
    #[must_use]
    pub const fn replicas(self) -> usize {
        match self {
            Self::Embedded | Self::SplitSqlite => 1,
            Self::SplitPostgres => 2,
        }
    }
}

impl Place {
    pub(super) async fn new(topology: Topology, around: Surroundings) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut place = Self {
            topology,
            folder,
            databases: None,
            broker: None,
            name: Uuid::now_v7().to_string(),
        };
        if topology != Topology::Embedded {
            let key = place.file("master.key");
            MasterKey::create(key).expect("a master key can be made");
            place.broker = match around.broker {
                None => Some(shared::nats().await),
                own => own,
            };
        }
        if topology == Topology::SplitPostgres {
            place.databases = Some(match around.database {
                None => [NewDatabase::create().await, NewDatabase::create().await],
                Some(server) => [
                    NewDatabase::create_at(server.clone()).await,
                    NewDatabase::create_at(server).await,
                ],
            });
        }
        place
    }

    /// Writes into the settings where everything is.
    pub(super) fn settle_in(&self, config: &mut Config) {
        config.data_dir = self.file("data");
        let Some(broker) = &self.broker else { return };
        config.master_key_file = Some(self.file("master.key"));
        config.bus.url = Some(broker.clone());
        config.bus.stream.clone_from(&self.name);
        config.bus.subject_prefix.clone_from(&self.name);
        if let Some([auth, user]) = &self.databases {
            config.database.auth.url = Some(auth.url().to_owned());
            config.database.user.url = Some(user.url().to_owned());
        }
    }

    /// The data folder of a service that runs alone.
    pub(super) fn folder_of(&self, service: &str) -> PathBuf {
        let folder = self.file(service);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.expect("a folder can be made");
        folder
    }

    pub(super) async fn ledger(&self) -> Ledger {
        match (&self.databases, self.topology) {
            (Some([auth, user]), _) => Ledger::connect(auth.url(), user.url()).await,
            (None, Topology::Embedded) => Ledger::open(&self.file("data")).await,
            (None, _) => {
                let folders = [self.folder_of("auth"), self.folder_of("user")];
                Ledger::open_apart(folders).await
            }
        }
    }

    /// Removes what is not in the folder.
    pub(super) async fn clear(&mut self) {
        for database in self.databases.take().into_iter().flatten() {
            database.remove().await;
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
