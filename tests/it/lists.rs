//! Lists of accounts and profiles: what a page holds, and for whom.

use std::collections::BTreeSet;

use countersign_contracts::{
    auth::v1::{Account, ListAccountsRequest, ListAccountsResponse},
    user::v1::{ListProfilesRequest, ListProfilesResponse},
};
use countersign_tests::{Clients, TestApp, Topology, on_every_topology, refusal};
use tonic::{Code, Status};

async fn accounts(
    clients: &Clients,
    filter: &str,
    page_size: i32,
    page_token: &str,
) -> Result<ListAccountsResponse, Status> {
    let (filter, page_token) = (filter.to_owned(), page_token.to_owned());
    let request = ListAccountsRequest { filter, page_size, page_token };
    Ok(clients.accounts().list_accounts(request).await?.into_inner())
}

async fn profiles(
    clients: &Clients,
    page_size: i32,
    page_token: &str,
) -> Result<ListProfilesResponse, Status> {
    let request = ListProfilesRequest { page_size, page_token: page_token.to_owned() };
    Ok(clients.profiles().list_profiles(request).await?.into_inner())
}

fn ids(accounts: &[Account]) -> Vec<String> {
    accounts.iter().map(|account| account.id.clone()).collect()
}

async fn a_list_holds_the_tenant_of_the_administrator_and_nobody_else(topology: Topology) {
    let app = TestApp::on(topology).await;
    let (root, boss) = (app.admin("root").await, app.made("boss", &["admin"], "acme").await);
    let (ada, bob) = (app.made("ada", &[], "acme").await, app.signed_in("bob").await);
    for (admin, theirs) in [(&root, [&root, &bob]), (&boss, [&boss, &ada])] {
        let expected: BTreeSet<_> = theirs.iter().map(|login| login.user_id.clone()).collect();
        let listed = accounts(&admin.clients, "", 0, "").await.unwrap();
        assert_eq!(listed.next_page_token, "");
        assert_eq!(BTreeSet::from_iter(ids(&listed.accounts)), expected);
        let one = admin.clients.account(&listed.accounts[0].id).await.unwrap();
        assert_eq!(listed.accounts[0], one, "as it is seen alone");
        let listed = profiles(&admin.clients, 0, "").await.unwrap().profiles;
        let listed: BTreeSet<_> = listed.into_iter().map(|profile| profile.user_id).collect();
        assert_eq!(listed, expected);
    }
    // A filter does not reach over the border either.
    let others = accounts(&root.clients, "tenant = \"acme\"", 0, "").await.unwrap();
    assert!(others.accounts.is_empty());
    for clients in [&ada.clients, &bob.clients] {
        let refused = refusal(accounts(clients, "", 0, "").await);
        refused.is(Code::PermissionDenied, "ACCESS_DENIED");
        refusal(profiles(clients, 0, "").await).is(Code::PermissionDenied, "ACCESS_DENIED");
    }
}

async fn pages_hold_each_account_and_profile_once_and_in_order(topology: Topology) {
    let app = TestApp::on(topology).await;
    let root = app.admin("root").await;
    let mut expected = vec![root.user_id.clone()];
    for n in 0..6 {
        expected.push(app.clients().register(&format!("p{n}")).await.unwrap().user_id);
    }
    app.settle().await;
    expected.sort_unstable();
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = accounts(&root.clients, "", 3, &token).await.unwrap();
        assert!(page.accounts.len() <= 3);
        seen.extend(ids(&page.accounts));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, expected);
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = profiles(&root.clients, 2, &token).await.unwrap();
        seen.extend(page.profiles.into_iter().map(|profile| profile.user_id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, expected);

    // A token is good for its own list, unchanged.
    let token = accounts(&root.clients, "", 3, "").await.unwrap().next_page_token;
    let mut changed = token.clone().into_bytes();
    changed[3] = if changed[3] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    for (filter, token) in [("", &*changed), ("status = ACTIVE", &token), ("", "x")] {
        let refused = refusal(accounts(&root.clients, filter, 3, token).await);
        let refused = refused.is(Code::InvalidArgument, "INVALID_ARGUMENT");
        assert_eq!(refused.fields(), ["page_token"]);
    }
    let refused = refusal(profiles(&root.clients, 3, &token).await);
    refused.is(Code::InvalidArgument, "INVALID_ARGUMENT");
    for size in [-1, 101] {
        let refused = refusal(accounts(&root.clients, "", size, "").await);
        assert_eq!(refused.fields(), ["page_size"]);
    }
}

async fn a_filter_asks_for_status_role_and_time(topology: Topology) {
    let app = TestApp::on(topology).await;
    let root = app.admin("root").await;
    let (ada, bob) = (app.active("ada").await, app.active("bob").await);
    let eve = app.active("eve").await;
    root.clients.change_roles(&ada.user_id, &["a_b"], &[]).await.unwrap();
    root.clients.change_roles(&bob.user_id, &["axb"], &[]).await.unwrap();
    root.clients.disable(&bob.user_id).await.unwrap();
    root.clients.delete(&eve.user_id).await.unwrap();
    app.settle().await;
    let (root_id, ada, bob, eve) = (&root.user_id, &ada.user_id, &bob.user_id, &eve.user_id);
    for (filter, expected) in [
        ("", vec![root_id, ada, bob]),
        ("status = DISABLED", vec![bob]),
        ("status = DELETED", vec![eve]),
        ("status != ACTIVE", vec![bob, eve]),
        ("role:admin", vec![root_id]),
        ("role:a_b", vec![ada]),
        ("role:axb AND status = ACTIVE", vec![]),
        ("role:nobody", vec![]),
        ("tenant = \"default\" AND role:\"axb\"", vec![bob]),
        ("create_time > \"2020-01-01T00:00:00Z\" AND role:axb", vec![bob]),
        ("create_time < \"2020-01-01T00:00:00Z\"", vec![]),
    ] {
        let listed = accounts(&root.clients, filter, 0, "").await.unwrap();
        let listed = BTreeSet::from_iter(ids(&listed.accounts));
        assert_eq!(listed, expected.into_iter().cloned().collect(), "{filter}");
    }
    for filter in ["email : \"ada@example.org\"", "role:admin OR role:a_b", "' OR 1 = 1 --"] {
        let refused = refusal(accounts(&root.clients, filter, 0, "").await);
        let refused = refused.is(Code::InvalidArgument, "INVALID_ARGUMENT");
        assert_eq!(refused.fields(), ["filter"], "{filter}");
    }
}

on_every_topology![
    a_list_holds_the_tenant_of_the_administrator_and_nobody_else,
    pages_hold_each_account_and_profile_once_and_in_order,
    a_filter_asks_for_status_role_and_time,
];
