//! Login: throttle, one read, one hash, one transaction, whoever asks. (A device
//! token of ours costs one read more, before the throttle.)
//!
//! An unknown address costs what a wrong password costs: the same read, a hash
//! against a dummy of the same parameters, the same transaction. (An account
//! whose hash is older and weaker than the settings ask for answers sooner,
//! until its owner logs in once.)

use countersign_audit::{Action, Entry, Outcome, Value};
use countersign_contracts::{
    auth::v1::LoginResponse,
    events::v1::{LoginFailed, LoginFailureReason, LoginSucceeded},
};
use countersign_events::Unit;
use countersign_guard::Peer;
use countersign_mesh::database;
use countersign_types::{Email, SessionId, Timestamp, UserId, Violation};
use sea_orm::prelude::Uuid;

use super::Auth;
use crate::{
    Error, convert,
    device::Device,
    network::Origin,
    password::{Password, Verdict},
    store::{
        account::{self, Status},
        credential,
        refresh::Grant,
        session::{self, Reason},
    },
};

/// Characters of a device label, as in the contract.
const LABEL_MAX: usize = 100;

impl Auth {
    pub(crate) async fn log_in(
        &self,
        email: &str,
        password: Password,
        device_label: String,
        device_token: &str,
        peer: &Peer,
    ) -> Result<LoginResponse, Error> {
        let email = Email::parse(email).map_err(|rule| {
            Error::Invalid(vec![Violation::new("email", "email", rule.to_string())])
        })?;
        let device = self.device(&email, device_token).await?;
        let attempt = self.throttle.admit(&email, peer.address.into(), device.as_ref())?;
        match self.verify(&email, password, attempt.origin(), peer).await {
            Ok(Some((account, renewal))) => {
                let label = label(device_label, peer);
                let start = || self.start(account, renewal.as_ref(), &label, peer);
                let started = database::retry(Error::is_conflict, start).await;
                match &started {
                    Ok(_) => attempt.succeeded(),
                    // The password was right; it is not its owner who failed.
                    Err(_) => attempt.void(),
                }
                let device = device.unwrap_or_else(|| Device::new(account));
                let device_token = self.devices.issue(device, self.now());
                started.map(|response| LoginResponse { device_token, ..response })
            }
            Ok(None) => Err(Error::BadCredentials),
            // Nothing was learned: neither does it count.
            Err(error) => {
                attempt.void();
                Err(error)
            }
        }
    }

    /// The device, where the token is one of this very account. Whoever has a
    /// token of another account learns nothing about this one by it.
    async fn device(&self, email: &Email, token: &str) -> Result<Option<Device>, Error> {
        let Some(device) = self.devices.check(token, self.now()) else { return Ok(None) };
        let found = account::find_with_hash(self.db(), &self.people, email).await?;
        Ok(found.filter(|(account, _)| *account == device.user).map(|_| device))
    }

    /// The account, where the password is right, with the hash to replace and its
    /// successor where it is due.
    async fn verify(
        &self,
        email: &Email,
        password: Password,
        origin: Origin,
        peer: &Peer,
    ) -> Result<Option<(UserId, Option<Renewal>)>, Error> {
        let found = account::find_with_hash(self.db(), &self.people, email).await?;
        let stored = found.as_ref().and_then(|(_, hash)| hash.clone());
        let hashing = &self.registrar.hashing;
        let verdict = hashing.verify(origin, password, stored.clone()).await?;
        match (found, verdict) {
            (Some((account, _)), Verdict::Right { rehashed }) => {
                let renewal = stored.zip(rehashed).map(|(old, new)| Renewal { old, new });
                Ok(Some((account, renewal)))
            }
            (found, _) => {
                let user = found.map(|(account, _)| account);
                self.record_failure(user, LoginFailureReason::BadCredentials, peer).await?;
                Ok(None)
            }
        }
    }

    async fn start(
        &self,
        verified: UserId,
        renewal: Option<&Renewal>,
        label: &str,
        peer: &Peer,
    ) -> Result<LoginResponse, Error> {
        let unit = self.outbox.begin().await?;
        // Read again, and held until the commit: hashing took its time.
        let held = account::hold(&*unit, &self.people, verified).await?;
        let (account, key) = held.ok_or(Error::BadCredentials)?;
        let refused = match account.status {
            Status::Active => None,
            Status::Pending => Some(Error::AccountPending),
            Status::Disabled => Some(Error::AccountDisabled),
            Status::Deleting => Some(Error::AccountDeleting),
            // It went while its password was hashed.
            Status::Deleted => Some(Error::BadCredentials),
        };
        if let Some(refused) = refused {
            unit.rollback().await?;
            self.record_failure(Some(account.id), LoginFailureReason::NotActive, peer).await?;
            return Err(refused);
        }
        let surplus = self.make_room(&unit, account.id, peer).await?;
        let row = self.new_session(account.id, label.to_owned(), peer);
        session::create(&*unit, &row, key.as_ref()).await?;
        if let Some(Renewal { old, new }) = renewal {
            credential::renew(&*unit, account.id, old, new.clone(), self.now()).await?;
        }
        record_success(&unit, &row, peer).await?;
        self.finish(unit, &surplus, Reason::Revoked).await?;
        let grant = Grant {
            user: account.id,
            generation: row.generation,
            auth_time: Timestamp::from_micros(row.auth_time),
            expire_time: Timestamp::from_micros(row.expire_time),
            account_epoch: account.epoch,
            roles: account.roles.clone(),
            tenant: account.tenant.clone(),
            attributes: account.attributes.clone(),
        };
        let tokens = self.issuer.issue(row.id.into(), &grant)?;
        Ok(convert::login(&account, &row, tokens))
    }

