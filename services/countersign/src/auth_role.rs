//! The auth service alone: one of any number of replicas on one database.

use countersign_auth::{Migrator, Service};
use countersign_events::Bus;
use countersign_types::Clock;
use sea_orm::DatabaseConnection;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    Config, DataFolder, Error, Role, bus,
    databases::{self, AUTH_FILE},
    guarding::Guarding,
    master,
    own_policies::PolicyTasks,
    process::Process,
};

/// The auth service, ready to be served.
#[derive(Debug)]
pub struct AuthRole {
    /// Accounts, sessions and keys.
    pub auth: Service,
    /// What it keeps its data in.
    pub db: DatabaseConnection,
    /// Brings events here and takes them away.
    pub bus: Bus,
    clock: Clock,
    policies: PolicyTasks,
    config: Config,
    folder: Option<DataFolder>,
}

impl AuthRole {
    /// Puts the service together. Only what `config` names no place for is in
    /// the data folder: replicas on several machines need none.
    ///
    /// # Errors
    /// [`Error`] says what is wrong and what to do about it.
    pub async fn build(config: &Config, clock: Clock) -> Result<Self, Error> {
        config.keys.fit("keys", config.auth.signing_keys.announce_period)?;
        bus::require(config, "auth")?;
        let has_place = databases::has_place(&config.database.auth);
        let folder = match &config.master_key_file {
            _ if !has_place => Some(DataFolder::claim(&config.data_dir)?),
            None => Some(DataFolder::join(&config.data_dir)?),
            Some(_) => None,
        };
        let db = databases::open(&config.database.auth, folder.as_ref(), AUTH_FILE).await?;
        let clock = databases::in_time(clock, &db).await?;
        let masters = master::open(Role::Auth, config, folder.as_ref(), &db).await?;
        databases::prepare::<Migrator>("auth", &db, config).await?;
        let bus = bus::open(config).await?;
        let guarding = Guarding::beside_auth(config, &clock, &bus)?;
        let deps = guarding.auth(db.clone(), masters);
        let auth = countersign_auth::build(config.auth.clone(), deps).await?;
        let policies = guarding.policies;
        Ok(Self { auth, db, bus, clock, policies, config: config.clone(), folder })
    }

    /// Serves on `listener` with all tasks, until `shutdown` is cancelled and
    /// open calls have ended.
    ///
    /// # Errors
    /// [`Error::Mesh`] where a task panicked: start again.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<(), Error> {
        self.into_process().serve(listener, shutdown).await
    }

    /// The same as a process, to which more parts can be added.
    #[must_use]
    pub(crate) fn into_process(self) -> Process {
        let Self { auth, db, bus, clock, policies, config, folder } = self;
        let auth = auth.into_part().task(databases::time(&db, clock));
        let parts = vec![auth, bus::part(&config, bus), policies.into_part()];
        Process { parts, server: config.server, databases: vec![("auth", db)], folder }
    }
}
