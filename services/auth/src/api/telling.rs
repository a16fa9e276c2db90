//! Commits what takes away the right to call, and tells every guard of it.

use countersign_contracts::events::v1::{SessionRevoked, TokensOutdated};
use countersign_events::{Event, Unit};
use countersign_types::{Timestamp, UserId};

use super::Auth;
use crate::{Error, config::ACCESS_TOKEN_LIFETIME_MAX, store::revocation::Revoked};

/// An account whose tokens of earlier epochs hold no longer.
#[derive(Clone, Copy)]
pub(super) struct Outdated {
    pub(super) user: UserId,
    pub(super) epoch: i64,
}

impl Auth {
    /// Commits, and refuses the tokens here at once, also where the caller has
    /// gone away by then. Other processes are told at once; the events in the
    /// unit make it certain, should this one die in between.
    pub(super) async fn commit(
        &self,
        unit: Unit,
        revoked: &[Revoked],
        outdated: Option<Outdated>,
    ) -> Result<(), Error> {
        let sessions: Vec<_> = revoked.iter().map(|revoked| revoked.session).collect();
        let (revocations, until) = (self.revocations.clone(), self.tokens_end());
        let bus = self.bus.clone();
        let refuse = move |events: &[Event]| {
            sessions.into_iter().for_each(|session| revocations.revoke_session(session, until));
            if let Some(Outdated { user, epoch }) = outdated {
                revocations.set_account_epoch(user, epoch, until);
            }
            let urgent =
                |event: &&Event| event.is::<SessionRevoked>() || event.is::<TokensOutdated>();
            let told: Vec<_> = events.iter().filter(urgent).cloned().collect();
            tokio::spawn(async move {
                for event in &told {
                    bus.announce(event).await;
                }
            });
        };
        Ok(unit.commit_then(refuse).await?)
    }

    /// When the last access token that was issued until now has expired, under
    /// whatever settings it was.
    pub(super) fn tokens_end(&self) -> Timestamp {
        self.now().plus(ACCESS_TOKEN_LIFETIME_MAX)
    }
}
