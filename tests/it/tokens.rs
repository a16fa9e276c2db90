//! Access tokens that do not hold: each a clear refusal, and never a reason to
//! fail otherwise.

use std::time::Duration;

use countersign_contracts::user::v1::GetProfileRequest;
use countersign_tests::{RawCall, TestApp, Topology, on_every_topology, refusal};
use prost::Message;
use sea_orm::ConnectionTrait;
use tonic::Code;

const GET_PROFILE: &str = "countersign.user.v1.ProfileService/GetProfile";

/// The reason for which `authorization` is refused.
async fn reason(app: &TestApp, authorization: &str) -> String {
    let clients = app.clients().with_authorization(authorization);
    let refused = refusal(clients.profile("me").await);
    assert_eq!(refused.code, Code::Unauthenticated, "{refused:?}");
    let shown = authorization.get(..40).unwrap_or(authorization);
    assert!(!refused.message.contains(shown), "a refusal repeats no token");
    refused.reason
}

async fn what_is_no_token_is_malformed(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let token = &ada.access_token;
    let body = token.strip_prefix("v4.public.").unwrap();
    for authorization in [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer x".to_owned(),
        "Basic YWRhOnNlY3JldA==".to_owned(),
        format!("Token {token}"),
        format!("Bearer {}", &token[..token.len() / 2]),
        format!("Bearer v2.public.{body}"),
        format!("Bearer v3.public.{body}"),
        format!("Bearer v4.local.{body}"),
        format!("Bearer {token} {token}"),
        format!("Bearer {token}.{token}"),
        format!("Bearer {}", token.replace('.', "..")),
        format!("Bearer {}", ada.refresh_token),
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.".to_owned(),
        format!("Bearer v4.public.{}", "A".repeat(6000)),
    ] {
        let reason = reason(&app, &authorization).await;
        let shown = &authorization[..authorization.len().min(60)];
        assert!(
            ["TOKEN_MALFORMED", "TOKEN_INVALID"].contains(&reason.as_str()),
            "{shown}: {reason}"
        );
    }
    ada.clients.profile("me").await.unwrap();
}

async fn a_token_that_was_changed_anywhere_is_refused(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let token = ada.access_token.as_bytes();
    let start = "v4.public.".len();
    for at in (start..token.len()).step_by(7) {
        let mut changed = token.to_vec();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        let reason = reason(&app, &format!("Bearer {changed}")).await;
        assert!(["TOKEN_MALFORMED", "TOKEN_INVALID"].contains(&reason.as_str()), "{at}: {reason}");
    }
}

async fn a_token_of_another_key_is_refused_also_under_our_footer(topology: Topology) {
    let (app, other) = (TestApp::on(topology).await, TestApp::on(topology).await);
    let (ada, eve) = (app.signed_in("ada").await, other.signed_in("eve").await);
    let foreign = reason(&app, &format!("Bearer {}", eve.access_token)).await;
    assert_eq!(foreign, "TOKEN_INVALID");
    let (ours, our_footer) = ada.access_token.rsplit_once('.').unwrap();
    let (theirs, their_footer) = eve.access_token.rsplit_once('.').unwrap();
    for token in [format!("{theirs}.{our_footer}"), format!("{ours}.{their_footer}")] {
        assert_eq!(reason(&app, &format!("Bearer {token}")).await, "TOKEN_INVALID");
    }
    let without = reason(&app, &format!("Bearer {ours}")).await;
    assert!(["TOKEN_MALFORMED", "TOKEN_INVALID"].contains(&without.as_str()), "{without}");
}

async fn a_token_of_another_environment_is_refused_though_the_key_is_the_same(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let app = app.restart_with(|config| config.token.environment = "staging".to_owned()).await;
    let refused = reason(&app, &format!("Bearer {}", ada.access_token)).await;
    assert_eq!(refused, "TOKEN_INVALID");
    let here = app.clients().login("ada@example.org").await.unwrap();
    here.clients.profile("me").await.unwrap();
}

async fn a_token_of_another_audience_or_issuer_is_refused(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let app = app.restart_with(|config| config.token.audience = "others".to_owned()).await;
    let bearer = format!("Bearer {}", ada.access_token);
    assert_eq!(reason(&app, &bearer).await, "TOKEN_INVALID");
    let app = app.restart_with(|config| config.token.audience = "countersign".to_owned()).await;
    app.clients().with_token(&ada.access_token).profile("me").await.unwrap();
    let app = app.restart_with(|config| config.token.issuer = "others".to_owned()).await;
    assert_eq!(reason(&app, &bearer).await, "TOKEN_INVALID");
}

