//! The guard of a process, and what it learns of revoked sessions from the bus.

use std::time::Duration;

use countersign_contracts::{CEDAR_SCHEMA, RULES, events::v1::SessionRevoked};
use countersign_events::{Bus, Event, Follower, Following};
use countersign_guard::{Guard, GuardBuilder, Revocations, Settings};
use countersign_seal::MasterKey;
use countersign_tokens::KeyRing;
use countersign_types::{Clock, SessionId};
use sea_orm::DatabaseConnection;

use crate::{
    Config, Error,
    own_policies::{OwnPolicies, PolicyTasks},
};

/// The longest life of an access token that any auth service can be set to.
const LONGEST: Duration = countersign_auth::config::ACCESS_TOKEN_LIFETIME_MAX;
const REVOKED: &str = "countersign.events.v1.SessionRevoked";

/// A guard with all that feeds it.
pub struct Guarding {
    pub guard: Guard,
    /// What keeps it up to date with the folder of one's own policies.
    pub policies: PolicyTasks,
    pub settings: Settings,
    pub keys: KeyRing,
    pub revocations: Revocations,
    pub following: Following,
    clock: Clock,
    bus: Bus,
}

impl Guarding {
    /// A guard with the policies that are set and these keys, that follows revocations on `bus`. An
    /// entry is kept for `token_life`.
    ///
    /// # Errors
    /// [`Error::Guard`].
    fn build(
        config: &Config,
        clock: &Clock,
        bus: &Bus,
        keys: KeyRing,
        token_life: Duration,
        change: impl FnOnce(GuardBuilder) -> GuardBuilder,
    ) -> Result<Self, Error> {
        let revocations = Revocations::default();
        let settings = config.token.guard(&config.server);
        let own = OwnPolicies::read(&config.policies)?;
        let builder = Guard::builder(settings.clone())
            .rules(RULES)
            .policies(CEDAR_SCHEMA, &[])
            .keys(keys.clone())
            .revocations(revocations.clone())
            .clock(clock.clone());
        let guard = change(own.put_into(builder)).build()?;
        let policies = own.watch(&guard);
        let told = revocations.clone();
        let revoke = move |event: &Event| match session(event) {
            Some(session) => told.revoke_session(session, event.time.plus(token_life)),
            None => tracing::error!(event.id = %event.id, "a revocation cannot be read"),
        };
        let horizon = LONGEST + settings.leeway;
        let following = bus.follow(Follower::new("guard.revocations", &[REVOKED], horizon, revoke));
        let (clock, bus) = (clock.clone(), bus.clone());
        Ok(Self { guard, policies, settings, keys, revocations, following, clock, bus })
    }

    /// The same beside the auth service, which fills the ring and knows what
    /// was revoked before the start.
    ///
    /// # Errors
    /// [`Error::Guard`].
    pub fn beside_auth(config: &Config, clock: &Clock, bus: &Bus) -> Result<Self, Error> {
        let life = config.auth.session.access_token_lifetime;
        Self::build(config, clock, bus, KeyRing::default(), life, |builder| builder)
    }

    /// The same away from the auth service, whose tokens may live as long as
    /// any can.
    ///
    /// # Errors
    /// [`Error::Guard`].
    pub fn away_from_auth(
        config: &Config,
        clock: &Clock,
        bus: &Bus,
        keys: KeyRing,
        ring_is_current: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let ask = |builder: GuardBuilder| builder.ring_is_current(ring_is_current);
        Self::build(config, clock, bus, keys, LONGEST, ask)
    }

    /// What the auth service needs.
    pub fn auth(&self, db: DatabaseConnection, master: MasterKey) -> countersign_auth::Deps {
        countersign_auth::Deps {
            db,
            clock: self.clock.clone(),
            guard: self.guard.clone(),
            settings: self.settings.clone(),
            bus: self.bus.clone(),
            master,
            keys: self.keys.clone(),
            revocations: self.revocations.clone(),
        }
    }

    /// What the user service needs.
    pub fn user(&self, db: DatabaseConnection) -> countersign_user::Deps {
        let (clock, guard, bus) = (self.clock.clone(), self.guard.clone(), self.bus.clone());
        countersign_user::Deps { db, clock, guard, bus }
    }
}

fn session(event: &Event) -> Option<SessionId> {
    event.decode::<SessionRevoked>().ok()?.session_id.parse().ok()
}
