//! The audit trails over the wire: who sees what, and what is put on record.

use countersign_audit::Reads;
use countersign_contracts::{
    audit::v1::{AuditEvent, AuditOutcome},
    auth::v1::{GetAccountRequest, ListAuditEventsRequest, LoginRequest},
    user::v1::{GetProfileRequest, ListAuditEventsRequest as UserRequest, Profile},
};
use countersign_tests::{Clients, Ledger, TestApp, Topology, on_every_topology, refusal};
use tonic::{Code, Request, Status};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// A page of the auth service's trail.
async fn page(
    clients: &Clients,
    filter: &str,
    page_size: i32,
    page_token: &str,
) -> Result<(Vec<AuditEvent>, String), Status> {
    let (filter, page_token) = (filter.to_owned(), page_token.to_owned());
    let request = ListAuditEventsRequest { filter, page_size, page_token };
    let page = clients.auth_audit().list_audit_events(request).await?.into_inner();
    Ok((page.audit_events, page.next_page_token))
}

async fn of_auth(clients: &Clients, filter: &str) -> Vec<AuditEvent> {
    page(clients, filter, 100, "").await.unwrap().0
}

async fn of_user(clients: &Clients, filter: &str) -> Vec<AuditEvent> {
    let filter = filter.to_owned();
    let request = UserRequest { filter, page_size: 100, page_token: String::new() };
    clients.user_audit().list_audit_events(request).await.unwrap().into_inner().audit_events
}

fn types(events: &[AuditEvent]) -> Vec<&str> {
    events.iter().map(|event| event.r#type.as_str()).collect()
}

async fn wrong_password(app: &TestApp, email: &str) {
    let (email, password) = (email.to_owned(), "a password of somebody else".to_owned());
    let request = LoginRequest { email, password, ..LoginRequest::default() };
    refusal(app.clients().auth().login(request).await);
}

async fn everybody_sees_what_concerns_them_and_auditors_what_concerns_their_tenant(
    topology: Topology,
) {
    let app = TestApp::on(topology).await;
    let ada = app.active("ada").await;
    wrong_password(&app, &ada.email).await;
    let ada = app.login(&ada).await;
    let (bob, boss) = (app.signed_in("bob").await, app.made("boss", &["admin"], "acme").await);
    let eve = app.made("eve", &["auditor"], "default").await;

    let hers = of_auth(&ada.clients, "").await;
    assert_eq!(types(&hers), ["authn_login_success", "authn_login_fail", "user_created"]);
    assert!(hers.iter().all(|event| event.account_id == ada.user_id));
    let login = &hers[0];
    assert_eq!(login.outcome(), AuditOutcome::Success);
    assert_eq!((&login.actor_id, &login.session_id), (&ada.user_id, &ada.session_id));
    assert_eq!(login.address, "127.0.0.1");
    assert_eq!(hers[1].outcome(), AuditOutcome::Failure);
    assert_eq!(hers[1].actor_id, "", "nobody knows who it was");

    let all = of_auth(&eve.clients, "").await;
    for person in [&ada, &bob, &eve] {
        assert!(all.iter().any(|event| event.account_id == person.user_id));
    }
    assert!(all.iter().all(|event| event.account_id != boss.user_id));
    let theirs = of_auth(&boss.clients, "").await;
    assert!(!theirs.is_empty());
    assert!(theirs.iter().all(|event| event.account_id == boss.user_id));
    // A filter does not reach over the border, nor to others.
    for (clients, other) in [(&boss.clients, &ada.user_id), (&bob.clients, &ada.user_id)] {
        assert!(of_auth(clients, &format!("account = \"{other}\"")).await.is_empty());
    }
    assert!(of_user(&bob.clients, "").await.is_empty());
    let refused = refusal(page(&app.clients(), "", 0, "").await);
    refused.is(Code::Unauthenticated, "TOKEN_MISSING");
}

async fn a_filter_and_its_pages_hold_each_entry_once_and_the_latest_first(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.active("ada").await;
    for _ in 0..3 {
        wrong_password(&app, &ada.email).await;
    }
    let (first, ada) = (app.login(&ada).await, app.login(&ada).await);
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let (events, next) = page(&ada.clients, "account = me", 2, &token).await.unwrap();
        assert!(events.len() <= 2);
        seen.extend(events);
        token = next;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, of_auth(&ada.clients, "account = me").await);
    assert_eq!(seen.len(), 6);
    assert!(seen.is_sorted_by(|one, other| one.id > other.id));

    let of_first = of_auth(&ada.clients, &format!("session = \"{}\"", first.session_id)).await;
    assert_eq!(types(&of_first), ["authn_login_success"]);
    let failed = of_auth(&ada.clients, "outcome = FAILURE AND type = authn_login_fail").await;
    assert_eq!(failed.len(), 3);
    let time = seen[0].time.unwrap();
    assert_eq!(of_auth(&ada.clients, &format!("time > \"{time}\"")).await.len(), 0);
    assert!(!of_auth(&ada.clients, &format!("time >= \"{time}\"")).await.is_empty());
    for filter in ["address = \"::1\"", "account = ada", "type"] {
        let refused = refusal(page(&ada.clients, filter, 0, "").await);
        assert_eq!(refused.is(Code::InvalidArgument, "INVALID_ARGUMENT").fields(), ["filter"]);
    }
    let (_, token) = page(&ada.clients, "", 2, "").await.unwrap();
    let refused = refusal(page(&ada.clients, "account = me", 2, &token).await);
    assert_eq!(refused.is(Code::InvalidArgument, "INVALID_ARGUMENT").fields(), ["page_token"]);
}

