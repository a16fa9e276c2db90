//! The steps before the decision, and the validation of the message.

use std::{hint::black_box, time::Duration};

use countersign_guard::{Authenticate, Resolver as _, Revocations};
use countersign_types::{Clock, SessionId, UserId, Validate as _};
use futures::FutureExt as _;
use pasetors::{
    keys::AsymmetricPublicKey,
    token::UntrustedToken,
    version4::{PublicToken, V4},
};
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    service::Interceptor as _,
};

use crate::{
    at_most,
    clock::in_turn,
    decisions::engine,
    stage::{Get, OPEN, Owned, Stage},
    told,
};

/// Revoked sessions and changed accounts that the guard has in mind.
const REVOKED: usize = 10_000;

pub fn measure() {
    let stage = Stage::new(500);
    told("rule of a public RPC, with layer and adapter", engine(&stage, OPEN, 1), "us");
    tokens(&stage);
    revoked(&stage);
    message(&stage);
}

/// Step 2, by the interceptor: it makes nothing but a caller of a token.
fn tokens(stage: &Stage) {
    let header: MetadataValue<Ascii> = stage.bearer().parse().unwrap();
    let request = || {
        let mut request = Request::new(());
        request.metadata_mut().insert("authorization", header.clone());
        request
    };
    let ask = |guard: &mut Authenticate| assert!(guard.call(request()).is_ok());
    let mut remembering = stage.guard.authenticate_only();
    let [hit, nothing] =
        in_turn(10_000, [&mut || ask(&mut remembering), &mut || drop(black_box(request()))]);
    told("token, remembered", hit - nothing, "us");

    // A guard that remembers nothing sees every token for the first time.
    let mut forgetful = stage.forgetful().authenticate_only();
    let token = stage.bearer().split_off("Bearer ".len());
    let key = AsymmetricPublicKey::<V4>::try_from(stage.paserk.as_str()).unwrap();
    let bare = || {
        let token = UntrustedToken::<_, V4>::try_from(&token).unwrap();
        let assertion = b"countersign:access:bench";
        assert!(PublicToken::verify(&key, &token, None, Some(assertion)).is_ok());
    };
    let [first, bare] = in_turn(200, [&mut || ask(&mut forgetful), &mut { bare }]);
    told("token, verified by pasetors alone", bare, "us");
    told("token, first sight", first, "us");
    at_most("token, first sight / pasetors alone", first / bare, "x", 1.3);
}

/// Step 3.
fn revoked(stage: &Stage) {
    let revocations = Revocations::default();
    let until = Clock::system().now().plus(Duration::from_secs(3600));
    for _ in 0..REVOKED {
        revocations.revoke_session(SessionId::generate(), until);
        revocations.set_account_epoch(UserId::generate(), 2, until);
    }
    let claims = stage.claims();
    let [asked] = in_turn(50_000, [&mut || assert!(!revocations.is_revoked(black_box(&claims)))]);
    told("revoked? 10000 sessions and accounts are", asked, "us");
}

/// What `enter` does before it decides.
fn message(stage: &Stage) {
    let message = Get { id: stage.owner.to_string() };
    let resolver = Owned(stage.owner);
    let [valid, resolved] = in_turn(
        50_000,
        [&mut || assert!(black_box(&message).validate().is_empty()), &mut || {
            assert!(resolver.resolve(&message.id).now_or_never().is_some())
        }],
    );
    told("validation of a message with one id", valid, "us");
    told("resolver, owner and tenant from memory", resolved, "us");
}
