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
use countersign_tokens::AuthMethods;
use countersign_types::{
    Broken, Email, SessionId, Tenant, TextRules, Timestamp, UserId, Violation,
};
use sea_orm::prelude::Uuid;

use super::{
    Auth,
    signals::{News, append_news, append_suspicion},
};
use crate::{
    Error, convert,
    device::Device,
    meter::Signal,
    network::Origin,
    password::{Password, Verdict},
    store::{
        account::{self, Account, Status},
        credential,
        refresh::Grant,
        session::{self, Reason},
    },
    throttle::Suspicion,
};

/// What a device may be called: as strict as the texts of a profile.
const LABEL: TextRules = TextRules { max_graphemes: 100, max_bytes: 1_200, lines: false };

impl Auth {
    pub(crate) async fn log_in(
        &self,
        email: &str,
        password: Password,
        device_label: &str,
        device_token: &str,
        peer: &Peer,
    ) -> Result<LoginResponse, Error> {
        let email = Email::parse(email).map_err(|rule| {
            Error::Invalid(vec![Violation::new("email", "email", rule.to_string())])
        })?;
        let label = label(device_label, peer)?;
        let device = self.device(&email, device_token).await?;
        let attempt = self.throttle.admit(&email, peer.address.into(), device.as_ref());
        let attempt = attempt.inspect_err(|_| self.note_wait("login", peer))?;
        match self.verify(&email, password, attempt.origin(), peer).await {
            Ok(Some((account, renewal))) => {
                let known = device.is_some();
                let start = || self.start(account, renewal.as_ref(), &label, known, peer);
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
        Ok(found.filter(|account| account.id == device.user).map(|_| device))
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
        let stored = found.as_ref().and_then(|account| account.hash.clone());
        let hashing = &self.registrar.hashing;
        let verdict = hashing.verify(origin, password, stored.clone()).await?;
        match (found, verdict) {
            (Some(account), Verdict::Right { rehashed }) => {
                let renewal = stored.zip(rehashed).map(|(old, new)| Renewal { old, new });
                Ok(Some((account.id, renewal)))
            }
            (found, _) => {
                let account = found.as_ref().map(|account| (account.id, &account.tenant));
                let suspicion = self.throttle.suspect(email, peer.address.into());
                let reason = LoginFailureReason::BadCredentials;
                self.record_failure(account, reason, suspicion, peer).await?;
                Ok(None)
            }
        }
    }

    async fn start(
        &self,
        verified: UserId,
        renewal: Option<&Renewal>,
        label: &str,
        known_device: bool,
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
            let (whose, reason) = ((account.id, &account.tenant), LoginFailureReason::NotActive);
            self.record_failure(Some(whose), reason, None, peer).await?;
            return Err(refused);
        }
        let surplus = self.make_room(&unit, &account, peer).await?;
        let row = self.new_session(account.id, label.to_owned(), peer);
        session::create(&*unit, &row, key.as_ref()).await?;
        if let Some(Renewal { old, new }) = renewal {
            credential::renew(&*unit, account.id, old, new.clone(), self.now()).await?;
        }
        let news = self.news(&unit, account.id, known_device, peer).await?;
        record_success(&unit, &row, &account, news, peer).await?;
        append_news(&unit, news, account.id, row.id.into()).await?;
        self.finish(unit, &surplus, Reason::Revoked).await?;
        news.signals().for_each(|signal| self.meter.signal(signal));
        surplus.iter().for_each(|_| self.meter.signal(Signal::SessionLimit));
        let grant = Grant {
            user: account.id,
            generation: row.generation,
            auth_time: Timestamp::from_micros(row.auth_time),
            methods: session::read_methods(&row.auth_methods)?,
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
            // The password: there is no other way to log in.
            auth_methods: AuthMethods::default().to_string(),
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

    /// Somebody has to wait before the next attempt. Nothing is known of who it is.
    pub(super) fn note_wait(&self, attempt: &'static str, peer: &Peer) {
        let entry = Entry::new(Action::LoginFailMax, Outcome::Failure)
            .address(peer.address)
            .with("attempt", Value::Word(attempt));
        self.trail.note(entry);
    }

    /// The same work for an account and for none. Failures have no order: the
    /// event belongs to no aggregate.
    async fn record_failure(
        &self,
        account: Option<(UserId, &Tenant)>,
        reason: LoginFailureReason,
        suspicion: Option<Suspicion>,
        peer: &Peer,
    ) -> Result<(), Error> {
        let record = || self.try_record_failure(account, reason, suspicion, peer);
        database::retry(Error::is_conflict, record).await?;
        if suspicion.is_some() {
            self.meter.signal(Signal::CredentialStuffing);
        }
        Ok(())
    }

    async fn try_record_failure(
        &self,
        account: Option<(UserId, &Tenant)>,
        reason: LoginFailureReason,
        suspicion: Option<Suspicion>,
        peer: &Peer,
    ) -> Result<(), Error> {
        let unit = self.outbox.begin().await?;
        let entry = Entry::new(Action::LoginFail, Outcome::Failure)
            .address(peer.address)
            .with("reason", Value::Word(reason.as_str_name()));
        let user = account.map(|(id, _)| id);
        let tenant = account.map(|(_, tenant)| tenant.clone()).unwrap_or_default();
        let entry = Entry { subject: user.map(Into::into), account: user, ..entry.tenant(tenant) };
        countersign_audit::record(&unit, &entry).await?;
        let event = LoginFailed {
            user_id: user.map(|user| user.to_string()).unwrap_or_default(),
            reason: reason.into(),
        };
        // A flood of these must not hold up what somebody waits for.
        unit.append_bulk(Uuid::nil(), &event).await?;
        if let Some(suspicion) = suspicion {
            append_suspicion(&unit, suspicion, peer).await?;
        }
        Ok(unit.commit().await?)
    }
}

/// A stored hash, and the stronger one that takes its place.
struct Renewal {
    old: String,
    new: String,
}

async fn record_success(
    unit: &Unit,
    row: &session::Model,
    account: &Account,
    news: News,
    peer: &Peer,
) -> Result<(), Error> {
    let (user, session) = (UserId::from(row.user_id), SessionId::from(row.id));
    let entry = Entry::new(Action::LoginSuccess, Outcome::Success)
        .actor(user)
        .subject(session)
        .account(user)
        .session(session)
        .tenant(account.tenant.clone())
        .address(peer.address)
        .with("new_device", Value::Flag(news.device))
        .with("new_network", Value::Flag(news.network));
    countersign_audit::record(unit, &entry).await?;
    let event = LoginSucceeded { user_id: user.to_string(), session_id: session.to_string() };
    // The only event of its kind in a session: there is no order to keep.
    unit.append(Uuid::nil(), &event).await?;
    Ok(())
}

/// The label that was given, in its normal form, else what the client calls
/// itself.
///
/// # Errors
/// [`Error::Invalid`] with every rule that a given label breaks.
fn label(given: &str, peer: &Peer) -> Result<String, Error> {
    let at_label = |broken: Vec<Broken>| {
        Error::Invalid(broken.into_iter().map(|rule| rule.at("device_label")).collect())
    };
    let label = LABEL.check(given).map_err(at_label)?;
    if !label.is_empty() {
        return Ok(label);
    }
    let agent: String =
        peer.user_agent.iter().flat_map(|agent| agent.chars()).take(LABEL.max_graphemes).collect();
    Ok(LABEL.check(&agent).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_what_was_given_else_the_user_agent() {
        let peer = Peer { user_agent: Some("grpcurl/1.9".to_owned()), ..Peer::default() };
        assert_eq!(label(" Ada\u{308}s laptop ", &peer).unwrap(), "Ad\u{e4}s laptop");
        assert_eq!(label("  ", &peer).unwrap(), "grpcurl/1.9");
        assert_eq!(label("", &Peer::default()).unwrap(), "");
        let long = Peer { user_agent: Some("x".repeat(256)), ..Peer::default() };
        assert_eq!(label("", &long).unwrap().len(), 100);
        for bad in ["a\u{202e}b", "a\u{7}", "a\nb", "a\u{200b}"] {
            assert!(matches!(label(bad, &peer), Err(Error::Invalid(_))), "{bad:?}");
        }
    }
}
