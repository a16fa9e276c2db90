//! Which tokens get past the layer, and which do not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use countersign_tokens::{Binding, Claims, RefreshKey, RefreshToken, sign};
use countersign_types::SessionId;
use tonic::{Code, transport::server::TcpConnectInfo};

use crate::world::{Answer, COUNT, GET, KEY, Named, OTHER_KEY, TOKEN_LIFE, World, refusal, signed};

fn unauthenticated(reason: &str) -> (Code, String) {
    (Code::Unauthenticated, reason.to_owned())
}

#[tokio::test]
async fn a_good_token_gets_in_again_and_again() {
    let world = World::default();
    let token = world.token();
    for _ in 0..3 {
        let answer = world.call(GET, &token, "lamp").await;
        assert_eq!(answer.unwrap(), "lamp by thing-owner");
    }
}

#[tokio::test]
async fn a_call_without_a_token_is_told_so() {
    let world = World::default();
    let answer = world.send(GET, &[], Named::default()).await;
    assert_eq!(refusal(&answer), unauthenticated("TOKEN_MISSING"));
}

#[tokio::test]
async fn what_is_no_bearer_token_is_malformed() {
    let world = World::default();
    let token = world.token();
    let refresh = RefreshKey::from_bytes(&[1; 32])
        .issue(&RefreshToken { session: SessionId::generate(), generation: 1 });
    for value in [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        token.clone(),
        format!("Basic {token}"),
        format!("Bearer  {token}"),
        format!("Bearer {token} {token}"),
        format!("Bearer {}", &token[..token.len() / 2]),
        format!("Bearer {}", token.replacen("v4.public", "v3.public", 1)),
        format!("Bearer {refresh}"),
        format!("Bearer {}", "A".repeat(1 << 20)),
    ] {
        let answer = world.send(GET, &[("authorization", &value)], Named::default()).await;
        assert_eq!(refusal(&answer), unauthenticated("TOKEN_MALFORMED"), "{value:.80}");
    }
    let value = format!("Bearer {token}");
    let twice = [("authorization", value.as_str()), ("authorization", value.as_str())];
    let answer = world.send(GET, &twice, Named::default()).await;
    assert_eq!(refusal(&answer), unauthenticated("TOKEN_MALFORMED"));
}

#[tokio::test]
async fn the_scheme_is_read_in_any_case() {
    let world = World::default();
    let value = format!("bEARER {}", world.token());
    let message = Named { id: "lamp".to_owned(), ..Named::default() };
    assert!(world.send(GET, &[("authorization", &value)], message).await.is_ok());
}

#[tokio::test]
async fn tokens_that_are_not_for_here_are_invalid() {
    let world = World::default();
    let claims = world.claims();
    let binding = Binding { environment: "test".to_owned() };
    let elsewhere = Binding { environment: "production".to_owned() };
    let later = claims.not_before.plus(Duration::from_secs(6));
    let (good, other) = (signed(&claims), signed(&world.claims()));
    let (body, _) = good.rsplit_once('.').unwrap();
    let (_, footer) = sign(&OTHER_KEY, &binding, &claims)
        .map(|token| token.rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap())
        .unwrap();
    let (other_body, _) = other.rsplit_once('.').unwrap();
    let (other_head, _) = other_body.split_at(other_body.len() - 80);
    let (_, tail) = good.split_at(other_head.len());
    for (what, token) in [
        ("another environment", sign(&KEY, &elsewhere, &claims).unwrap()),
        ("another key", sign(&OTHER_KEY, &binding, &claims).unwrap()),
        ("a swapped footer", format!("{body}.{footer}")),
        ("another payload", format!("{other_head}{tail}")),
        ("another issuer", signed(&Claims { issuer: "else".to_owned(), ..claims.clone() })),
        ("another audience", signed(&Claims { audience: "else".to_owned(), ..claims.clone() })),
        ("not yet valid", signed(&Claims { not_before: later, ..claims.clone() })),
    ] {
        let answer = world.call(GET, &token, "lamp").await;
        assert_eq!(refusal(&answer), unauthenticated("TOKEN_INVALID"), "{what}");
    }
}

#[tokio::test]
async fn a_remembered_token_expires_all_the_same() {
    let world = World::default();
    let token = world.token();
    assert!(world.call(GET, &token, "lamp").await.is_ok());
    world.clock.advance(TOKEN_LIFE + Duration::from_secs(4));
    assert!(world.call(GET, &token, "lamp").await.is_ok(), "within the leeway");
    world.clock.advance(Duration::from_secs(1));
    let answer = world.call(GET, &token, "lamp").await;
    assert_eq!(refusal(&answer), unauthenticated("TOKEN_EXPIRED"));
}

#[tokio::test]
async fn a_remembered_token_of_a_revoked_session_is_refused() {
    let world = World::default();
    let (claims, other) = (world.claims(), world.token());
    let token = signed(&claims);
    assert!(world.call(GET, &token, "lamp").await.is_ok());
    world.revocations.revoke_session(claims.session, claims.expires_at);
    let answer = world.call(GET, &token, "lamp").await;
    assert_eq!(refusal(&answer), unauthenticated("SESSION_REVOKED"));
    assert!(world.call(GET, &other, "lamp").await.is_ok(), "another session of the same person");
}

