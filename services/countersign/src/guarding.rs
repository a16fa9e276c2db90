//! The guard of a process with the auth service, which fills its ring and knows
//! what was revoked before the start. Away from there, a guard lives on a
//! [`countersign_feed::Feed`].

use std::collections::BTreeSet;

use countersign_contracts::{CEDAR_SCHEMA, RULES};
use countersign_events::Bus;
use countersign_feed::follow_revocations;
use countersign_guard::{Guard, Revocations, Settings};
use countersign_mesh::channel::Reach;
use countersign_seal::MasterKeys;
use countersign_tokens::KeyRing;
use countersign_types::Clock;
use sea_orm::DatabaseConnection;

use crate::{
    Config, Error,
    own_policies::{OwnPolicies, PolicyTasks},
};

/// A guard with all that feeds it.
pub struct Guarding {
    guard: Guard,
    /// What keeps it up to date with the folder of one's own policies.
    pub policies: PolicyTasks,
    settings: Settings,
    keys: KeyRing,
    revocations: Revocations,
    read_elsewhere: BTreeSet<String>,
    audit: countersign_audit::Config,
    clock: Clock,
    bus: Bus,
}

impl Guarding {
    /// A guard with the policies that are set, that follows revocations on `bus`.
    ///
    /// # Errors
    /// [`Error::Guard`].
    pub fn beside_auth(config: &Config, clock: &Clock, bus: &Bus) -> Result<Self, Error> {
        let (keys, revocations) = (KeyRing::default(), Revocations::default());
        let settings = config.token.guard(&config.server);
        let own = OwnPolicies::read(&config.policies)?;
        let life = config.auth.session.access_token_lifetime;
        let following = follow_revocations(bus, &revocations, life, settings.leeway);
        let builder = Guard::builder(settings.clone())
            .rules(RULES)
            .policies(CEDAR_SCHEMA, &[])
            .keys(keys.clone())
            .revocations(revocations.clone())
            // The database tells of the other replicas as well, so there is no limit
            // but those of rules.
            .staleness(move || following.staleness(), None)
            .clock(clock.clone());
        let guard = own.put_into(builder).build()?;
        let policies = own.watch(&guard);
        let (clock, bus) = (clock.clone(), bus.clone());
        let read_elsewhere = config.token.attributes_elsewhere.iter().cloned().collect();
        let audit = config.audit.clone();
        Ok(Self { guard, policies, settings, keys, revocations, read_elsewhere, audit, clock, bus })
    }

    /// What the auth service needs.
    pub fn auth(&self, db: DatabaseConnection, masters: MasterKeys) -> countersign_auth::Deps {
        countersign_auth::Deps {
            db,
            clock: self.clock.clone(),
            guard: self.guard.clone(),
            settings: self.settings.clone(),
            bus: self.bus.clone(),
            masters,
            keys: self.keys.clone(),
            revocations: self.revocations.clone(),
            read_elsewhere: self.read_elsewhere.clone(),
            audit: self.audit.clone(),
        }
    }

    /// What the user service needs.
    pub fn user(
        &self,
        db: DatabaseConnection,
        masters: MasterKeys,
        accounts: Reach,
    ) -> countersign_user::Deps {
        let (clock, guard, bus) = (self.clock.clone(), self.guard.clone(), self.bus.clone());
        let (audit, accounts) = (self.audit.clone(), Some(accounts));
        countersign_user::Deps { db, clock, guard, bus, audit, masters, accounts }
    }
}
