//! Makes the tokens of a session, and reads back the refresh token.

use std::time::Duration;

use countersign_guard::Settings;
use countersign_tokens::{Binding, Claims, Purpose, RefreshKey, RefreshToken, sign};
use countersign_types::{Clock, SessionId, Timestamp};
use sea_orm::prelude::Uuid;

use crate::{Error, keys::KeyStore, store::refresh::Grant};

/// The secret of refresh tokens in the vault. Changing it ends all sessions.
pub(crate) const REFRESH_KEY: &str = "countersign/refresh-token/v1";
/// How far a guard's clock may be behind ours: a token that is new here is none
/// of the future there.
const CLOCKS_APART: Duration = Duration::from_secs(60);

/// Issues tokens for sessions that somebody else has found to be live.
pub(crate) struct Issuer {
    keys: KeyStore,
    refresh_key: RefreshKey,
    binding: Binding,
    issuer: String,
    audience: String,
    lifetime: Duration,
    clock: Clock,
    /// Which attributes of accounts tokens carry.
    carries: Carries,
}

/// Whether tokens carry the attribute of this name.
pub(crate) type Carries = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// The tokens of one login or refresh.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    pub(crate) expire_time: Timestamp,
    pub(crate) refresh_expire_time: Timestamp,
}

impl Issuer {
    /// Issues what a guard with these settings takes.
    pub(crate) fn new(
        keys: KeyStore,
        refresh_key: RefreshKey,
        settings: &Settings,
        lifetime: Duration,
        clock: Clock,
        carries: Carries,
    ) -> Self {
        Self {
            keys,
            refresh_key,
            binding: Binding { environment: settings.environment.clone() },
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            lifetime,
            clock,
            carries,
        }
    }

    /// The `iss` of every token.
    pub(crate) fn name(&self) -> &str {
        &self.issuer
    }

    /// The tokens of a session: a new access token, and the refresh token of
    /// the generation that is due, which is the same however often it is asked for.
    pub(crate) fn issue(&self, session: SessionId, grant: &Grant) -> Result<Tokens, Error> {
        let now = self.clock.now();
        // A session that is over leaves no token behind.
        let expire_time = now.plus(self.lifetime).min(grant.expire_time);
        let mut attributes = grant.attributes.filtered(&self.carries);
        attributes.set_tenant(&grant.tenant);
        let claims = Claims {
            issuer: self.issuer.clone(),
            subject: grant.user,
            audience: self.audience.clone(),
            issued_at: now,
            not_before: now.minus(CLOCKS_APART),
            expires_at: expire_time,
            token_id: Uuid::now_v7().to_string(),
            session,
            session_epoch: grant.generation,
            account_epoch: grant.account_epoch,
            auth_time: grant.auth_time,
            methods: grant.methods.clone(),
            roles: grant.roles.clone(),
            attributes,
            purpose: Purpose::Access,
        };
        let key = self.keys.signing(now)?;
        let generation = grant.generation;
        Ok(Tokens {
            access_token: sign(key.secret(), &self.binding, &claims)?,
            refresh_token: self.refresh_key.issue(&RefreshToken { session, generation }),
            expire_time,
            refresh_expire_time: grant.expire_time,
        })
    }

    /// Reads a refresh token; no database is asked.
    ///
    /// # Errors
    /// [`Error::RefreshInvalid`] for anything that was not issued here.
    pub(crate) fn read(&self, refresh_token: &str) -> Result<RefreshToken, Error> {
        self.refresh_key.check(refresh_token).map_err(|_| Error::RefreshInvalid)
    }
}
