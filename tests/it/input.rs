//! Bad input: every broken rule is named at once, and nothing changes.

use countersign_contracts::{
    auth::v1::RegisterRequest,
    user::v1::{GetProfileRequest, Profile},
};
use countersign_tests::{Ledger, PASSWORD, RawCall, TestApp, Topology, on_every_topology, refusal};
use prost::Message;
use tonic::Code;

const REGISTER: &str = "countersign.auth.v1.AuthService/Register";
const GET_PROFILE: &str = "countersign.user.v1.ProfileService/GetProfile";

async fn register(app: &TestApp, email: &str, password: &str) -> countersign_tests::Refusal {
    let request = RegisterRequest { email: email.to_owned(), password: password.to_owned() };
    refusal(app.clients().auth().register(request).await)
}

async fn every_broken_rule_of_a_registration_is_named(topology: Topology) {
    let app = TestApp::on(topology).await;
    let refused = register(&app, "", "").await.is(Code::InvalidArgument, "INVALID_ARGUMENT");
    assert_eq!(refused.fields(), ["email", "password"]);
    for email in ["ada", "ada@", "@example.org", "a\0da@example.org", "ada@exa mple.org"] {
        let refused = register(&app, email, PASSWORD).await;
        assert_eq!(refused.is(Code::InvalidArgument, "INVALID_ARGUMENT").fields(), ["email"]);
    }
    for password in ["short", "password1234567", "aaaaaaaaaaaaaaaaaaaa", "countersigncountersign"] {
        let refused = register(&app, "ada@example.org", password).await;
        let refused = refused.is(Code::InvalidArgument, "INVALID_ARGUMENT");
        assert_eq!(refused.fields(), ["password"]);
        assert!(!refused.message.contains(password), "a refusal repeats no password");
    }
    assert!(app.ledger().await.events("UserCreated").await.is_empty());
}

async fn every_broken_rule_of_an_update_is_named_and_nothing_changes(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let before = ada.clients.profile("me").await.unwrap();
    let bad = Profile {
        display_name: "Ada\0".to_owned(),
        given_name: "nimda\u{202e}".to_owned(),
        family_name: "x".repeat(65),
        bio: "hidden\u{200b}".to_owned(),
        avatar_uri: "javascript:alert(1)".to_owned(),
        locale: "not a locale".to_owned(),
        time_zone: "Europe/Gotham".to_owned(),
        metadata: [("team".to_owned(), "\u{2066}".to_owned())].into(),
        ..Profile::default()
    };
    let refused = refusal(ada.clients.update(bad, &["*"]).await);
    let refused = refused.is(Code::InvalidArgument, "INVALID_ARGUMENT");
    let fields = [
        "profile.avatar_uri",
        "profile.bio",
        "profile.display_name",
        "profile.family_name",
        "profile.given_name",
        "profile.locale",
        "profile.metadata[\"team\"]",
        "profile.time_zone",
    ];
    assert_eq!(refused.fields(), fields);
    assert_eq!(ada.clients.profile("me").await.unwrap(), before);
}

async fn the_bounds_of_the_contract_hold_before_the_handler(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let entries = (0..65).map(|n| (format!("k{n}"), String::new()));
    let bad = Profile {
        bio: "x".repeat(16_385),
        metadata: entries.chain([("Not A Key".to_owned(), "x".repeat(1025))]).collect(),
        ..Profile::default()
    };
    let refused = refusal(ada.clients.update(bad, &[]).await);
    let refused = refused.is(Code::InvalidArgument, "INVALID_ARGUMENT");
    assert!(refused.fields().contains(&"profile.bio"), "{refused:?}");
    assert!(refused.fields().contains(&"profile.metadata"), "{refused:?}");
}

async fn every_unknown_path_of_a_mask_is_named(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let profile = Profile { bio: "kept out".to_owned(), ..Profile::default() };
    let refused = ada.clients.update(profile, &["bio", "password", "bio.text"]).await;
    let refused = refusal(refused).is(Code::InvalidArgument, "INVALID_ARGUMENT");
    assert_eq!(refused.fields(), ["update_mask"]);
    let named: Vec<_> = refused.violations.iter().map(|(_, why)| why.as_str()).collect();
    assert_eq!(named.len(), 2);
    assert!(named[0].contains("\"password\"") && named[1].contains("\"bio.text\""), "{named:?}");
    assert_eq!(ada.clients.profile("me").await.unwrap().bio, "");
}

