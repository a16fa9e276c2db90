//! Tenants: what one may do in one's own reaches nothing of another.

use countersign_contracts::auth::v1::{
    ListSessionsRequest, RevokeAllSessionsRequest, RevokeSessionRequest,
};
use countersign_tests::{Refusal, TestApp, Topology, on_every_topology, refusal};
use tonic::Code;
use uuid::Uuid;

async fn an_administrator_reaches_nobody_of_another_tenant(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.made("ada", &[], "acme").await;
    let bob = app.signed_in("bob").await;
    let (root, boss) = (app.admin("root").await, app.made("boss", &["admin"], "acme").await);

    assert_eq!(ada.clients.account("me").await.unwrap().tenant, "acme");
    assert_eq!(bob.clients.account("me").await.unwrap().tenant, "default");
    for (admin, theirs, others) in [(&boss, &ada, &bob), (&root, &bob, &ada)] {
        let clients = &admin.clients;
        clients.account(&theirs.user_id).await.unwrap();
        clients.profile(&theirs.user_id).await.unwrap();
        let list = |user_id: &str| ListSessionsRequest {
            user_id: user_id.to_owned(),
            ..ListSessionsRequest::default()
        };
        clients.sessions().list_sessions(list(&theirs.user_id)).await.unwrap();

        // Just as if there were no such account.
        for id in [others.user_id.clone(), Uuid::now_v7().to_string()] {
            for refused in [
                refusal(clients.account(&id).await),
                refusal(clients.profile(&id).await),
                refusal(clients.change_roles(&id, &["admin"], &[]).await),
                refusal(clients.disable(&id).await),
                refusal(clients.delete(&id).await),
                refusal(clients.sessions().list_sessions(list(&id)).await),
            ] {
                denied(refused);
            }
        }
    }
    for login in [&ada, &bob] {
        login.clients.profile("me").await.expect("nothing has changed");
    }
}

async fn people_of_a_tenant_do_what_people_do(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.made("ada", &[], "acme").await;
    ada.clients.profile("me").await.unwrap();
    let next = ada.refreshed().await.unwrap();
    next.clients.profile("me").await.expect("a refreshed token is of the same tenant");
    let other = app.clients().login("ada@example.org").await.unwrap();
    let revoke = RevokeSessionRequest { session_id: other.session_id };
    next.clients.sessions().revoke_session(revoke).await.unwrap();
    let all = RevokeAllSessionsRequest { user_id: "me".to_owned(), keep_current: true };
    next.clients.sessions().revoke_all_sessions(all).await.unwrap();
    let app = app.crash_and_restart().await;
    app.clients().with_token(&next.access_token).profile("me").await.unwrap();
}

async fn a_session_of_another_tenant_is_nobody_elses(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.made("ada", &[], "acme").await;
    let root = app.admin("root").await;
    let revoke = RevokeSessionRequest { session_id: ada.session_id.clone() };
    denied(refusal(root.clients.sessions().revoke_session(revoke).await));
    ada.clients.profile("me").await.unwrap();
}

async fn each_tenant_keeps_an_administrator_of_its_own(topology: Topology) {
    let app = TestApp::on(topology).await;
    let (_root, boss) = (app.admin("root").await, app.made("boss", &["admin"], "acme").await);
    let refused = refusal(boss.clients.change_roles("me", &[], &["admin"]).await);
    refused.is(Code::FailedPrecondition, "LAST_ADMINISTRATOR");
    app.made("second", &["admin"], "acme").await;
    boss.clients.change_roles("me", &[], &["admin"]).await.unwrap();
}

fn denied(refused: Refusal) {
    refused.is(Code::PermissionDenied, "ACCESS_DENIED");
}

on_every_topology![
    an_administrator_reaches_nobody_of_another_tenant,
    people_of_a_tenant_do_what_people_do,
    a_session_of_another_tenant_is_nobody_elses,
    each_tenant_keeps_an_administrator_of_its_own,
];
