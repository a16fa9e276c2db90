//! An account goes without a call: when its time to think it over has passed, and
//! when a restored backup has brought it back.

use countersign_audit::{Action, Entry, Outcome, Value};
use countersign_contracts::events::v1::{TokensOutdated, UserDeleted};
use countersign_events::Outbox;
use countersign_types::UserId;
use sea_orm::prelude::Uuid;

use crate::{
    Error, convert,
    store::erasing::{self, Which},
};

/// Erases an account as its deletion does, with its events. False: it is not
/// there, or is deleted, or not due.
///
/// # Errors
/// [`Error::Database`].
pub(crate) async fn erase(outbox: &Outbox, user: UserId, which: Which) -> Result<bool, Error> {
    let unit = outbox.begin().await?;
    let Some(epoch) = erasing::erase(&*unit, user, which, unit.now()).await? else {
        unit.rollback().await?;
        return Ok(false);
    };
    let user_id = user.to_string();
    let delete_time = Some(convert::time(unit.now()));
    let deleted = UserDeleted { user_id: user_id.clone(), delete_time };
    unit.append(user.as_uuid(), &deleted).await?;
    unit.append(Uuid::nil(), &TokensOutdated { user_id, account_epoch: epoch }).await?;
    let entry = Entry::new(Action::UserDeleted, Outcome::Success).subject(user);
    countersign_audit::record(&unit, &entry.with("epoch", Value::Number(epoch))).await?;
    unit.commit().await?;
    Ok(true)
}
