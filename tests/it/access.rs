//! Who may read and change what; and that a refusal tells nothing more.

use countersign_contracts::user::v1::{GetProfileRequest, Profile, UpdateProfileRequest};
use countersign_tests::{Ledger, TestApp, Topology, on_every_topology, refusal};
use tonic::Code;
use uuid::Uuid;

async fn somebody_elses_profile_is_refused_like_one_that_does_not_exist(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.active("ada").await;
    let bob = app.signed_in("bob").await;

    let hers = refusal(bob.clients.profile(&ada.user_id).await);
    let hers = hers.is(Code::PermissionDenied, "ACCESS_DENIED");
    let nobodys = refusal(bob.clients.profile(&Uuid::now_v7().to_string()).await);
    assert_eq!(hers, nobodys);

    let profile = Profile { bio: "bob was here".to_owned(), ..Profile::default() };
    let request = |user_id: String| UpdateProfileRequest {
        user_id,
        profile: Some(profile.clone()),
        update_mask: None,
    };
    let hers = bob.clients.profiles().update_profile(request(ada.user_id.clone())).await;
    let hers = refusal(hers).is(Code::PermissionDenied, "ACCESS_DENIED");
    let nobodys = bob.clients.profiles().update_profile(request(Uuid::now_v7().to_string())).await;
    assert_eq!(hers, refusal(nobodys));
    let unchanged = app.login(&ada).await.clients.profile("me").await.unwrap();
    assert_eq!(unchanged.bio, "");
}

async fn an_administrator_reads_any_profile_and_changes_none(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.active("ada").await;
    let admin = app.admin("root").await;

    assert_eq!(admin.clients.profile(&ada.user_id).await.unwrap().user_id, ada.user_id);
    // It could be one of another tenant.
    let nobody = admin.clients.profile(&Uuid::now_v7().to_string()).await;
    refusal(nobody).is(Code::PermissionDenied, "ACCESS_DENIED");

    let request = UpdateProfileRequest {
        user_id: ada.user_id.clone(),
        profile: Some(Profile { bio: "reviewed".to_owned(), ..Profile::default() }),
        update_mask: None,
    };
    let refused = refusal(admin.clients.profiles().update_profile(request).await);
    refused.is(Code::PermissionDenied, "ACCESS_DENIED");
}

async fn without_a_token_only_public_calls_are_answered(topology: Topology) {
    let app = TestApp::on(topology).await;
    let clients = app.clients();
    refusal(clients.profile("me").await).is(Code::Unauthenticated, "TOKEN_MISSING");
    refusal(clients.logout().await).is(Code::Unauthenticated, "TOKEN_MISSING");
    let request = countersign_contracts::auth::v1::GetVerificationKeysRequest {};
    let keys = clients.auth().get_verification_keys(request).await.unwrap().into_inner().keys;
    assert!(!keys.is_empty());
}

async fn the_permission_is_decided_before_existence_and_after_the_token(topology: Topology) {
    let app = TestApp::on(topology).await;
    let bob = app.signed_in("bob").await;
    // Wrong in every way: the token is looked at first, then the message.
    let request = GetProfileRequest { user_id: "nobody at all".to_owned() };
    let anonymous = app.clients().profiles().get_profile(request.clone()).await;
    refusal(anonymous).is(Code::Unauthenticated, "TOKEN_MISSING");
    let invalid = refusal(bob.clients.profiles().get_profile(request).await);
    assert_eq!(invalid.is(Code::InvalidArgument, "INVALID_ARGUMENT").fields(), ["user_id"]);
}

#[tokio::test]
async fn a_denied_call_stands_in_the_audit_trail_of_its_service() {
    let app = TestApp::start().await;
    let ada = app.active("ada").await;
    let bob = app.signed_in("bob").await;
    refusal(bob.clients.profile(&ada.user_id).await).is(Code::PermissionDenied, "ACCESS_DENIED");
    app.settle().await;
    let ledger = app.ledger().await;
    let sql = "SELECT count(*) AS n FROM audit_log WHERE action = 'authz_fail' \
               AND detail LIKE '%countersign.user.v1.ProfileService/GetProfile%'";
    assert_eq!(Ledger::number(&ledger.user, sql).await, 1);
    assert_eq!(Ledger::number(&ledger.auth, sql).await, 0);
    ledger.close().await;
}
on_every_topology![
    somebody_elses_profile_is_refused_like_one_that_does_not_exist,
    an_administrator_reads_any_profile_and_changes_none,
    without_a_token_only_public_calls_are_answered,
    the_permission_is_decided_before_existence_and_after_the_token,
];
