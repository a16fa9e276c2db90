//! The user service alone: one of any number of replicas on one database. It
//! has no master key and never sees the auth service's database: keys come by
//! gRPC, revocations by the bus.

use countersign_events::{Bus, Follower};
use countersign_mesh::{Readiness, Task};
use countersign_tokens::KeyRing;
use countersign_types::Clock;
use countersign_user::{Migrator, Service};
use sea_orm::DatabaseConnection;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    Config, DataFolder, Error, bus,
    databases::{self, USER_FILE},
    guarding::Guarding,
    key_source::{KeyNews, KeySource},
    process::Process,
    standing::Standing,
};

const KEY_CHANGED: &str = "countersign.events.v1.SigningKeyChanged";

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
        let (ring, news) = (KeyRing::default(), KeyNews::new(config));
        let source = KeySource::new(config, ring.clone(), news.clone())?;
        let has_place = databases::has_place(&config.database.user);
        let folder = if has_place { None } else { Some(DataFolder::claim(&config.data_dir)?) };
        let db = databases::open(&config.database.user, folder.as_ref(), USER_FILE).await?;
        let clock = databases::in_time(clock, &db).await?;
        databases::prepare::<Migrator>("user", &db, config).await?;

        let bus = bus::open(config).await?;
        let asked = news.clone();
        let ring_is_current = move || {
            asked.hint();
            asked.are_current()
        };
        let guarding = Guarding::away_from_auth(config, &clock, &bus, ring, ring_is_current)?;
        let user = countersign_user::build(config.user.clone(), guarding.user(db.clone())).await?;

        let changed = news.clone();
        // What changed before the start is fetched at the start.
        let horizon = config.keys.timeout;
        bus.follow(Follower::new("guard.keys", &[KEY_CHANGED], horizon, move |_| changed.hint()));
        let (sender, ready) = Readiness::new(false);
        let standing = Standing {
            following: guarding.following,
            keys_known: news.known(),
            revocations: guarding.revocations,
            max_staleness: config.token.max_staleness,
            clock: clock.clone(),
            ready: sender,
        };
        let tasks = vec![
            Task::new("keys", |cancel| source.run(cancel)),
            Task::new("standing", |cancel| standing.run(cancel)),
            databases::time(&db, clock),
        ];
        Ok(Self { user, db, bus, ready, tasks, config: config.clone(), folder })
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
        let Self { user, db, bus, ready, tasks, config, folder } = self;
        let user =
            tasks.into_iter().fold(user.into_part().ready(ready), countersign_mesh::Part::task);
        let parts = vec![user, bus::part(&config, bus)];
        Process { parts, server: config.server, databases: vec![("user", db)], folder }
    }
}
