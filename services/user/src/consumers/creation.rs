//! `UserCreated`: makes the base profile, whose event makes the account active.

use countersign_contracts::events::v1::{ProfileCreated, UserCreated};
use countersign_events::{BoxFuture, Event, Unit};
use countersign_types::{Fault, Tenant};

use crate::{convert, error::Error, store::profiles};

pub struct Handler;

impl countersign_events::Handler for Handler {
    fn handle<'a>(&'a self, unit: &'a Unit, event: &'a Event) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move { Ok(create(unit, event).await?) })
    }
}

async fn create(unit: &Unit, event: &Event) -> Result<(), Error> {
    let created: UserCreated = event.decode()?;
    let user = super::user(&created.user_id)?;
    let now = unit.now();
    // The former version of the auth service knows of no tenants.
    let tenant = match created.tenant.as_str() {
        "" => Tenant::default(),
        name => name.parse().map_err(|_| super::malformed())?,
    };
    if profiles::create(&**unit, user, &tenant, now).await? {
        let create_time = Some(convert::time(now));
        let event = ProfileCreated { user_id: user.to_string(), create_time };
        unit.append(user.as_uuid(), &event).await?;
    }
    Ok(())
}
