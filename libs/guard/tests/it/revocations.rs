//! What is revoked, from when on and until when.

use std::time::Duration;

use countersign_guard::Revocations;
use countersign_tokens::Claims;

use crate::world::{START, TOKEN_LIFE, World};

#[test]
fn clones_share_what_is_revoked_and_whether_they_are_ready() {
    let (one, claims) = (Revocations::default(), World::default().claims());
    let other = one.clone();
    assert!(!other.is_ready());
    one.mark_ready();
    one.revoke_session(claims.session, claims.expires_at);
    assert!(other.is_ready());
    assert!(other.is_revoked(&claims));
}

#[test]
fn the_epoch_of_an_account_never_goes_back() {
    let (revocations, claims) = (Revocations::default(), World::default().claims());
    let at = |account_epoch| Claims { account_epoch, ..claims.clone() };
    revocations.set_account_epoch(claims.subject, 3, claims.expires_at);
    revocations.set_account_epoch(claims.subject, 2, claims.expires_at);
    assert!(revocations.is_revoked(&at(2)));
    assert!(!revocations.is_revoked(&at(3)));
    assert!(!revocations.is_revoked(&at(4)));
}

#[test]
fn an_entry_outlives_the_last_token_that_it_concerns() {
    let (revocations, claims) = (Revocations::default(), World::default().claims());
    let dies = START.plus(TOKEN_LIFE);
    revocations.revoke_session(claims.session, dies);
    // Heard of a second time, with an earlier end: the later one counts.
    revocations.revoke_session(claims.session, START);
    revocations.prune(dies.plus(Duration::from_secs(30)));
    assert!(revocations.is_revoked(&claims), "the leeway of guards is not over");
    revocations.prune(dies.plus(Duration::from_secs(61)));
    assert!(!revocations.is_revoked(&claims));
}

#[test]
fn an_account_is_forgotten_when_its_old_tokens_are_dead() {
    let (revocations, claims) = (Revocations::default(), World::default().claims());
    revocations.set_account_epoch(claims.subject, 2, claims.expires_at);
    revocations.prune(claims.expires_at);
    assert!(revocations.is_revoked(&claims));
    revocations.prune(claims.expires_at.plus(Duration::from_secs(61)));
    assert!(!revocations.is_revoked(&claims));
    assert_eq!(
        format!("{revocations:?}"),
        "Revocations { ready: false, sessions: 0, accounts: 0, waiting: 0 }"
    );
}
