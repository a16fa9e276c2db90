//! Everything in one process: both services, one guard, and a bus in memory
//! where no broker is named.
//!
//! The executable and the tests start through [`Embedded`]. A test that steps
//! relays and turns the clock itself never calls [`Embedded::serve`], or takes
//! the parts out of it.

use countersign_events::Bus;
use countersign_mesh::config::ServerConfig;
use countersign_types::Clock;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    Config, DataFolder, Error, Role, bus, databases::Databases, guarding::Guarding, master,
    own_policies::PolicyTasks, process::Process,
};

/// The whole system, ready to be served.
#[derive(Debug)]
pub struct Embedded {
    /// Accounts, sessions and keys.
    pub auth: countersign_auth::Service,
    /// Profiles.
    pub user: countersign_user::Service,
    /// What both keep their data in.
    pub databases: Databases,
    /// Brings events from one to the other.
    pub bus: Bus,
    /// What keeps the guard up to date with the folders of one's own policies.
    pub policies: PolicyTasks,
    /// How it is to be served.
    pub server: ServerConfig,
    /// Held as long as this lives: no other process runs on the data.
    pub folder: DataFolder,
    config: Config,
}

impl Embedded {
    /// Puts the system together on the data folder that `config` names, which
    /// it makes at the first start.
    ///
    /// # Errors
    /// [`Error`] says what is wrong and what to do about it.
    pub async fn build(config: &Config, clock: Clock) -> Result<Self, Error> {
        Self::build_in(DataFolder::claim(&config.data_dir)?, config, clock).await
    }

    /// The same on a folder that is claimed already.
    ///
    /// # Errors
    /// As [`Embedded::build`].
    pub async fn build_in(
        folder: DataFolder,
        config: &Config,
        clock: Clock,
    ) -> Result<Self, Error> {
        let databases = Databases::open(config, &folder).await?;
        let auth_keys = master::open(Role::Auth, config, Some(&folder), &databases.auth).await?;
        let user_keys = master::open(Role::User, config, Some(&folder), &databases.user).await?;
        databases.prepare(config).await?;
        let bus = bus::open(config).await?;
        let guarding = Guarding::beside_auth(config, &clock, &bus)?;
        let auth = guarding.auth(databases.auth.clone(), auth_keys);
        let auth = countersign_auth::build(config.auth.clone(), auth).await?;
        let accounts = auth.accounts.clone();
        let user = guarding.user(databases.user.clone(), user_keys, accounts);
        Ok(Self {
            auth,
            user: countersign_user::build(config.user.clone(), user).await?,
            databases,
            bus,
            policies: guarding.policies,
            server: config.server.clone(),
            folder,
            config: config.clone(),
        })
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
        let Self { auth, user, databases, bus, policies, server, folder, config } = self;
        let policies = policies.into_part();
        let parts = vec![auth.into_part(), user.into_part(), bus::part(&config, bus), policies];
        let databases = databases.each().map(|(name, db)| (name, db.clone())).to_vec();
        Process { parts, server, databases, folder: Some(folder) }
    }
}
