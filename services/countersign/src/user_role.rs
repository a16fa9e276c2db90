//! The user service alone: one of any number of replicas on one database. Its
//! master key should not be that of auth, and it never sees the auth service's
//! database: verification keys come by gRPC, revocations by the bus.

use countersign_contracts::{CEDAR_SCHEMA, RULES};
use countersign_events::Bus;
use countersign_feed::{Feed, FeedOptions};
use countersign_mesh::{Part, Readiness, Task, channel::Reach};
use countersign_types::Clock;
use countersign_user::{Migrator, Service};
use sea_orm::DatabaseConnection;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    Config, DataFolder, Error, Role, bus, calls,
    databases::{self, USER_FILE},
    master,
    own_policies::{OwnPolicies, PolicyTasks},
    process::Process,
};

/// The user service, ready to be served.
#[derive(Debug)]
pub struct UserRole {
    /// Profiles.
    pub user: Service,
    /// What it keeps its data in.
    pub db: DatabaseConnection,
    /// Brings events here and takes them away.
    pub bus: Bus,
    /// Whether the guard knows the keys and what was revoked.
    pub ready: Readiness,
    tasks: Vec<Task>,
    policies: PolicyTasks,
    config: Config,
    folder: Option<DataFolder>,
}

impl UserRole {
    /// Puts the service together. It waits for nobody: until keys and
    /// revocations have come, it is not ready.
    ///
    /// # Errors
    /// [`Error`] says what is wrong and what to do about it.
    pub async fn build(config: &Config, clock: Clock) -> Result<Self, Error> {
        config.keys.fit("keys", config.auth.signing_keys.announce_period)?;
        bus::require(config, "user")?;
        if config.keys.source.is_empty() {
            return Err(Error::NoKeySource);
        }
        let has_place = databases::has_place(&config.database.user);
        let folder = match master::file(Role::User, config) {
            _ if !has_place => Some(DataFolder::claim(&config.data_dir)?),
            None => Some(DataFolder::join(&config.data_dir)?),
            Some(_) => None,
        };
        let db = databases::open(&config.database.user, folder.as_ref(), USER_FILE).await?;
        let clock = databases::in_time(clock, &db).await?;
        let masters = master::open(Role::User, config, folder.as_ref(), &db).await?;
        databases::prepare::<Migrator>("user", &db, config).await?;

        let bus = bus::open(config).await?;
        let settings = config.token.guard(&config.server);
        let auth = calls::to_auth(config)?;
        let accounts = Reach::over(&auth);
        let feed = Feed::new(settings, auth, &feed_options(config), &bus, clock.clone());
        let own = OwnPolicies::read(&config.policies)?;
        let builder = feed.guard().rules(RULES).policies(CEDAR_SCHEMA, &[]);
        let guard = own.put_into(builder).build()?;
        let policies = own.watch(&guard);
        let time = databases::time(&db, clock.clone());
        let audit = config.audit.clone();
        let deps = countersign_user::Deps {
            db: db.clone(),
            clock,
            guard,
            bus: bus.clone(),
            audit,
            masters,
            accounts: Some(accounts),
        };
        let user = countersign_user::build(config.user.clone(), deps).await?;
        let ready = Readiness::from(feed.ready());
        let tasks = vec![Task::new("feed", |cancel| feed.run(cancel)), time];
        Ok(Self { user, db, bus, ready, tasks, policies, config: config.clone(), folder })
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
        let Self { user, db, bus, ready, tasks, policies, config, folder } = self;
        let user = tasks.into_iter().fold(user.into_part().ready(ready), Part::task);
        let parts = vec![user, bus::part(&config, bus), policies.into_part()];
        Process { parts, server: config.server, databases: vec![("user", db)], folder }
    }
}

fn feed_options(config: &Config) -> FeedOptions {
    FeedOptions {
        refresh_interval: config.keys.refresh_interval,
        timeout: config.keys.timeout,
        max_staleness: config.token.max_staleness,
        ..FeedOptions::default()
    }
}