async fn what_is_not_utf8_or_no_message_at_all_is_malformed(topology: Topology) {
    let app = TestApp::on(topology).await;
    // Field 1, length-delimited, 4 bytes that are no UTF-8.
    let latin1 = RawCall::with_message(&[0x0a, 0x04, b'A', 0xe4, 0xff, b'a']);
    let refused = refusal(latin1.send(app.address(), REGISTER).await);
    assert_eq!(refused.code, Code::InvalidArgument, "{refused:?}");
    for message in [&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0xff; 64], &[0x0a, 0x7f]] {
        let refused = refusal(RawCall::with_message(message).send(app.address(), REGISTER).await);
        assert_eq!(refused.code, Code::InvalidArgument, "{refused:?}");
    }
    let cut_off = RawCall::with_body(vec![0, 0, 0, 1, 0, 1, 2, 3]);
    let refused = refusal(cut_off.send(app.address(), REGISTER).await);
    assert_eq!(refused.code, Code::InvalidArgument, "{refused:?}");
    assert!(app.ledger().await.events("UserCreated").await.is_empty());
}

async fn an_oversize_message_is_refused_and_the_connection_goes_on(topology: Topology) {
    let app = TestApp::on(topology).await;
    let request = RegisterRequest { email: "x".repeat(8 << 20), password: PASSWORD.to_owned() };
    let clients = app.clients();
    let refused = refusal(clients.auth().register(request).await);
    refused.is(Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    clients.register("ada").await.expect("the same connection serves on");
    app.settle().await;
}

async fn a_deadline_that_is_over_is_said_to_be(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let message = GetProfileRequest { user_id: "me".to_owned() }.encode_to_vec();
    let call = RawCall::with_message(&message)
        .header("authorization", &format!("Bearer {}", ada.access_token))
        .header("grpc-timeout", "0n");
    let refused = refusal(call.send(app.user_address(), GET_PROFILE).await);
    refused.is(Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
}

async fn a_registration_whose_deadline_is_over_makes_a_whole_account_or_none(topology: Topology) {
    let app = TestApp::on(topology).await;
    let message = |n: u32| RegisterRequest {
        email: format!("ada-{n}@example.org"),
        password: PASSWORD.to_owned(),
    };
    for n in 0..12 {
        // From far too short to long enough.
        let micros = 50 << n;
        let call = RawCall::with_message(&message(n).encode_to_vec());
        let call = call.header("grpc-timeout", &format!("{micros}u"));
        if let Err(status) = call.send(app.address(), REGISTER).await {
            refusal::<()>(Err(status)).is(Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
        }
    }
    app.settle().await;
    let ledger = app.ledger().await;
    let made = ledger.events("UserCreated").await.len();
    assert_eq!(ledger.events("ProfileCreated").await.len(), made);
    let accounts = Ledger::number(&ledger.auth, "SELECT count(*) AS n FROM accounts").await;
    assert_eq!(usize::try_from(accounts), Ok(made));
}

async fn a_method_that_does_not_exist_is_unimplemented(topology: Topology) {
    let app = TestApp::on(topology).await;
    for rpc in ["countersign.auth.v1.AuthService/Nothing", "no.such.Service/Nothing", "x"] {
        let refused = refusal(RawCall::with_message(&[]).send(app.address(), rpc).await);
        assert_eq!(refused.code, Code::Unimplemented, "{rpc}");
    }
}

on_every_topology![
    every_broken_rule_of_a_registration_is_named,
    every_broken_rule_of_an_update_is_named_and_nothing_changes,
    the_bounds_of_the_contract_hold_before_the_handler,
    every_unknown_path_of_a_mask_is_named,
    what_is_not_utf8_or_no_message_at_all_is_malformed,
    an_oversize_message_is_refused_and_the_connection_goes_on,
    a_deadline_that_is_over_is_said_to_be,
    a_registration_whose_deadline_is_over_makes_a_whole_account_or_none,
    a_method_that_does_not_exist_is_unimplemented,
];
