//! What the auth service does when something happened, here or elsewhere. Each
//! handler runs in the transaction in which the delivery is noted, so its
//! effect happens once.

mod activation;
mod revocation;

use countersign_contracts::events::v1::{ProfileCreated, SessionRevoked};
use countersign_events::{Consumer, ConsumerOptions, Outbox};
use countersign_guard::Revocations;
use prost::Name;

/// The consumers of this service, to be subscribed to the bus.
pub(crate) fn all(outbox: &Outbox, revocations: &Revocations) -> Vec<Consumer> {
    let revocation = revocation::Revocation { revocations: revocations.clone() };
    vec![
        Consumer::new(
            "auth.activation",
            &[&ProfileCreated::full_name()],
            outbox.clone(),
            activation::Activation,
            ConsumerOptions::default(),
        ),
        Consumer::new(
            "auth.revocation",
            &[&SessionRevoked::full_name()],
            outbox.clone(),
            revocation,
            ConsumerOptions::default(),
        ),
    ]
}