async fn a_token_expires_also_where_it_is_remembered(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    ada.clients.profile("me").await.unwrap();
    app.clock().advance(Duration::from_secs(5 * 60 - 1));
    ada.clients.profile("me").await.unwrap();
    app.clock().advance(Duration::from_secs(1 + 5 + 1));
    refusal(ada.clients.profile("me").await).is(Code::Unauthenticated, "TOKEN_EXPIRED");
    ada.refreshed().await.unwrap().clients.profile("me").await.unwrap();
}

async fn an_access_token_is_no_refresh_token(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let refused = refusal(app.clients().refresh(&ada.access_token).await);
    assert_eq!(refused.code, Code::Unauthenticated);
    ada.refreshed().await.expect("the session goes on");
}

async fn two_authorizations_or_one_of_a_megabyte_are_refused(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let message = GetProfileRequest { user_id: "me".to_owned() }.encode_to_vec();
    let call = RawCall::with_message(&message);
    let bearer = format!("Bearer {}", ada.access_token);
    assert!(
        call.clone()
            .header("authorization", &bearer)
            .send(app.user_address(), GET_PROFILE)
            .await
            .is_ok()
    );

    let twice = call.clone().header("authorization", &bearer).header("authorization", &bearer);
    let twice = twice.send(app.user_address(), GET_PROFILE).await;
    refusal(twice).is(Code::Unauthenticated, "TOKEN_MALFORMED");

    let huge = format!("Bearer {}{}", ada.access_token, "A".repeat(1 << 20));
    let huge = call.header("authorization", &huge).try_send(app.user_address(), GET_PROFILE).await;
    assert!(!matches!(huge, Ok(Ok(_))), "a header of a megabyte gets nobody in");
    ada.clients.profile("me").await.expect("the server goes on");
}

async fn a_refresh_token_of_a_session_that_is_unknown_or_behind_is_refused(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let next = ada.refreshed().await.unwrap();
    let ledger = app.ledger().await;
    // The database is an older copy: the token is ahead of its session.
    ledger.auth.execute_unprepared("UPDATE sessions SET generation = 0").await.unwrap();
    let ahead = refusal(app.clients().refresh(&next.refresh_token).await);
    assert_eq!(ahead.code, Code::Unauthenticated);
    ledger.auth.execute_unprepared("DELETE FROM sessions").await.unwrap();
    let unknown = refusal(app.clients().refresh(&next.refresh_token).await);
    assert_eq!(unknown.code, Code::Unauthenticated);
}

async fn forged_refresh_tokens_are_refused_and_harm_no_session(topology: Topology) {
    let app = TestApp::on(topology).await;
    let (ada, bob) = (app.signed_in("ada").await, app.signed_in("bob").await);
    let other = TestApp::on(topology).await;
    let eve = other.signed_in("eve").await;
    let token = &ada.refresh_token;
    let (head, tail) = token.split_at(token.len() - 20);
    let mut forged = vec![
        String::from("csr1_"),
        String::from("x"),
        token.to_uppercase(),
        token.replacen("csr1_", "csr2_", 1),
        token[..token.len() - 1].to_owned(),
        format!("{token}A"),
        format!("{token}="),
        format!("{head}{}", &bob.refresh_token[bob.refresh_token.len() - 20..]),
        eve.refresh_token.clone(),
        "A".repeat(4096),
    ];
    // Every part: session, generation, MAC.
    for at in (5..token.len()).step_by(5) {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        forged.push(String::from_utf8(bytes).unwrap());
    }
    for forged in forged.iter().filter(|forged| *forged != token) {
        let refused = refusal(app.clients().refresh(forged).await);
        assert_eq!(refused.code, Code::Unauthenticated, "{refused:?}");
        assert!(!refused.message.contains(tail));
    }
    assert!(app.ledger().await.events("RefreshReuseDetected").await.is_empty());
    ada.refreshed().await.expect("the session goes on");
}

on_every_topology![
    what_is_no_token_is_malformed,
    a_token_that_was_changed_anywhere_is_refused,
    a_token_of_another_key_is_refused_also_under_our_footer,
    a_token_of_another_environment_is_refused_though_the_key_is_the_same,
    a_token_of_another_audience_or_issuer_is_refused,
    a_token_expires_also_where_it_is_remembered,
    an_access_token_is_no_refresh_token,
    two_authorizations_or_one_of_a_megabyte_are_refused,
    a_refresh_token_of_a_session_that_is_unknown_or_behind_is_refused,
    forged_refresh_tokens_are_refused_and_harm_no_session,
];