    fn new_session(&self, user: UserId, device_label: String, peer: &Peer) -> session::Model {
        let now = self.now();
        let micros = now.as_micros();
        let lives = &self.config.session;
        session::Model {
            id: SessionId::generate().as_uuid(),
            user_id: user.as_uuid(),
            generation: 1,
            device_label,
            address: peer.address.map(|address| address.to_string()).unwrap_or_default(),
            create_time: micros,
            auth_time: micros,
            last_active_time: micros,
            rotate_time: micros,
            expire_time: now.plus(lives.idle_lifetime.min(lives.absolute_lifetime)).as_micros(),
            absolute_expire_time: now.plus(lives.absolute_lifetime).as_micros(),
            revoke_time: None,
            revoke_reason: None,
            device_label_sealed: None,
            address_sealed: None,
        }
    }

    /// The same work for an account and for none. Failures have no order: the
    /// event belongs to no aggregate.
    async fn record_failure(
        &self,
        user: Option<UserId>,
        reason: LoginFailureReason,
        peer: &Peer,
    ) -> Result<(), Error> {
        let record = || self.try_record_failure(user, reason, peer);
        database::retry(Error::is_conflict, record).await
    }

    async fn try_record_failure(
        &self,
        user: Option<UserId>,
        reason: LoginFailureReason,
        peer: &Peer,
    ) -> Result<(), Error> {
        let unit = self.outbox.begin().await?;
        let entry = Entry::new(Action::LoginFail, Outcome::Failure)
            .address(peer.address)
            .with("reason", Value::Word(reason.as_str_name()));
        let entry = Entry { subject: user.map(Into::into), ..entry };
        countersign_audit::record(&unit, &entry).await?;
        let event = LoginFailed {
            user_id: user.map(|user| user.to_string()).unwrap_or_default(),
            reason: reason.into(),
        };
        // A flood of these must not hold up what somebody waits for.
        unit.append_bulk(Uuid::nil(), &event).await?;
        Ok(unit.commit().await?)
    }
}

/// A stored hash, and the stronger one that takes its place.
struct Renewal {
    old: String,
    new: String,
}

async fn record_success(unit: &Unit, row: &session::Model, peer: &Peer) -> Result<(), Error> {
    let (user, session) = (UserId::from(row.user_id), SessionId::from(row.id));
    let entry = Entry::new(Action::LoginSuccess, Outcome::Success)
        .actor(user)
        .subject(session)
        .address(peer.address);
    countersign_audit::record(unit, &entry).await?;
    let event = LoginSucceeded { user_id: user.to_string(), session_id: session.to_string() };
    // The only event of its kind in a session: there is no order to keep.
    unit.append(Uuid::nil(), &event).await?;
    Ok(())
}

/// The label that was given, else what the client calls itself; in neither
/// anything that would disturb a list on a screen.
fn label(given: String, peer: &Peer) -> String {
    let label =
        if given.trim().is_empty() { peer.user_agent.clone().unwrap_or_default() } else { given };
    label.trim().chars().filter(|c| !c.is_control() && !is_bidi(*c)).take(LABEL_MAX).collect()
}

/// The controls of the Unicode bidirectional algorithm (UAX #9, section 2).
const fn is_bidi(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_what_was_given_else_the_user_agent_and_fit_for_a_screen() {
        let peer = Peer { user_agent: Some("grpcurl/1.9".to_owned()), ..Peer::default() };
        assert_eq!(label("Ada's laptop".to_owned(), &peer), "Ada's laptop");
        assert_eq!(label("  ".to_owned(), &peer), "grpcurl/1.9");
        assert_eq!(label(" a\u{202e}b\u{7}c\n".to_owned(), &peer), "abc");
        assert_eq!(label("ä".repeat(300), &peer).chars().count(), LABEL_MAX);
        assert_eq!(label(String::new(), &Peer::default()), "");
    }
}
