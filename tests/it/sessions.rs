//! Seeing one's sessions, and ending them from afar.

use countersign_contracts::auth::v1::{
    ListSessionsRequest, LoginRequest, RevokeAllSessionsRequest, RevokeSessionRequest, Session,
};
use countersign_tests::{Login, PASSWORD, TestApp, Topology, on_every_topology, refusal};
use tonic::Code;
use uuid::Uuid;

async fn sessions(login: &Login) -> Vec<Session> {
    let request = ListSessionsRequest { user_id: "me".to_owned(), ..Default::default() };
    login.clients.sessions().list_sessions(request).await.unwrap().into_inner().sessions
}

async fn sessions_are_listed_with_what_their_owner_knows_them_by(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.active("ada").await;
    let request = LoginRequest {
        email: ada.email.clone(),
        password: PASSWORD.to_owned(),
        device_label: "Ada's laptop".to_owned(),
        ..LoginRequest::default()
    };
    let first = app.clients().auth().login(request).await.unwrap().into_inner();
    let phone = app.login(&ada).await;

    let listed = sessions(&phone).await;
    assert_eq!(listed.len(), 2);
    let current: Vec<_> = listed.iter().filter(|session| session.current).collect();
    assert_eq!(current.len(), 1);
    assert_eq!(current[0].id, phone.session_id);
    let laptop = listed.iter().find(|session| session.id != phone.session_id).unwrap();
    assert_eq!(laptop.id, first.session.unwrap().id);
    assert_eq!(
        (laptop.device_label.as_str(), laptop.address.as_str()),
        ("Ada's laptop", "127.0.0.1")
    );
    assert!(laptop.create_time.is_some() && laptop.expire_time.is_some());
}

async fn pages_of_sessions_hold_each_one_once(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.active("ada").await;
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.push(app.login(&ada).await.session_id);
    }
    let login = app.login(&ada).await;
    expected.push(login.session_id.clone());
    let mut seen = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListSessionsRequest { user_id: "me".to_owned(), page_size: 4, page_token };
        let page = login.clients.sessions().list_sessions(request).await.unwrap().into_inner();
        assert!(page.sessions.len() <= 4);
        seen.extend(page.sessions.into_iter().map(|session| session.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    seen.sort_unstable();
    expected.sort_unstable();
    assert_eq!(seen, expected);
}

async fn a_revoked_session_is_refused_at_once_and_the_others_go_on(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.active("ada").await;
    let (lost, here) = (app.login(&ada).await, app.login(&ada).await);
    // Its token is in the guard's cache by now.
    lost.clients.profile("me").await.unwrap();

    let revoke = RevokeSessionRequest { session_id: lost.session_id.clone() };
    here.clients.sessions().revoke_session(revoke.clone()).await.unwrap();
    app.shut_out(&lost.clients).await;
    assert_eq!(refusal(lost.refreshed().await).code, Code::Unauthenticated);
    here.clients.profile("me").await.unwrap();
    here.clients.sessions().revoke_session(revoke).await.expect("again is no error");
    assert_eq!(sessions(&here).await.len(), 1);
    assert_eq!(app.ledger().await.events("SessionRevoked").await.len(), 1);
}

async fn all_sessions_end_or_all_but_the_callers_own(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.active("ada").await;
    let (one, two, here) = (app.login(&ada).await, app.login(&ada).await, app.login(&ada).await);
    let all = |keep_current| RevokeAllSessionsRequest { user_id: "me".to_owned(), keep_current };
    here.clients.sessions().revoke_all_sessions(all(true)).await.unwrap();
    for gone in [&one, &two] {
        app.shut_out(&gone.clients).await;
    }
    here.clients.profile("me").await.unwrap();
    here.clients.sessions().revoke_all_sessions(all(false)).await.unwrap();
    app.shut_out(&here.clients).await;
    // A session that starts after it is a new one.
    app.login(&ada).await.clients.profile("me").await.unwrap();
}

async fn somebody_elses_session_is_refused_like_one_that_does_not_exist(topology: Topology) {
    let app = TestApp::on(topology).await;
    let (ada, bob) = (app.signed_in("ada").await, app.signed_in("bob").await);
    let revoke = |session_id: &str| RevokeSessionRequest { session_id: session_id.to_owned() };
    let hers = bob.clients.sessions().revoke_session(revoke(&ada.session_id)).await;
    let hers = refusal(hers).is(Code::PermissionDenied, "ACCESS_DENIED");
    let nobodys = bob.clients.sessions().revoke_session(revoke(&Uuid::now_v7().to_string())).await;
    assert_eq!(hers, refusal(nobodys));
    ada.clients.profile("me").await.unwrap();
    let list = ListSessionsRequest { user_id: ada.user_id.clone(), ..Default::default() };
    let listed = bob.clients.sessions().list_sessions(list).await;
    refusal(listed).is(Code::PermissionDenied, "ACCESS_DENIED");
}

async fn a_session_stays_revoked_after_a_restart(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    ada.clients.logout().await.unwrap();
    let app = app.crash_and_restart().await;
    let clients = app.clients().with_token(&ada.access_token);
    app.shut_out(&clients).await;
}

/// The address of a session whose login came with this header.
async fn address_of_login(app: &TestApp, email: &str, forwarded_for: &str) -> String {
    let (email, password) = (email.to_owned(), PASSWORD.to_owned());
    let mut request =
        tonic::Request::new(LoginRequest { email, password, ..LoginRequest::default() });
    request.metadata_mut().insert("x-forwarded-for", forwarded_for.parse().unwrap());
    app.clients().auth().login(request).await.unwrap().into_inner().session.unwrap().address
}

#[tokio::test]
async fn only_a_trusted_proxy_says_where_a_login_comes_from() {
    let claimed = "198.51.100.1, 203.0.113.9";
    let app = TestApp::start().await;
    let ada = app.active("ada").await;
    assert_eq!(address_of_login(&app, &ada.email, claimed).await, "127.0.0.1");

    let app = app
        .restart_with(|config| config.server.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()])
        .await;
    assert_eq!(address_of_login(&app, &ada.email, claimed).await, "203.0.113.9");
    let ledger = app.ledger().await;
    let on_record = "SELECT count(*) AS n FROM audit_log \
                     WHERE action = 'authn_login_success' AND address = '203.0.113.9'";
    assert_eq!(countersign_tests::Ledger::number(&ledger.auth, on_record).await, 1);
    ledger.close().await;
}

on_every_topology![
    sessions_are_listed_with_what_their_owner_knows_them_by,
    pages_of_sessions_hold_each_one_once,
    a_revoked_session_is_refused_at_once_and_the_others_go_on,
    all_sessions_end_or_all_but_the_callers_own,
    somebody_elses_session_is_refused_like_one_that_does_not_exist,
    a_session_stays_revoked_after_a_restart,
];
