//! `ProfileCreated`: the account can log in.

use countersign_contracts::events::v1::ProfileCreated;
use countersign_events::{BoxFuture, Event, Handler, Unit};
use countersign_types::Fault;

use crate::{Error, store::account};

pub(super) struct Activation;

impl Handler for Activation {
    fn handle<'a>(&'a self, unit: &'a Unit, event: &'a Event) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move { Ok(activate(unit, event).await?) })
    }
}

async fn activate(unit: &Unit, event: &Event) -> Result<(), Error> {
    let created: ProfileCreated = event.decode()?;
    let user = created.user_id.parse().map_err(|_| Error::Damaged("event"))?;
    account::activate(&**unit, user, event.time).await
}
