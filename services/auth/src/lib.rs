//! Accounts, credentials, sessions and signing keys.
//!
//! [`build`] gives what a server needs to serve them; [`admin`] is what
//! operators do. The service knows the user service only by its events: an
//! account becomes active when its profile was made.

pub mod admin;
mod api;
mod attributes;
mod change;
pub mod config;
mod consumers;
mod convert;
mod device;
mod erasure;
mod error;
mod etag;
mod familiar;
mod filter;
mod issuer;
mod keys;
mod meter;
mod network;
mod password;
mod people;
mod registrar;
mod roles;
mod secrets;
mod store;
mod throttle;
mod upkeep;

use std::{collections::BTreeSet, fmt};

use countersign_audit::{Asides, AuditKey, Chain, Trail};
use countersign_contracts::auth::v1::{
    account_service, audit_service, auth_service, session_service,
};
use countersign_events::{Bus, Consumer, Outbox, Relay, RelayOptions};
use countersign_guard::{Guard, Revocations, Settings};
use countersign_mesh::{
    Part, Task,
    channel::Reach,
    database::{self, Probe},
    server::Priority,
};
use countersign_seal::MasterKeys;
use countersign_tokens::{KeyRing, RefreshKey};
use countersign_types::Clock;
use sea_orm::DatabaseConnection;

use api::{AccountOwner, Api, Auth, SessionOwner};
use device::DeviceKey;
use familiar::NetworkKey;
use issuer::Issuer;
use keys::{KeyStore, Periods};
use meter::Meter;
use people::People;
use throttle::Throttle;

pub use config::Config;
pub use error::Error;
pub use keys::{Announced, Life as KeyLife, Rotation, State as KeyState};
pub use store::Migrator;
pub use upkeep::Upkeep;

/// The name of this service as the source of events.
pub const SOURCE: &str = "auth";

/// What the service needs from the process that runs it.
pub struct Deps {
    /// The service's own database.
    pub db: DatabaseConnection,
    /// The time.
    pub clock: Clock,
    /// Decides on every call.
    pub guard: Guard,
    /// The settings that the guard was built with: tokens are issued for it.
    pub settings: Settings,
    /// Brings events here and takes them away.
    pub bus: Bus,
    /// Seal the signing keys, the data keys of people, and the secrets of the service.
    pub masters: MasterKeys,
    /// The ring that the guard verifies with; it is filled here.
    pub keys: KeyRing,
    /// What the guard refuses; what was revoked before the start and in this
    /// process is filled in here.
    pub revocations: Revocations,
    /// The attributes of accounts that policies of other services read: tokens
    /// carry them beside those that the policies here read.
    pub read_elsewhere: BTreeSet<String>,
    /// How the audit trail is kept.
    pub audit: countersign_audit::Config,
}

/// The service, ready to be served.
pub struct Service {
    /// Its calls; [`Service::into_part`] adds what runs beside them.
    pub part: Part,
    /// Its accounts, for a service of this process.
    pub accounts: Reach,
    /// Publishes the events of this service. A test steps it by hand, as all that follows.
    pub relay: Relay,
    /// Take in events; their requeued dead letters wait for a step.
    pub consumers: Vec<Consumer>,
    /// Makes and removes signing keys.
    pub rotation: Rotation,
    /// Deletes old sessions and forgets old revocations.
    pub upkeep: Upkeep,
    /// Chains and signs the audit trail, and deletes what is too old.
    pub chain: Chain,
    /// Writes to the audit trail what belongs to no transaction.
    pub asides: Asides,
    /// Finds out whether calls can be taken.
    pub probe: Probe,
}