#[tokio::test]
async fn an_account_revokes_the_tokens_of_earlier_epochs() {
    let world = World::default();
    let claims = world.claims();
    let token = signed(&claims);
    assert!(world.call(GET, &token, "lamp").await.is_ok());
    world.revocations.set_account_epoch(claims.subject, 2, claims.expires_at);
    let answer = world.call(GET, &token, "lamp").await;
    assert_eq!(refusal(&answer), unauthenticated("TOKEN_OUTDATED"));
    let next = signed(&Claims { account_epoch: 2, ..world.claims() });
    assert!(world.call(GET, &next, "lamp").await.is_ok());

    // No refresh mends a session that was ended.
    world.revocations.revoke_session(claims.session, claims.expires_at);
    let answer = world.call(GET, &token, "lamp").await;
    assert_eq!(refusal(&answer), unauthenticated("SESSION_REVOKED"));
}

#[tokio::test]
async fn a_remembered_token_dies_with_its_key() {
    let world = World::default();
    let token = world.token();
    assert!(world.call(GET, &token, "lamp").await.is_ok());

    world.ring.replace(vec![OTHER_KEY.verification_key(), KEY.verification_key()]);
    assert!(world.call(GET, &token, "lamp").await.is_ok(), "the key is still in the ring");

    world.ring.replace(vec![OTHER_KEY.verification_key()]);
    let answer = world.call(GET, &token, "lamp").await;
    assert_eq!(refusal(&answer), unauthenticated("TOKEN_INVALID"));

    world.ring.replace(vec![KEY.verification_key()]);
    assert!(world.call(GET, &token, "lamp").await.is_ok(), "the key is back");
}

#[tokio::test]
async fn a_refused_token_is_not_remembered() {
    let world = World::default();
    let token = world.token();
    world.ring.replace(Vec::new());
    assert!(world.call(GET, &token, "lamp").await.is_err());
    world.ring.replace(vec![KEY.verification_key()]);
    assert!(world.call(GET, &token, "lamp").await.is_ok());
}

#[tokio::test]
async fn tokens_that_differ_in_roles_only_do_not_share_a_memory() {
    let world = World::default();
    let plain = world.claims();
    let auditor = Claims { roles: vec!["auditor".to_owned()], ..plain.clone() };
    assert!(world.call(COUNT, &signed(&auditor), "").await.is_ok());
    assert!(world.call(COUNT, &signed(&plain), "").await.is_err());
}

/// Calls with a token, from an address.
async fn call_from(world: &World, address: &str, token: &str) -> Answer {
    let mut request = http::Request::post(format!("http://test/{GET}"))
        .header("authorization", format!("Bearer {token}"))
        .body(Named { id: "lamp".to_owned(), ..Named::default() })
        .unwrap();
    let remote_addr = Some(format!("{address}:5000").parse().unwrap());
    request.extensions_mut().insert(TcpConnectInfo { local_addr: None, remote_addr });
    world.serve(request).await
}

#[tokio::test]
async fn who_sends_many_bad_tokens_is_no_longer_listened_to() {
    let world = World::default();
    let (good, forged) = (world.token(), world.token());
    assert!(call_from(&world, "192.0.2.1", &good).await.is_ok());
    let forged = forged.replacen("v4.public.", "v4.public.AAAA", 1);
    let shed = (Code::ResourceExhausted, "TOO_MANY_BAD_TOKENS".to_owned());
    let mut refusals = 0;
    loop {
        let refused = refusal(&call_from(&world, "192.0.2.1", &forged).await);
        if refused == shed {
            break;
        }
        assert_eq!(refused, unauthenticated("TOKEN_INVALID"));
        refusals += 1;
        // Four seconds' worth, and what comes back while the test runs.
        assert!(refusals < 100_000, "nothing ends the flood");
    }
    assert!(refusals >= 200, "{refusals}");
    assert!(call_from(&world, "192.0.2.1", &good).await.is_ok(), "a remembered token goes on");
    let other = call_from(&world, "192.0.2.2", &world.token()).await;
    assert!(other.is_ok(), "so does everybody else");
}

#[tokio::test]
async fn a_token_that_costs_nothing_to_refuse_is_not_counted() {
    let world = World::default();
    for _ in 0..1_000 {
        let refused = refusal(&call_from(&world, "192.0.2.1", "v4.public.nonsense").await);
        assert_eq!(refused, unauthenticated("TOKEN_MALFORMED"));
    }
    assert!(call_from(&world, "192.0.2.1", &world.token()).await.is_ok());
}

fn not_ready() -> (Code, String) {
    (Code::Unavailable, "GUARD_NOT_READY".to_owned())
}

#[tokio::test]
async fn without_any_key_the_guard_is_not_ready() {
    let world = World::default();
    let token = world.token();
    world.ring.replace(Vec::new());
    assert_eq!(refusal(&world.call(GET, &token, "lamp").await), not_ready());
}

#[tokio::test]
async fn an_unknown_key_is_refused_only_where_the_ring_is_certain_to_be_complete() {
    let current = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&current);
    let world = World::with(|builder| builder.ring_is_current(move || asked.load(Relaxed)));
    let token = world.token();
    world.ring.replace(vec![OTHER_KEY.verification_key()]);
    assert_eq!(refusal(&world.call(GET, &token, "lamp").await), not_ready());
    current.store(true, Relaxed);
    let answer = world.call(GET, &token, "lamp").await;
    assert_eq!(refusal(&answer), unauthenticated("TOKEN_INVALID"));
}
