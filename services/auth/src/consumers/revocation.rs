//! `SessionRevoked`: the guard of this process refuses the tokens. The call
//! that revoked has told it already; the event makes it certain.

use countersign_contracts::events::v1::SessionRevoked;
use countersign_events::{BoxFuture, Event, Handler, Unit};
use countersign_guard::Revocations;
use countersign_types::Fault;

use crate::{Error, config::ACCESS_TOKEN_LIFETIME_MAX};

pub(super) struct Revocation {
    pub(super) revocations: Revocations,
}

// The effect is in memory and the same however often it happens.
impl Handler for Revocation {
    fn handle<'a>(&'a self, _unit: &'a Unit, event: &'a Event) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move { Ok(self.revoke(event)?) })
    }
}

impl Revocation {
    fn revoke(&self, event: &Event) -> Result<(), Error> {
        let revoked: SessionRevoked = event.decode()?;
        let session = revoked.session_id.parse().map_err(|_| Error::Damaged("event"))?;
        self.revocations.revoke_session(session, event.time.plus(ACCESS_TOKEN_LIFETIME_MAX));
        Ok(())
    }
}
