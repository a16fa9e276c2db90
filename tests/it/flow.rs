//! The whole flow of a person, as the README tells it.

use std::time::Duration;

use countersign_contracts::{
    auth::v1::AccountStatus,
    user::v1::{Profile, ProfileStatus},
};
use countersign_tests::{PASSWORD, TestApp, Topology, on_every_topology, refusal};
use tonic::Code;

async fn from_registration_to_logout(topology: Topology) {
    let app = TestApp::on(topology).await;
    let clients = app.clients();

    let ada = clients.register("ada").await.unwrap();
    // Where events move by themselves, the profile may be there already.
    let early = clients.login(&ada.email).await;
    if topology == Topology::Embedded || early.is_err() {
        let early = refusal(early);
        assert_eq!(early.code, Code::FailedPrecondition, "no profile yet: {early:?}");
    }
    app.settle().await;

    let login = clients.login(&ada.email).await.unwrap();
    assert_eq!(login.user_id, ada.user_id);
    let profile = login.clients.profile("me").await.unwrap();
    assert_eq!(profile.user_id, ada.user_id);
    assert_eq!(profile.status(), ProfileStatus::Active);
    assert_eq!((profile.display_name.as_str(), profile.last_active_time), ("", None));

    let named = Profile { display_name: "Ada Lovelace".to_owned(), ..Profile::default() };
    let changed = login.clients.update(named, &["display_name"]).await.unwrap();
    assert_eq!(changed.display_name, "Ada Lovelace");
    assert_ne!(changed.etag, profile.etag);

    app.clock().advance(Duration::from_secs(60));
    let refreshed = login.refreshed().await.unwrap();
    assert_ne!(refreshed.access_token, login.access_token);
    assert_eq!(refreshed.clients.profile(&ada.user_id).await.unwrap(), changed);

    refreshed.clients.logout().await.unwrap();
    app.shut_out(&refreshed.clients).await;
    app.shut_out(&login.clients).await;
    let refused = refusal(clients.refresh(&refreshed.refresh_token).await);
    assert_eq!(refused.code, Code::Unauthenticated);

    app.settle().await;
    let again = clients.login(&ada.email).await.unwrap();
    let seen = again.clients.profile("me").await.unwrap();
    assert!(seen.last_active_time.is_some(), "the logout was noticed");
    assert_eq!(seen.etag, changed.etag, "activity is no change of the profile");
}

async fn a_new_account_is_pending_and_one_event_each_makes_it_active(topology: Topology) {
    let app = TestApp::on(topology).await;
    let request = countersign_contracts::auth::v1::RegisterRequest {
        email: "Ada@Example.ORG".to_owned(),
        password: PASSWORD.to_owned(),
    };
    let response = app.clients().auth().register(request).await.unwrap().into_inner();
    let account = response.account.unwrap();
    assert_eq!(account.status(), AccountStatus::Pending);
    assert_eq!(account.email, "ada@example.org");

    app.settle().await;
    let ledger = app.ledger().await;
    assert_eq!(ledger.events_of("UserCreated", &account.id).await, 1);
    assert_eq!(ledger.events_of("ProfileCreated", &account.id).await, 1);
    assert!(app.clients().login("ada@example.org").await.is_ok());
}

async fn an_unknown_person_and_a_wrong_password_get_the_same_answer(topology: Topology) {
    let app = TestApp::on(topology).await;
    app.active("ada").await;
    let request = |email: &str, password: &str| countersign_contracts::auth::v1::LoginRequest {
        email: email.to_owned(),
        password: password.to_owned(),
        ..Default::default()
    };
    let mut auth = app.clients().auth();
    let wrong = auth.login(request("ada@example.org", "not her password at all")).await;
    let unknown = auth.login(request("eve@example.org", "not her password at all")).await;
    let wrong = refusal(wrong);
    assert_eq!(wrong.code, Code::Unauthenticated);
    assert_eq!(wrong, refusal(unknown));
}

on_every_topology![
    from_registration_to_logout,
    a_new_account_is_pending_and_one_event_each_makes_it_active,
    an_unknown_person_and_a_wrong_password_get_the_same_answer,
];
