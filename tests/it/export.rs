//! Everything that is held about a person, taken along by themself or an administrator.

use countersign_contracts::{
    DESCRIPTOR_SET, auth::v1::ExportAccountRequest, user::v1::ExportProfileRequest,
};
use countersign_tests::{Canaries, Clients, TestApp, Topology, on_every_topology, refusal};
use prost_reflect::DescriptorPool;
use serde_json::Value;
use tonic::{Code, Status};

/// All pieces, one behind the other.
async fn exported(clients: &Clients, user_id: &str) -> Result<Value, Status> {
    let request = ExportProfileRequest { user_id: user_id.to_owned() };
    let mut pieces = clients.profiles().export_profile(request).await?.into_inner();
    let mut text = Vec::new();
    while let Some(piece) = pieces.message().await? {
        text.extend(piece.json);
    }
    Ok(serde_json::from_slice(&text).unwrap())
}

async fn a_person_takes_everything_along(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = Canaries::fly(&app.clients(), async || app.settle().await).await;
    // More sessions than are read at a time would take long to make; ended ones count.
    for _ in 0..3 {
        let login = app.clients().login(&ada.person.email).await.unwrap();
        login.clients.logout().await.unwrap();
    }
    app.settle().await;
    let all = exported(&ada.login.clients, "me").await.unwrap();
    assert_eq!(all["account"]["email"], ada.person.email);
    assert_eq!(all["account"]["status"], "ACCOUNT_STATUS_ACTIVE");
    assert_eq!(all["profile"]["bio"], ada.profile.bio);
    assert_eq!(all["profile"]["metadata"], serde_json::to_value(&ada.profile.metadata).unwrap());
    let sessions = all["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 4);
    let current: Vec<_> = sessions.iter().filter(|session| session["current"] == true).collect();
    assert_eq!(current[0]["id"], ada.login.session_id);
    assert!(current[0]["device_label"].as_str().unwrap().contains(countersign_tests::CANARY));
    assert!(current[0]["create_time"].as_str().unwrap().ends_with('Z'));

    // The names are those of the contracts, all of them and no others.
    let pool = DescriptorPool::decode(DESCRIPTOR_SET).unwrap();
    for (message, value) in [
        ("countersign.auth.v1.Account", &all["account"]),
        ("countersign.auth.v1.Session", &sessions[0]),
        ("countersign.user.v1.Profile", &all["profile"]),
    ] {
        let message = pool.get_message_by_name(message).unwrap();
        let mut names: Vec<_> = message.fields().map(|field| field.name().to_owned()).collect();
        names.sort();
        let mut found: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        found.sort();
        assert_eq!(found, names);
    }
}

async fn an_administrator_may_and_nobody_else(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = Canaries::fly(&app.clients(), async || app.settle().await).await;
    let bob = app.signed_in("bob").await;
    let denied = refusal(exported(&bob.clients, &ada.person.user_id).await);
    denied.is(Code::PermissionDenied, "ACCESS_DENIED");
    let request = ExportAccountRequest { user_id: ada.person.user_id.clone() };
    let denied = bob.clients.accounts().export_account(request).await;
    refusal(denied).is(Code::PermissionDenied, "ACCESS_DENIED");

    let root = app.admin("root").await;
    let all = exported(&root.clients, &ada.person.user_id).await.unwrap();
    assert_eq!(all["account"]["id"], ada.person.user_id);
    assert_eq!(all["profile"]["display_name"], ada.profile.display_name);
    let elsewhere = app.made("elsewhere", &["admin"], "acme").await;
    let denied = refusal(exported(&elsewhere.clients, &ada.person.user_id).await);
    denied.is(Code::PermissionDenied, "ACCESS_DENIED");

    root.clients.delete(&ada.person.user_id).await.unwrap();
    app.settle().await;
    let gone = refusal(exported(&root.clients, &ada.person.user_id).await);
    gone.is(Code::NotFound, "PROFILE_NOT_FOUND");
}

on_every_topology![a_person_takes_everything_along, an_administrator_may_and_nobody_else];
