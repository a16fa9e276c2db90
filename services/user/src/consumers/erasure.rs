//! `UserDeleted`: removes the profile, whether it was made already or not.

use countersign_audit::{Action, Entry, Outcome};
use countersign_contracts::events::v1::UserDeleted;
use countersign_events::{BoxFuture, Event, Unit};
use countersign_types::Fault;

use crate::{error::Error, store::profiles};

pub struct Handler;

impl countersign_events::Handler for Handler {
    fn handle<'a>(&'a self, unit: &'a Unit, event: &'a Event) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move { Ok(erase(unit, event).await?) })
    }
}

async fn erase(unit: &Unit, event: &Event) -> Result<(), Error> {
    let deleted: UserDeleted = event.decode()?;
    let user = super::user(&deleted.user_id)?;
    if profiles::erase(&**unit, user, unit.now()).await? {
        let tenant = profiles::tenant(&**unit, user).await?.and_then(|name| name.parse().ok());
        let entry = Entry::new(Action::UserDeleted, Outcome::Success)
            .subject(user)
            .account(user)
            .tenant(tenant.unwrap_or_default());
        countersign_audit::record(unit, &entry).await?;
    }
    Ok(())
}
