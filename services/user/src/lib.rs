//! Profiles: fields, metadata and activity.
//!
//! [`build`] gives what a server needs to serve them. The service knows the auth
//! service only by its events: a profile is made when an account was, and its
//! last activity is when the person logged out.

mod accounts;
pub mod admin;
mod api;
mod config;
mod consumers;
mod convert;
mod error;
mod etag;
mod export;
mod fields;
mod mask;
mod owner;
mod patch;
mod store;

use std::fmt;

use accounts::Accounts;
use api::Api;
use countersign_audit::{Asides, AuditKey, Chain, Trail};
use countersign_contracts::user::v1::{audit_service, profile_service};
use countersign_events::{Bus, Consumer, Outbox, Relay};
use countersign_guard::Guard;
use countersign_mesh::{
    Part, Task,
    channel::Reach,
    database::{self, Probe},
    server::Priority,
};
use countersign_seal::MasterKeys;
use countersign_types::Clock;
use countersign_vault::Vault;
use owner::ProfileOwner;
use sea_orm::DatabaseConnection;

pub use config::Config;
pub use error::Error;
pub use store::Migrator;

/// The name of this service as the source of events.
const SOURCE: &str = "user";

/// What the service needs from the process that runs it.
pub struct Deps {
    /// The service's own database.
    pub db: DatabaseConnection,
    /// The time.
    pub clock: Clock,
    /// Decides on every call.
    pub guard: Guard,
    /// Brings events here and takes them away.
    pub bus: Bus,
    /// How the audit trail is kept.
    pub audit: countersign_audit::Config,
    /// Seal the data keys of people.
    pub masters: MasterKeys,
    /// The way to the accounts, of which an export tells as well; without it there is none.
    pub accounts: Option<Reach>,
}

/// The service, ready to be served.
pub struct Service {
    /// Its calls; [`Service::into_part`] adds what runs beside them.
    pub part: Part,
    /// Publishes the events of this service. A test steps it by hand, as all that follows.
    pub relay: Relay,
    /// Take in the events of other services; their requeued dead letters wait for a step.
    pub consumers: Vec<Consumer>,
    /// Chains and signs the audit trail, and deletes what is too old.
    pub chain: Chain,
    /// Writes to the audit trail what belongs to no transaction.
    pub asides: Asides,
    /// Finds out whether calls can be taken.
    pub probe: Probe,
}

/// Brings the tables up to date, checks that the master key is theirs, subscribes
/// to the bus and mounts the calls.
///
/// # Errors
/// [`Error::Mesh`]: a migration failed; [`Error::Vault`]: the master key is
/// another's; [`Error::Audit`]: there is no key to sign the audit trail with.
pub async fn build(config: Config, deps: Deps) -> Result<Service, Error> {
    let Deps { db, clock, guard, bus, audit, masters, accounts } = deps;
    database::migrate::<Migrator>(&db).await?;
    let vault = Vault::open(&db, masters).await?;
    let sealing = vault.master(&db).await?;
    let outbox = Outbox::new(db, clock, SOURCE);
    let key = AuditKey::open(&outbox, vault.masters(), &sealing).await?;
    let consumers = consumers::all(&outbox, config.consumer());
    for consumer in &consumers {
        bus.subscribe(consumer.clone());
    }
    let relay = Relay::new(outbox.clone(), bus, config.relay());
    let (trail, denied, asides) = Trail::new(outbox.clone(), &audit);
    let chain = Chain::new(outbox.clone(), audit, Some(key));
    let owner = ProfileOwner::new(outbox.db().clone());
    let guard = guard.with_resolver("Profile", owner).record(denied);
    let decides = guard.clone();
    let probe = Probe::new("user", outbox.db().clone(), move || decides.is_ready());
    let api = Api { outbox, vault, accounts: Accounts::new(accounts), trail };
    let part = Part::new("user")
        .service(profile_service(api.clone(), &guard))
        .service(audit_service(api, &guard))
        .priority(
            Priority::Lowest,
            &[
                "countersign.user.v1.ProfileService/ExportProfile",
                "countersign.user.v1.ProfileService/ListProfiles",
                "countersign.user.v1.AuditService/ListAuditEvents",
            ],
        )
        .ready(probe.readiness())
        .storage(probe.presence());
    Ok(Service { part, relay, consumers, chain, asides, probe })
}

impl Service {
    /// The part with the tasks that do by themselves what the other fields do by steps.
    #[must_use]
    pub fn into_part(self) -> Part {
        let Self { part, relay, consumers, chain, asides, probe } = self;
        let part = part
            .task(Task::new("relay", |cancel| relay.run(cancel)))
            .task(Task::new("audit", |cancel| chain.run(cancel)))
            .task(Task::new("asides", |cancel| asides.run(cancel)))
            .task(Task::new("probe", |cancel| probe.run(cancel)));
        consumers.into_iter().fold(part, |part, consumer| {
            part.task(Task::new("redelivery", |cancel| consumer.run_redelivery(cancel)))
        })
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("part", &self.part).finish_non_exhaustive()
    }
}
