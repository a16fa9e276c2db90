//! What the bus tells of sessions that were ended.

use std::time::Duration;

use countersign_contracts::events::v1::SessionRevoked;
use countersign_events::{Bus, Event, Follower, Following};
use countersign_guard::Revocations;
use countersign_tokens::MAX_TOKEN_LIFE;
use countersign_types::SessionId;

/// Who tells of revocations: until it says that the stream has all of them, a
/// guard is not ready.
const AUTH: &str = "auth";
const REVOKED: &str = "countersign.events.v1.SessionRevoked";

/// Puts what `bus` tells into `revocations`, from the longest life of a token
/// back. An entry is kept for `token_life` from the revocation on; `leeway` is
/// that of the guard.
pub fn follow_revocations(
    bus: &Bus,
    revocations: &Revocations,
    token_life: Duration,
    leeway: Duration,
) -> Following {
    let told = revocations.clone();
    let revoke = move |event: &Event| match session(event) {
        Some(session) => told.revoke_session(session, event.time.plus(token_life)),
        None => tracing::error!(event.id = %event.id, "a revocation cannot be read"),
    };
    let horizon = MAX_TOKEN_LIFE + leeway;
    let follower = Follower::new("guard.revocations", &[REVOKED], horizon, revoke);
    bus.follow(follower.complete_from(&[AUTH]))
}

fn session(event: &Event) -> Option<SessionId> {
    event.decode::<SessionRevoked>().ok()?.session_id.parse().ok()
}
