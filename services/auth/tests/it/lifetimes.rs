//! What outlives a change of the settings, and the end of a session: tokens
//! that were issued before.

use std::time::Duration;

use countersign_contracts::auth::v1::RevokeAllSessionsRequest;

use crate::stage::{PASSWORD, Set, Stage, config, reason, with_token};

const EMAIL: &str = "ada@example.org";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Somebody can log in, and access tokens live so long.
async fn stage(access_token_lifetime: Duration) -> Stage {
    let mut config = config();
    config.session.access_token_lifetime = access_token_lifetime;
    let stage = Set::new(config).await.start().await.unwrap();
    stage.person(EMAIL).await;
    stage
}

async fn restart(stage: Stage, access_token_lifetime: Duration) -> Stage {
    let mut set = stage.set;
    set.config.session.access_token_lifetime = access_token_lifetime;
    set.start().await.unwrap()
}

#[tokio::test]
async fn a_revoked_token_stays_so_after_a_restart_with_a_shorter_lifetime() {
    let stage = stage(HOUR).await;
    let login = stage.login(EMAIL, PASSWORD).await.unwrap();
    stage.logout(&login).await.unwrap();
    stage.advance(10 * MINUTE);
    let stage = restart(stage, 10 * SECOND).await;
    assert_eq!(reason(&stage.list(&login, 0, "").await.unwrap_err()), "SESSION_REVOKED");
    stage.advance(40 * MINUTE);
    stage.service.upkeep.step().await.unwrap();
    assert_eq!(reason(&stage.list(&login, 0, "").await.unwrap_err()), "SESSION_REVOKED");
}

#[tokio::test]
async fn a_token_revoked_after_the_lifetime_was_shortened_is_refused_to_its_end() {
    let stage = stage(HOUR).await;
    let login = stage.login(EMAIL, PASSWORD).await.unwrap();
    let stage = restart(stage, 10 * SECOND).await;
    stage.logout(&login).await.unwrap();
    stage.advance(50 * MINUTE);
    stage.service.upkeep.step().await.unwrap();
    assert_eq!(reason(&stage.list(&login, 0, "").await.unwrap_err()), "SESSION_REVOKED");
}

#[tokio::test]
async fn a_key_outlives_its_tokens_though_the_lifetime_was_raised_before_it_retired() {
    let stage = stage(10 * SECOND).await;
    let set = &stage.set;
    let announced = set.keeper().await.rotate_signing_keys(&set.config).await.unwrap().key;
    let stage = restart(stage, HOUR).await;
    stage.advance(announced.sign_time.since(stage.set.clock.now()) - SECOND);
    let login = stage.login(EMAIL, PASSWORD).await.unwrap();
    stage.advance(50 * MINUTE);
    stage.service.rotation.step().await.unwrap();
    assert!(stage.list(&login, 0, "").await.is_ok());
}

#[tokio::test]
async fn an_access_token_ends_with_its_session() {
    let mut config = config();
    config.session.idle_lifetime = HOUR;
    config.session.absolute_lifetime = HOUR;
    let stage = Set::new(config).await.start().await.unwrap();
    stage.person(EMAIL).await;
    let login = stage.login(EMAIL, PASSWORD).await.unwrap();
    stage.advance(HOUR - MINUTE);
    let last = stage.refresh(&login.refresh_token).await.unwrap();
    let end = stage.set.clock.now().plus(MINUTE).as_seconds();
    assert_eq!(last.expire_time.unwrap().seconds, end);
    assert_eq!(last.expire_time, last.refresh_expire_time);
}

#[tokio::test]
async fn a_session_that_is_over_is_ended_with_the_others_while_a_token_of_it_lives() {
    let stage = stage(HOUR).await;
    let old = stage.login(EMAIL, PASSWORD).await.unwrap();
    // From now on sessions are short: its next refresh puts the end before that of its token.
    let mut set = stage.set;
    set.config.session.access_token_lifetime = 10 * SECOND;
    set.config.session.idle_lifetime = MINUTE;
    let stage = set.start().await.unwrap();
    stage.refresh(&old.refresh_token).await.unwrap();
    stage.advance(10 * MINUTE);
    let here = stage.login(EMAIL, PASSWORD).await.unwrap();
    assert_eq!(stage.list(&here, 0, "").await.unwrap().sessions.len(), 1, "it is over");
    assert!(stage.list(&old, 0, "").await.is_ok(), "and its first token still good");

    let all = RevokeAllSessionsRequest { user_id: "me".to_owned(), keep_current: true };
    stage.sessions().revoke_all_sessions(with_token(&here.access_token, all)).await.unwrap();
    assert_eq!(reason(&stage.list(&old, 0, "").await.unwrap_err()), "SESSION_REVOKED");
    assert!(stage.list(&here, 0, "").await.is_ok());
}
