//! Refresh: one statement in the ordinary case. What did not rotate is either
//! a repetition within the grace window, over, or stolen.

use std::net::IpAddr;

use countersign_audit::{Action, Entry, Outcome, Value};
use countersign_contracts::events::v1::RefreshReuseDetected;
use countersign_mesh::database;
use countersign_tokens::RefreshToken;
use countersign_types::Timestamp;
use sea_orm::prelude::Uuid;

use super::Auth;
use crate::{
    Error,
    issuer::Tokens,
    store::{
        account::{Account, Status},
        refresh::{self, Grant},
        revocation,
        session::{self, Model, Reason},
    },
};

impl Auth {
    /// Exchanges a refresh token for the tokens of the next generation.
    ///
    /// # Errors
    /// [`Error::RefreshInvalid`], [`Error::SessionEnded`], [`Error::RefreshReused`].
    pub(crate) async fn renew(
        &self,
        refresh_token: &str,
        address: Option<IpAddr>,
    ) -> Result<Tokens, Error> {
        let token = self.issuer.read(refresh_token)?;
        let now = self.now();
        let idle_expire = now.plus(self.config.session.idle_lifetime);
        let rotate = || refresh::rotate(self.db(), &token, now, idle_expire);
        let grant = match database::retry(Error::is_conflict, rotate).await? {
            Some(grant) => grant,
            None => self.repeat(&token, address).await?,
        };
        self.issuer.issue(token.session, &grant)
    }

    /// The token did not rotate its session. Generations tell why; the time
    /// only bounds how long an answer may have been lost.
    async fn repeat(&self, token: &RefreshToken, address: Option<IpAddr>) -> Result<Grant, Error> {
        let found = refresh::find(self.db(), &self.people, token).await?;
        let (session, account) = found.ok_or(Error::SessionEnded)?;
        let now = self.now();
        let is_over = session.revoke_time.is_some() || session.expire_time <= now.as_micros();
        if is_over || account.status != Status::Active {
            return Err(Error::SessionEnded);
        }
        let behind = session.generation.saturating_sub(token.generation);
        let rotated = Timestamp::from_micros(session.rotate_time);
        match behind {
            // Its successor is the one that is due: it was not used yet.
            1 if now.since(rotated) <= self.config.session.grace_window => grant(&session, account),
            1.. => {
                let end = || self.end_reused(token, &session, &account, address);
                database::retry(Error::is_conflict, end).await?;
                Err(Error::RefreshReused)
            }
            // It became live between the two statements.
            0 => Err(Error::SessionEnded),
            // Ours, and ahead of its session: the database is an older copy.
            _ => Err(Error::RefreshInvalid),
        }
    }

    async fn end_reused(
        &self,
        token: &RefreshToken,
        session: &Model,
        account: &Account,
        address: Option<IpAddr>,
    ) -> Result<(), Error> {
        let unit = self.outbox.begin().await?;
        let Some(revoked) = revocation::reused(&*unit, token, self.now()).await? else {
            return Ok(unit.rollback().await?);
        };
        let detected = RefreshReuseDetected {
            user_id: revoked.user.to_string(),
            session_id: revoked.session.to_string(),
            presented_generation: token.generation,
            current_generation: session.generation,
        };
        unit.append(Uuid::nil(), &detected).await?;
        let entry = Entry::new(Action::TokenReuse, Outcome::Failure)
            .subject(revoked.session)
            .account(account.id)
            .session(revoked.session)
            .tenant(account.tenant.clone())
            .address(address)
            .with("presented_generation", Value::Number(token.generation))
            .with("current_generation", Value::Number(session.generation));
        countersign_audit::record(&unit, &entry).await?;
        self.finish(unit, &[revoked], Reason::RefreshReuse).await
    }
}

fn grant(session: &Model, account: Account) -> Result<Grant, Error> {
    Ok(Grant {
        user: account.id,
        generation: session.generation,
        auth_time: Timestamp::from_micros(session.auth_time),
        methods: session::read_methods(&session.auth_methods)?,
        expire_time: Timestamp::from_micros(session.expire_time),
        account_epoch: account.epoch,
        roles: account.roles,
        tenant: account.tenant,
        attributes: account.attributes,
    })
}
