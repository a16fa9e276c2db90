//! Ending sessions: logging out, and revoking from afar. Ending what has ended
//! changes nothing and is no error.

use countersign_audit::{Action, Entry, Outcome, Value};
use countersign_contracts::events::v1::{SessionRevoked, UserLoggedOut};
use countersign_events::Unit;
use countersign_guard::{Caller, Peer, Permit};
use countersign_mesh::database;
use countersign_types::SessionId;
use sea_orm::prelude::Uuid;

use super::Auth;
use crate::{
    Error, convert,
    store::{
        account::Account,
        revocation::{self, Revoked},
        session::Reason,
    },
};

/// Sessions that one transaction ends: nobody else can write meanwhile.
const BATCH: u64 = 100;

impl Auth {
    pub(crate) async fn log_out(&self, caller: &Caller, peer: &Peer) -> Result<(), Error> {
        let now = self.now();
        let unit = self.outbox.begin().await?;
        let Some(revoked) = revocation::own(&*unit, caller, now).await? else {
            self.refuse_tokens(caller.session_id());
            return Ok(unit.rollback().await?);
        };
        let event = UserLoggedOut {
            user_id: revoked.user.to_string(),
            session_id: revoked.session.to_string(),
            logout_time: Some(convert::time(now)),
        };
        unit.append(revoked.user.as_uuid(), &event).await?;
        record(&unit, by(caller, peer), "logout", &[revoked]).await?;
        self.finish(unit, &[revoked], Reason::Logout).await
    }

    pub(crate) async fn end_one(
        &self,
        permit: &Permit,
        caller: &Caller,
        peer: &Peer,
    ) -> Result<(), Error> {
        let unit = self.outbox.begin().await?;
        let Some(revoked) = revocation::permitted(&*unit, permit, self.now()).await? else {
            self.refuse_tokens(permit.resource_as()?);
            return Ok(unit.rollback().await?);
        };
        record(&unit, by(caller, peer), "revoked", &[revoked]).await?;
        self.finish(unit, &[revoked], Reason::Revoked).await
    }

    /// How many sessions it ended.
    pub(crate) async fn end_all(
        &self,
        permit: &Permit,
        caller: &Caller,
        keep: Option<SessionId>,
        peer: &Peer,
    ) -> Result<usize, Error> {
        let mut count = 0;
        loop {
            let some = || self.end_some(permit, caller, keep, peer);
            match database::retry(Error::is_conflict, some).await? {
                0 => return Ok(count),
                ended => count += ended,
            }
        }
    }

    async fn end_some(
        &self,
        permit: &Permit,
        caller: &Caller,
        keep: Option<SessionId>,
        peer: &Peer,
    ) -> Result<usize, Error> {
        let unit = self.outbox.begin().await?;
        let revoked = revocation::all(&*unit, permit, keep, BATCH, self.now()).await?;
        if revoked.is_empty() {
            unit.rollback().await?;
            return Ok(0);
        }
        record(&unit, by(caller, peer), "revoked", &revoked).await?;
        self.finish(unit, &revoked, Reason::Revoked).await?;
        Ok(revoked.len())
    }

    /// Ends the oldest sessions of an account that is about to get one more, so
    /// that it never has more than the settings allow. To be followed by
    /// [`Self::finish`].
    pub(super) async fn make_room(
        &self,
        unit: &Unit,
        account: &Account,
        peer: &Peer,
    ) -> Result<Vec<Revoked>, Error> {
        let others = u64::from(self.config.session.max_per_account).saturating_sub(1);
        let revoked = revocation::surplus(&**unit, account.id, others, BATCH, self.now()).await?;
        let entry = Entry::new(Action::SessionRevoked, Outcome::Success)
            .actor(account.id)
            .tenant(account.tenant.clone())
            .address(peer.address);
        record(unit, entry, "too_many", &revoked).await?;
        Ok(revoked)
    }

    /// Appends the events and commits, so that every guard knows.
    pub(super) async fn finish(
        &self,
        unit: Unit,
        revoked: &[Revoked],
        reason: Reason,
    ) -> Result<(), Error> {
        self.append_ends(&unit, revoked, reason).await?;
        self.commit(unit, revoked, None).await
    }

    /// Appends the events of sessions that have ended.
    pub(super) async fn append_ends(
        &self,
        unit: &Unit,
        revoked: &[Revoked],
        reason: Reason,
    ) -> Result<(), Error> {
        for Revoked { session, user } in revoked {
            let event = SessionRevoked {
                user_id: user.to_string(),
                session_id: session.to_string(),
                reason: convert::reason(reason).into(),
                revoke_time: Some(convert::time(self.now())),
            };
            // A session ends once, and nothing waits in line before its end.
            unit.append(Uuid::nil(), &event).await?;
        }
        Ok(())
    }

    fn refuse_tokens(&self, session: SessionId) {
        self.revocations.revoke_session(session, self.tokens_end());
    }

    /// Ends all sessions of the account that the permit is for, in one
    /// transaction with whatever brings that about. To be followed by
    /// [`Self::append_ends`].
    pub(super) async fn end_with(
        &self,
        unit: &Unit,
        permit: &Permit,
        peer: &Peer,
    ) -> Result<Vec<Revoked>, Error> {
        let mut ended = Vec::new();
        loop {
            let some = revocation::all(&**unit, permit, None, BATCH, self.now()).await?;
            if some.is_empty() {
                break;
            }
            ended.extend(some);
        }
        record(unit, by(permit.caller(), peer), "revoked", &ended).await?;
        Ok(ended)
    }
}

/// The end of a session by a call.
fn by(caller: &Caller, peer: &Peer) -> Entry {
    Entry::new(Action::SessionRevoked, Outcome::Success).by(caller, peer)
}

/// One entry for each of the sessions, which are of one account.
async fn record(
    unit: &Unit,
    entry: Entry,
    reason: &'static str,
    revoked: &[Revoked],
) -> Result<(), Error> {
    let entries = revoked.iter().map(|Revoked { session, user }| {
        entry.clone().subject(*session).account(*user).with("reason", Value::Word(reason))
    });
    Ok(countersign_audit::record_all(unit, entries).await?)
}
