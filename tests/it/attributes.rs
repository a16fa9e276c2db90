//! Attributes of accounts: what a token says of them, and since when.

use std::collections::BTreeMap;

use countersign_contracts::auth::v1::{
    Account, AttributeValue, GetVerificationKeysRequest, SetAccountAttributesRequest,
    attribute_value::Kind,
};
use countersign_tests::{Clients, TestApp, Topology, on_every_topology, refusal};
use countersign_tokens::{AccountAttributes, Binding, KeyRing, VerificationKey, verify};
use tonic::{Code, Status};

async fn set(clients: &Clients, user_id: &str, name: &str, kind: Kind) -> Result<Account, Status> {
    let value = AttributeValue { kind: Some(kind) };
    let request = SetAccountAttributesRequest {
        user_id: user_id.to_owned(),
        attributes: [(name.to_owned(), value)].into(),
        ..SetAccountAttributesRequest::default()
    };
    let response = clients.accounts().set_account_attributes(request).await?;
    Ok(response.into_inner().account.unwrap_or_default())
}

/// What a token says, read as any service would that knows the keys.
async fn carried(app: &TestApp, token: &str) -> AccountAttributes {
    let keys = app.clients().auth().get_verification_keys(GetVerificationKeysRequest {}).await;
    let keys = keys.unwrap().into_inner().keys;
    let ring = KeyRing::default();
    ring.replace(
        keys.iter().map(|key| VerificationKey::from_paserk(&key.paserk).unwrap()).collect(),
    );
    let binding = Binding { environment: "development".to_owned() };
    verify(token, &ring, &binding).unwrap().claims.attributes
}

async fn an_attribute_outdates_the_last_token_and_stands_in_the_next(topology: Topology) {
    let app = TestApp::on(topology).await;
    let declare = |config: &mut countersign::Config| {
        config.token.attributes = vec!["department:string".to_owned(), "level:long".to_owned()];
        config.token.attributes_elsewhere = vec!["department".to_owned()];
    };
    let app = app.restart_with(declare).await;
    let ada = app.signed_in("ada").await;
    let root = app.admin("root").await;
    assert!(carried(&app, &ada.access_token).await.is_empty());

    let department = || Kind::StringValue("stores".to_owned());
    set(&root.clients, &ada.user_id, "level", Kind::LongValue(3)).await.unwrap();
    let account = set(&root.clients, &ada.user_id, "department", department()).await.unwrap();
    assert_eq!(account.attributes.len(), 2);
    app.outdated(&ada.clients).await;
    let ada = ada.refreshed().await.unwrap();
    let mut expected = AccountAttributes::default();
    expected.set("department", countersign_tokens::AttributeValue::String("stores".to_owned()));
    assert_eq!(carried(&app, &ada.access_token).await, expected, "nobody reads the level");
    ada.clients.profile("me").await.expect("every guard takes it");

    // The same once more changes nothing, and neither does a restart.
    set(&root.clients, &ada.user_id, "department", department()).await.unwrap();
    let app = app.crash_and_restart().await;
    let clients = app.clients().with_token(&ada.access_token);
    clients.profile("me").await.unwrap();
    let held: BTreeMap<_, _> = clients.account("me").await.unwrap().attributes;
    assert_eq!(held, account.attributes);
}

async fn only_what_is_declared_can_be_set_and_only_by_administrators(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let root = app.admin("root").await;
    let level = || Kind::LongValue(3);
    let undeclared = refusal(set(&root.clients, &ada.user_id, "level", level()).await);
    let undeclared = undeclared.is(Code::InvalidArgument, "INVALID_ARGUMENT");
    assert_eq!(undeclared.fields(), ["attributes[\"level\"]"]);
    let own = refusal(set(&ada.clients, "me", "level", level()).await);
    own.is(Code::PermissionDenied, "ACCESS_DENIED");
}

on_every_topology![
    an_attribute_outdates_the_last_token_and_stands_in_the_next,
    only_what_is_declared_can_be_set_and_only_by_administrators,
];
