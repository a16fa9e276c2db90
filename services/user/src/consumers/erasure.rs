//! `UserDeleted`: removes the profile, whether it was made already or not.

use countersign_audit::{Action, Entry, Outcome};
use countersign_contracts::events::v1::UserDeleted;
use countersign_events::{BoxFuture, Event, Unit};
use countersign_types::{Fault, UserId};

use crate::{error::Error, store::profiles};

pub struct Handler;

impl countersign_events::Handler for Handler {
    fn handle<'a>(&'a self, unit: &'a Unit, event: &'a Event) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let deleted: UserDeleted = event.decode()?;
            erase(unit, super::user(&deleted.user_id)?).await?;
            Ok(())
        })
    }
}

/// Erases the profile of a person. False: that was so already.
///
/// # Errors
/// [`Error::Database`], [`Error::Audit`].
pub async fn erase(unit: &Unit, user: UserId) -> Result<bool, Error> {
    let erased = profiles::erase(&**unit, user, unit.now()).await?;
    if erased {
        let tenant = profiles::tenant(&**unit, user).await?.and_then(|name| name.parse().ok());
        let entry = Entry::new(Action::UserDeleted, Outcome::Success)
            .subject(user)
            .account(user)
            .tenant(tenant.unwrap_or_default());
        countersign_audit::record(unit, &entry).await?;
    }
    Ok(erased)
}
