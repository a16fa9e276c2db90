//! What the user service does when something happened elsewhere. Each handler
//! runs in the transaction in which the delivery is noted, so its effect
//! happens once.

mod activity;
mod creation;
pub mod erasure;

use countersign_events::{Consumer, ConsumerOptions, Outbox};
use countersign_types::{Code, Fault, UserId};

/// The consumers of this service. Their names are their identity in the
/// database and never change.
pub fn all(outbox: &Outbox, options: ConsumerOptions) -> Vec<Consumer> {
    let creation = Consumer::new(
        "user.profile_creation",
        &["countersign.events.v1.UserCreated"],
        outbox.clone(),
        creation::Handler,
        options,
    );
    let activity = Consumer::new(
        "user.activity",
        &["countersign.events.v1.UserLoggedOut"],
        outbox.clone(),
        activity::Handler,
        options,
    );
    let erasure = Consumer::new(
        "user.erasure",
        &["countersign.events.v1.UserDeleted"],
        outbox.clone(),
        erasure::Handler,
        options,
    );
    vec![creation, activity, erasure]
}

/// The person that an event speaks of.
fn user(id: &str) -> Result<UserId, Fault> {
    id.parse().map_err(|_| malformed())
}

fn malformed() -> Fault {
    Fault::new(Code::Internal, "EVENT_MALFORMED", "an event could not be read")
}
