//! The guard of a process, and what it learns of revoked sessions and outdated
//! tokens from the bus.

use std::{collections::BTreeSet, time::Duration};

use countersign_contracts::{
    BASE_POLICIES, CEDAR_SCHEMA, RULES,
    events::v1::{SessionRevoked, TokensOutdated},
};
use countersign_events::{Bus, Event, Follower, Following};
use countersign_guard::{Guard, GuardBuilder, Revocations, Settings};
use countersign_seal::MasterKey;
use countersign_tokens::KeyRing;
use countersign_types::{Clock, SessionId, UserId};
use sea_orm::DatabaseConnection;

use crate::{Config, Error};

/// The longest life of an access token that any auth service can be set to.
const LONGEST: Duration = countersign_auth::config::ACCESS_TOKEN_LIFETIME_MAX;
const REVOKED: &str = "countersign.events.v1.SessionRevoked";
const OUTDATED: &str = "countersign.events.v1.TokensOutdated";

/// A guard with all that feeds it.
pub struct Guarding {
    pub guard: Guard,
    pub settings: Settings,
    pub keys: KeyRing,
    pub revocations: Revocations,
    pub following: Following,
    read_elsewhere: BTreeSet<String>,
    clock: Clock,
    bus: Bus,
}

impl Guarding {
    /// A guard with the base policies and these keys, that follows revocations on `bus`. An
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
        let builder = Guard::builder(settings.clone())
            .rules(RULES)
            .policies(CEDAR_SCHEMA, BASE_POLICIES)
            .keys(keys.clone())
            .revocations(revocations.clone())
            .clock(clock.clone());
        let guard = change(builder).build()?;
        let told = revocations.clone();
        let refuse = move |event: &Event| {
            let until = event.time.plus(token_life);
            match (session(event), epoch(event)) {
                (Some(session), _) => told.revoke_session(session, until),
                (_, Some((account, epoch))) => told.set_account_epoch(account, epoch, until),
                _ => tracing::error!(event.id = %event.id, "a revocation cannot be read"),
            }
        };
        let (kinds, horizon) = ([REVOKED, OUTDATED], LONGEST + settings.leeway);
        let following = bus.follow(Follower::new("guard.revocations", &kinds, horizon, refuse));
        let (clock, bus) = (clock.clone(), bus.clone());
        let read_elsewhere = config.token.attributes_elsewhere.iter().cloned().collect();
        Ok(Self { guard, settings, keys, revocations, following, read_elsewhere, clock, bus })
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
            read_elsewhere: self.read_elsewhere.clone(),
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

fn epoch(event: &Event) -> Option<(UserId, i64)> {
    let outdated = event.decode::<TokensOutdated>().ok()?;
    Some((outdated.user_id.parse().ok()?, outdated.account_epoch))
}