async fn who_reads_the_data_of_others_is_on_record(topology: Topology) {
    let app = TestApp::on(topology).await;
    let (ada, root) = (app.signed_in("ada").await, app.admin("root").await);
    ada.clients.profile("me").await.unwrap();
    ada.clients.account("me").await.unwrap();
    assert!(of_user(&ada.clients, "type = sensitive_read").await.is_empty());

    root.clients.profile(&ada.user_id).await.unwrap();
    root.clients.account(&ada.user_id).await.unwrap();
    let read = of_user(&ada.clients, "type = sensitive_read").await;
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].actor_id, root.user_id);
    assert_eq!(read[0].account_id, ada.user_id);
    assert_eq!(read[0].session_id, root.session_id);
    assert_eq!(read[0].rpc, "countersign.user.v1.ProfileService/GetProfile");
    assert_eq!(read[0].policies, ["profile-admin-reads"]);
    assert_eq!(of_auth(&ada.clients, "type = sensitive_read").await.len(), 1);

    // Auditing others is reading, too.
    let by_root = "actor = me AND type = sensitive_read";
    let before = of_auth(&root.clients, by_root).await.len();
    assert_eq!(of_auth(&root.clients, by_root).await.len(), before + 1);
}

async fn a_denied_call_says_who_what_where_from_and_why(topology: Topology) {
    let app = TestApp::on(topology).await;
    let (ada, bob) = (app.signed_in("ada").await, app.signed_in("bob").await);
    let mut request = Request::new(GetProfileRequest { user_id: ada.user_id.clone() });
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01").parse().unwrap();
    request.metadata_mut().insert("traceparent", parent);
    let denied = refusal(bob.clients.profiles().get_profile(request).await);
    denied.is(Code::PermissionDenied, "ACCESS_DENIED");

    app.settle().await;
    let denials = loop {
        let found = of_user(&bob.clients, "type = authz_fail").await;
        if !found.is_empty() {
            break found;
        }
        // Apart, a task writes what has gathered, once a second.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let [denial] = denials.as_slice() else { panic!("one denial: {denials:?}") };
    assert_eq!(denial.outcome(), AuditOutcome::Failure);
    assert_eq!((&denial.actor_id, &denial.session_id), (&bob.user_id, &bob.session_id));
    assert_eq!(denial.subject_id, ada.user_id);
    assert_eq!(denial.rpc, "countersign.user.v1.ProfileService/GetProfile");
    assert_eq!((denial.address.as_str(), denial.trace_id.as_str()), ("127.0.0.1", TRACE));
    // It is no business of hers.
    assert!(of_user(&ada.clients, "").await.is_empty());
}

async fn an_entry_holds_what_changed_and_no_value(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let profile = Profile { bio: "a canary in a coal mine".to_owned(), ..Profile::default() };
    ada.clients.update(profile, &["bio"]).await.unwrap();
    let events = of_user(&ada.clients, "type = user_updated").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].policies, ["profile-owner"]);
    let facts = events[0].facts.as_ref().unwrap();
    let fields = format!("{:?}", facts.fields["fields"]);
    assert!(fields.contains("bio") && !format!("{events:?}").contains("canary"), "{fields}");
    let ledger = app.ledger().await;
    let canary = "SELECT count(*) AS n FROM audit_log WHERE detail LIKE '%canary%'";
    assert_eq!(Ledger::number(&ledger.user, canary).await, 0);
    ledger.close().await;
}

/// A system with one connection to its database, which cannot be written.
async fn read_only(reads: Reads) -> (TestApp, Clients, Clients, String) {
    let app = TestApp::start_with(|config| {
        config.database.auth.max_connections = 1;
        config.audit.reads = reads;
    })
    .await;
    let (ada, root) = (app.signed_in("ada").await, app.admin("root").await);
    app.settle().await;
    app.set_auth_read_only(true).await;
    (app, ada.clients, root.clients, ada.user_id)
}

#[tokio::test]
async fn where_the_trail_cannot_be_written_nobody_reads_the_data_of_others() {
    let (app, ada, root, id) = read_only(Reads::Refuse).await;
    ada.account("me").await.expect("what is one's own is no concern of the trail");
    let request = GetAccountRequest { user_id: id.clone() };
    let refused = refusal(root.accounts().get_account(request).await);
    refused.is(Code::Unavailable, "STORAGE_READ_ONLY");
    app.set_auth_read_only(false).await;
    root.account(&id).await.unwrap();
    assert_eq!(of_auth(&ada, "type = sensitive_read").await.len(), 1);
}

#[tokio::test]
async fn where_reads_may_queue_they_are_answered_and_put_on_record_later() {
    let (app, ada, root, id) = read_only(Reads::Queue).await;
    root.account(&id).await.unwrap();
    assert!(of_auth(&ada, "type = sensitive_read").await.is_empty());
    app.set_auth_read_only(false).await;
    app.settle().await;
    let read = of_auth(&ada, "type = sensitive_read").await;
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].subject_id, id);
}

#[tokio::test]
async fn no_more_reads_queue_than_there_is_room_for() {
    let (app, _, root, id) = read_only(Reads::Queue).await;
    let mut answered = 0;
    let refused = loop {
        match root.account(&id).await {
            Ok(_) => answered += 1,
            Err(refused) => break refusal::<()>(Err(refused)),
        }
    };
    refused.is(Code::Unavailable, "AUDIT_UNAVAILABLE");
    assert_eq!(answered, 1024);
    app.set_auth_read_only(false).await;
    app.settle().await;
    root.account(&id).await.expect("there is room again");
}

on_every_topology![
    everybody_sees_what_concerns_them_and_auditors_what_concerns_their_tenant,
    a_filter_and_its_pages_hold_each_entry_once_and_the_latest_first,
    who_reads_the_data_of_others_is_on_record,
    a_denied_call_says_who_what_where_from_and_why,
    an_entry_holds_what_changed_and_no_value,
];
