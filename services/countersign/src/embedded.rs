//! Everything in one process: both services, one guard, one bus in memory.
//!
//! The executable and the tests start through [`Embedded`]. A test that steps
//! relays and turns the clock itself never calls [`Embedded::serve`], or takes
//! the parts out of it.

use countersign_contracts::{BASE_POLICIES, CEDAR_SCHEMA, RULES};
use countersign_events::Bus;
use countersign_guard::{Guard, Revocations};
use countersign_mesh::{config::ServerConfig, server::Server};
use countersign_tokens::KeyRing;
use countersign_types::Clock;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Config, DataFolder, Error, databases::Databases, master};

/// The whole system, ready to be served.
#[derive(Debug)]
pub struct Embedded {
    /// Accounts, sessions and keys.
    pub auth: countersign_auth::Service,
    /// Profiles.
    pub user: countersign_user::Service,
    /// What both keep their data in.
    pub databases: Databases,
    /// How it is to be served.
    pub server: ServerConfig,
    /// Held as long as this lives: no other process runs on the data.
    pub folder: DataFolder,
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
        let master = master::open(config, &folder, &databases).await?;
        let bus = Bus::memory();
        let (keys, revocations) = (KeyRing::default(), Revocations::default());
        let settings = config.token.guard(&config.server);
        let guard = Guard::builder(settings.clone())
            .rules(RULES)
            .policies(CEDAR_SCHEMA, BASE_POLICIES)
            .keys(keys.clone())
            .revocations(revocations.clone())
            .clock(clock.clone())
            .build()?;
        let auth = countersign_auth::Deps {
            db: databases.auth.clone(),
            clock: clock.clone(),
            guard: guard.clone(),
            settings,
            bus: bus.clone(),
            master,
            keys,
            revocations,
        };
        let user = countersign_user::Deps { db: databases.user.clone(), clock, guard, bus };
        Ok(Self {
            auth: countersign_auth::build(config.auth.clone(), auth).await?,
            user: countersign_user::build(config.user.clone(), user).await?,
            databases,
            server: config.server.clone(),
            folder,
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
        let Self { auth, user, databases, server, folder } = self;
        let server = Server::new(&server).part(auth.into_part()).part(user.into_part());
        let served = server.serve(listener, shutdown).await;
        databases.close().await;
        // The next process may come now, and not before.
        drop(folder);
        served?;
        Ok(())
    }
}
