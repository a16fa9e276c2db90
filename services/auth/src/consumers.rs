//! What the auth service does when something happened, here or elsewhere. Each
//! handler runs in the transaction in which the delivery is noted, so its
//! effect happens once.

mod activation;

use countersign_contracts::events::v1::ProfileCreated;
use countersign_events::{Consumer, ConsumerOptions, Outbox};
use prost::Name;

/// The consumers of this service, to be subscribed to the bus. Revocations are
/// none of their business: every process follows them, for its guard.
pub(crate) fn all(outbox: &Outbox) -> Vec<Consumer> {
    vec![Consumer::new(
        "auth.activation",
        &[&ProfileCreated::full_name()],
        outbox.clone(),
        activation::Activation,
        ConsumerOptions::default(),
    )]
}
