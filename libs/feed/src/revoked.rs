//! What the bus tells of sessions that were ended and of tokens that are outdated.

use std::time::Duration;

use countersign_contracts::events::v1::{SessionRevoked, TokensOutdated};
use countersign_events::{Bus, Event, Follower, Following};
use countersign_guard::Revocations;
use countersign_tokens::MAX_TOKEN_LIFE;
use countersign_types::{SessionId, UserId};

/// Who tells of revocations: until it says that the stream has all of them, a
/// guard is not ready.
const AUTH: &str = "auth";
const REVOKED: &str = "countersign.events.v1.SessionRevoked";
const OUTDATED: &str = "countersign.events.v1.TokensOutdated";

/// Puts what `bus` tells into `revocations`, from the longest life of a token
/// back: sessions that were ended, and accounts that were changed. An entry is
/// kept for `token_life` from the event on; `leeway` is that of the guard.
pub fn follow_revocations(
    bus: &Bus,
    revocations: &Revocations,
    token_life: Duration,
    leeway: Duration,
) -> Following {
    let told = revocations.clone();
    let refuse = move |event: &Event| {
        let until = event.time.plus(token_life);
        match (session(event), epoch(event)) {
            (Some(session), _) => told.revoke_session(session, until),
            (_, Some((account, epoch))) => told.set_account_epoch(account, epoch, until),
            _ => tracing::error!(event.id = %event.id, "a revocation cannot be read"),
        }
    };
    let (kinds, horizon) = ([REVOKED, OUTDATED], MAX_TOKEN_LIFE + leeway);
    let follower = Follower::new("guard.revocations", &kinds, horizon, refuse);
    bus.follow(follower.complete_from(&[AUTH]))
}

fn session(event: &Event) -> Option<SessionId> {
    event.decode::<SessionRevoked>().ok()?.session_id.parse().ok()
}

fn epoch(event: &Event) -> Option<(UserId, i64)> {
    let outdated = event.decode::<TokensOutdated>().ok()?;
    Some((outdated.user_id.parse().ok()?, outdated.account_epoch))
}