/// Brings the tables up to date, checks that secrets and database belong
/// together, makes the first signing key, reads back what is revoked,
/// subscribes to the bus and mounts the calls.
///
/// # Errors
/// [`Error`] with a sentence for the operator.
pub async fn build(config: Config, deps: Deps) -> Result<Service, Error> {
    config.validate()?;
    let Deps { db, clock, guard, settings, bus, masters, keys, revocations, .. } = deps;
    let (audit, read_elsewhere) = (deps.audit, deps.read_elsewhere);
    database::migrate::<Migrator>(&db).await?;
    let people = People::open(&db, masters).await?;
    let vault = people.vault();
    let refresh_key = RefreshKey::from_bytes(&*vault.secret(&db, issuer::REFRESH_KEY).await?);
    let device_key = vault.secret(&db, device::DEVICE_KEY).await?;
    let network_key = vault.secret(&db, familiar::NETWORK_KEY).await?;
    let outbox = Outbox::new(db.clone(), clock.clone(), SOURCE);
    let registrar = admin::registrar(outbox.clone(), people.clone(), &config).await?;

    let store = KeyStore::new(keys, Periods::from(&config).announce());
    let rotation = Rotation::new(outbox.clone(), vault.clone(), store.clone(), &config);
    rotation.step().await?;
    let upkeep = Upkeep::new(outbox.clone(), revocations.clone(), &config.session);
    upkeep.restore().await?;

    let lifetime = config.session.access_token_lifetime;
    let consumers = consumers::all(&outbox);
    for consumer in &consumers {
        bus.subscribe(consumer.clone());
    }
    let probe = probe(&outbox, &guard, &store);
    let reads = guard.clone();
    let carries =
        Box::new(move |name: &str| reads.reads_attribute(name) || read_elsewhere.contains(name));
    let sealing = vault.master(&db).await?;
    let audit_key = AuditKey::open(&outbox, vault.masters(), &sealing).await?;
    let (trail, denied, asides) = Trail::new(outbox.clone(), &audit);
    let api = Api::new(Auth {
        throttle: Throttle::new(&config, clock.clone()),
        devices: DeviceKey::new(&device_key, config.throttle.device_lifetime),
        networks: NetworkKey::new(&network_key),
        issuer: Issuer::new(
            store.clone(),
            refresh_key,
            &settings,
            lifetime,
            clock.clone(),
            carries,
        ),
        declared: guard.declared_attributes().clone(),
        keys: store,
        outbox: outbox.clone(),
        bus: bus.clone(),
        registrar,
        people,
        revocations,
        trail,
        meter: Meter::new(),
        config,
    });
    let guard = guard
        .with_resolver("Account", AccountOwner(db.clone()))
        .with_resolver("Session", SessionOwner(db));
    let guard = guard.record(denied);
    let accounts = account_service(api.clone(), &guard);
    let part = Part::new("auth")
        .service(auth_service(api.clone(), &guard))
        .service(session_service(api.clone(), &guard))
        .service(accounts.clone())
        .service(audit_service(api, &guard))
        .priority(
            Priority::Low,
            &["countersign.auth.v1.AuthService/Login", "countersign.auth.v1.AuthService/Register"],
        )
        .priority(
            Priority::Lowest,
            &[
                "countersign.auth.v1.AccountService/ExportAccount",
                "countersign.auth.v1.AccountService/ListAccounts",
                "countersign.auth.v1.AuditService/ListAuditEvents",
                "countersign.auth.v1.SessionService/ListSessions",
            ],
        )
        .ready(probe.readiness())
        .storage(probe.presence());
    let relay = Relay::new(outbox.clone(), bus, RelayOptions::default());
    let chain = Chain::new(outbox, audit, Some(audit_key));
    let accounts = Reach::here(accounts);
    Ok(Service { part, accounts, relay, consumers, rotation, upkeep, chain, asides, probe })
}

/// Calls can be taken where the database can be written, a guard can decide and
/// there is a key to sign with.
fn probe(outbox: &Outbox, guard: &Guard, keys: &KeyStore) -> Probe {
    let (guard, keys, clock) = (guard.clone(), keys.clone(), outbox.clock().clone());
    let can_sign = move || guard.is_ready() && keys.signing(clock.now()).is_ok();
    Probe::new("auth", outbox.db().clone(), can_sign)
}

impl Service {
    /// The part with the tasks that do by themselves what the other fields do by steps.
    #[must_use]
    pub fn into_part(self) -> Part {
        let Self { part, relay, consumers, rotation, upkeep, chain, asides, probe, .. } = self;
        let part = part
            .task(Task::new("relay", |cancel| relay.run(cancel)))
            .task(Task::new("rotation", |cancel| rotation.run(cancel)))
            .task(Task::new("upkeep", |cancel| upkeep.run(cancel)))
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
