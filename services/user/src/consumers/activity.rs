//! `UserLoggedOut`: remembers when the person was last seen.

use countersign_contracts::events::v1::UserLoggedOut;
use countersign_events::{BoxFuture, Event, Unit};
use countersign_types::Fault;

use crate::{convert, error::Error, store::profiles};

pub struct Handler;

impl countersign_events::Handler for Handler {
    fn handle<'a>(&'a self, unit: &'a Unit, event: &'a Event) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move { Ok(touch(unit, event).await?) })
    }
}

async fn touch(unit: &Unit, event: &Event) -> Result<(), Error> {
    let logged_out: UserLoggedOut = event.decode()?;
    let user = super::user(&logged_out.user_id)?;
    let time = logged_out.logout_time.as_ref().and_then(convert::timestamp);
    // A profile that is not made yet is on its way, so the delivery is tried
    // again; one that never comes makes a dead letter in the end.
    if profiles::touch(&**unit, user, time.unwrap_or(event.time)).await? {
        Ok(())
    } else {
        Err(Error::ProfileNotFound)
    }
}
