//! Looking after accounts: who may, what it changes at once, and what no
//! administrator can do.

use countersign_contracts::auth::v1::{Account, AccountStatus, UpdateAccountRolesRequest};
use countersign_tests::{Clients, Ledger, TestApp, Topology, on_every_topology, refusal};
use tonic::Code;
use uuid::Uuid;

const ADMINS: &str =
    "SELECT count(*) AS n FROM accounts WHERE roles LIKE '%\"admin\"%' AND status = 'active'";

async fn an_account_is_seen_by_its_owner_and_by_administrators_alone(topology: Topology) {
    let app = TestApp::on(topology).await;
    let (ada, bob) = (app.signed_in("ada").await, app.signed_in("bob").await);
    let root = app.admin("root").await;

    let hers = ada.clients.account("me").await.unwrap();
    assert_eq!((hers.id.as_str(), hers.email.as_str()), (&*ada.user_id, "ada@example.org"));
    assert_eq!(hers.status(), AccountStatus::Active);
    assert_eq!(root.clients.account(&ada.user_id).await.unwrap(), hers);
    assert_eq!(root.clients.account("me").await.unwrap().roles, ["admin"]);

    let nobody = Uuid::now_v7().to_string();
    let refused = refusal(bob.clients.account(&ada.user_id).await);
    let refused = refused.is(Code::PermissionDenied, "ACCESS_DENIED");
    assert_eq!(refusal(bob.clients.account(&nobody).await), refused);
    // It could be one of another tenant.
    assert_eq!(refusal(root.clients.account(&nobody).await), refused);
    assert_eq!(refusal(root.clients.disable(&nobody).await), refused);
}

async fn only_an_administrator_changes_accounts(topology: Topology) {
    let app = TestApp::on(topology).await;
    let (ada, bob) = (app.signed_in("ada").await, app.signed_in("bob").await);
    for id in ["me", &ada.user_id, &bob.user_id] {
        let clients = &ada.clients;
        for refused in [
            clients.change_roles(id, &["admin"], &[]).await,
            clients.disable(id).await,
            clients.enable(id).await,
        ] {
            refusal(refused).is(Code::PermissionDenied, "ACCESS_DENIED");
        }
    }
    // To leave is everybody's own affair, and nobody else's.
    let refused = refusal(ada.clients.delete(&bob.user_id).await);
    refused.is(Code::PermissionDenied, "ACCESS_DENIED");
    assert!(bob.clients.account("me").await.unwrap().roles.is_empty());
}

async fn a_change_of_roles_is_known_to_every_guard_at_once_and_a_refresh_mends_it(
    topology: Topology,
) {
    let app = TestApp::on(topology).await;
    let (ada, bob) = (app.signed_in("ada").await, app.active("bob").await);
    let root = app.admin("root").await;
    // Their tokens are in the guards' caches by now.
    refusal(ada.clients.profile(&bob.user_id).await).is(Code::PermissionDenied, "ACCESS_DENIED");

    let given = root.clients.change_roles(&ada.user_id, &["support", "admin"], &[]).await.unwrap();
    assert_eq!(given.roles, ["admin", "support"]);
    app.outdated(&ada.clients).await;
    let promoted = ada.refreshed().await.unwrap();
    promoted.clients.profile(&bob.user_id).await.expect("an administrator reads profiles");

    let taken = root.clients.change_roles(&ada.user_id, &[], &["admin"]).await.unwrap();
    assert_eq!(taken.roles, ["support"]);
    app.outdated(&promoted.clients).await;
    app.outdated(&ada.clients).await;
    let demoted = promoted.refreshed().await.unwrap();
    let refused = refusal(demoted.clients.profile(&bob.user_id).await);
    refused.is(Code::PermissionDenied, "ACCESS_DENIED");
    demoted.clients.profile("me").await.expect("it is the same session");

    // A guard that starts knows it, too.
    let app = app.crash_and_restart().await;
    app.outdated(&app.clients().with_token(&promoted.access_token)).await;
    app.clients().with_token(&demoted.access_token).profile("me").await.unwrap();
}

async fn roles_that_are_given_at_the_same_time_are_all_there(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let root = app.admin("root").await;
    let roles: Vec<_> = (0..8).map(|n| format!("role-{n}")).collect();
    let give = |role: String| {
        let (clients, user_id) = (root.clients.clone(), ada.user_id.clone());
        tokio::spawn(async move { clients.change_roles(&user_id, &[&role], &[]).await })
    };
    for given in roles.iter().cloned().map(give).collect::<Vec<_>>() {
        given.await.unwrap().unwrap();
    }
    assert_eq!(root.clients.account(&ada.user_id).await.unwrap().roles, roles);
    let ledger = app.ledger().await;
    assert_eq!(ledger.events_of("AccountRolesChanged", &ada.user_id).await, roles.len());
    let epoch = "SELECT epoch AS n FROM accounts WHERE roles LIKE '%role-7%'";
    assert_eq!(Ledger::number(&ledger.auth, epoch).await, 8);
    ledger.close().await;
}

async fn a_change_that_changes_nothing_leaves_the_tokens_alone(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let root = app.admin("root").await;
    let before = root.clients.account(&ada.user_id).await.unwrap();
    let same = root.clients.change_roles(&ada.user_id, &[], &["support"]).await.unwrap();
    assert_eq!((&same, root.clients.enable(&ada.user_id).await.unwrap()), (&before, same.clone()));
    ada.clients.account("me").await.unwrap();
    ada.clients.profile("me").await.unwrap();
}

async fn an_etag_that_is_behind_changes_nothing(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let root = app.admin("root").await;
    let before = root.clients.account(&ada.user_id).await.unwrap();
    let give = |role: &str, etag: &str| UpdateAccountRolesRequest {
        user_id: ada.user_id.clone(),
        add_roles: vec![role.to_owned()],
        etag: etag.to_owned(),
        ..UpdateAccountRolesRequest::default()
    };
    let mut accounts = root.clients.accounts();
    let after = accounts.update_account_roles(give("support", &before.etag)).await.unwrap();
    let after = after.into_inner().account.unwrap();
    assert_ne!(after.etag, before.etag);
    let late = accounts.update_account_roles(give("auditor", &before.etag)).await;
    refusal(late).is(Code::Aborted, "ETAG_MISMATCH");
    // The same once more is what a client does whose answer was lost.
    let again = accounts.update_account_roles(give("support", &before.etag)).await.unwrap();
    assert_eq!(again.into_inner().account.unwrap(), after);
    assert_eq!(root.clients.account(&ada.user_id).await.unwrap(), after);
}

async fn a_disabled_account_is_out_until_it_is_enabled(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let root = app.admin("root").await;

    let disabled = root.clients.disable(&ada.user_id).await.unwrap();
    assert_eq!(disabled.status(), AccountStatus::Disabled);
    app.locked_out(&ada.clients).await;
    refusal(ada.refreshed().await).is(Code::Unauthenticated, "SESSION_ENDED");
    let email = "ada@example.org";
    refusal(app.clients().login(email).await).is(Code::FailedPrecondition, "ACCOUNT_DISABLED");
    assert_eq!(root.clients.disable(&ada.user_id).await.unwrap(), disabled, "again is no error");

    let app = app.crash_and_restart().await;
    app.locked_out(&app.clients().with_token(&ada.access_token)).await;
    let root = app.clients().login("root@example.org").await.unwrap();
    let enabled = root.clients.enable(&ada.user_id).await.unwrap();
    assert_eq!(enabled.status(), AccountStatus::Active);
    let back = app.clients().login(email).await.unwrap();
    back.clients.profile("me").await.unwrap();
    let stale = app.clients().refresh(&ada.refresh_token).await;
    refusal(stale).is(Code::Unauthenticated, "SESSION_ENDED");
}

async fn a_deleted_account_leaves_nothing_but_its_id(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let root = app.admin("root").await;
    root.clients.change_roles(&ada.user_id, &["support"], &[]).await.unwrap();
    let ada = ada.refreshed().await.unwrap();
    ada.clients.profile("me").await.unwrap();

    let deleted = root.clients.delete(&ada.user_id).await.unwrap();
    let left = Account {
        id: ada.user_id.clone(),
        status: AccountStatus::Deleted.into(),
        create_time: deleted.create_time,
        update_time: deleted.update_time,
        delete_time: deleted.update_time,
        etag: deleted.etag.clone(),
        tenant: "default".to_owned(),
        ..Account::default()
    };
    assert_eq!(deleted, left);
    app.locked_out(&ada.clients).await;
    refusal(ada.refreshed().await).is(Code::Unauthenticated, "SESSION_ENDED");
    let email = "ada@example.org";
    refusal(app.clients().login(email).await).is(Code::Unauthenticated, "BAD_CREDENTIALS");
    app.settle().await;
    let profile = root.clients.profile(&ada.user_id).await;
    refusal(profile).is(Code::NotFound, "PROFILE_NOT_FOUND");

    assert_eq!(root.clients.delete(&ada.user_id).await.unwrap(), left, "again is no error");
    assert_eq!(root.clients.account(&ada.user_id).await.unwrap(), left);
    let refused = refusal(root.clients.change_roles(&ada.user_id, &["admin"], &[]).await);
    refused.is(Code::FailedPrecondition, "ACCOUNT_DELETED");
    refusal(root.clients.enable(&ada.user_id).await)
        .is(Code::FailedPrecondition, "ACCOUNT_DELETED");

    let ledger = app.ledger().await;
    for gone in [
        "SELECT count(*) AS n FROM accounts WHERE status = 'deleted' \
         AND (email LIKE '%@%' OR email_sealed IS NOT NULL OR email_index IS NOT NULL)",
        "SELECT count(*) AS n FROM sessions WHERE revoke_time IS NOT NULL \
         AND (address <> '' OR address_sealed IS NOT NULL OR device_label_sealed IS NOT NULL)",
        "SELECT count(*) AS n FROM data_keys WHERE user_id IN \
         (SELECT id FROM accounts WHERE status = 'deleted')",
    ] {
        assert_eq!(Ledger::number(&ledger.auth, gone).await, 0, "{gone}");
    }
    assert_eq!(ledger.events_of("UserDeleted", &ada.user_id).await, 1);
    ledger.close().await;

    // The address is free, for somebody else.
    let app = app.crash_and_restart().await;
    app.locked_out(&app.clients().with_token(&ada.access_token)).await;
    let other = app.signed_in("ada").await;
    assert_ne!(other.user_id, ada.user_id);
    other.clients.profile("me").await.unwrap();
}

async fn the_last_administrator_stays_one_who_can_log_in(topology: Topology) {
    let app = TestApp::on(topology).await;
    let root = app.admin("root").await;
    let bob = app.active("bob").await;
    for refused in [
        root.clients.change_roles("me", &["support"], &["admin"]).await,
        root.clients.disable("me").await,
        root.clients.delete(&root.user_id).await,
    ] {
        refusal(refused).is(Code::FailedPrecondition, "LAST_ADMINISTRATOR");
    }
    // One who cannot log in is no help.
    root.clients.change_roles(&bob.user_id, &["admin"], &[]).await.unwrap();
    root.clients.disable(&bob.user_id).await.unwrap();
    refusal(root.clients.disable("me").await).is(Code::FailedPrecondition, "LAST_ADMINISTRATOR");

    root.clients.enable(&bob.user_id).await.unwrap();
    root.clients.change_roles("me", &[], &["admin"]).await.unwrap();
    app.outdated(&root.clients).await;
    let bob = app.login(&bob).await;
    refusal(bob.clients.disable("me").await).is(Code::FailedPrecondition, "LAST_ADMINISTRATOR");
}

async fn of_two_administrators_who_dismiss_each_other_one_stays(topology: Topology) {
    let app = TestApp::on(topology).await;
    let (one, two) = (app.admin("one").await, app.admin("two").await);
    let dismiss = |clients: &Clients, id: &str| {
        let (clients, id) = (clients.clone(), id.to_owned());
        tokio::spawn(async move { clients.change_roles(&id, &[], &["admin"]).await.is_ok() })
    };
    let both = (dismiss(&one.clients, &two.user_id), dismiss(&two.clients, &one.user_id));
    let (first, second) = (both.0.await.unwrap(), both.1.await.unwrap());
    assert!(first != second, "one was quicker: {first} {second}");
    let ledger = app.ledger().await;
    assert_eq!(Ledger::number(&ledger.auth, ADMINS).await, 1);
    ledger.close().await;
}

async fn roles_that_nobody_can_have_are_told_with_their_fields(topology: Topology) {
    let app = TestApp::on(topology).await;
    let root = app.admin("root").await;
    let many: Vec<_> = (0..16).map(|n| format!("r{n}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    for (add, remove, field) in [
        (&["Admin"][..], &[][..], "add_roles[0]"),
        (&[], &["a b"], "remove_roles[0]"),
        (&["x", "x"], &[], "add_roles"),
        (&["x"], &["x"], "add_roles"),
        // With the one that there is, one too many.
        (&many, &[], "add_roles"),
    ] {
        let refused = refusal(root.clients.change_roles("me", add, remove).await);
        let refused = refused.is(Code::InvalidArgument, "INVALID_ARGUMENT");
        assert_eq!(refused.fields(), [field], "{add:?} {remove:?}");
    }
    assert_eq!(root.clients.account("me").await.unwrap().roles, ["admin"]);
}

#[tokio::test]
async fn who_changed_what_of_whom_stands_in_the_audit_trail() {
    let app = TestApp::start().await;
    let ada = app.active("ada").await;
    let root = app.admin("root").await;
    root.clients.change_roles(&ada.user_id, &["support"], &[]).await.unwrap();
    root.clients.disable(&ada.user_id).await.unwrap();
    root.clients.enable(&ada.user_id).await.unwrap();
    root.clients.delete(&ada.user_id).await.unwrap();
    refusal(root.clients.disable("me").await).is(Code::FailedPrecondition, "LAST_ADMINISTRATOR");
    app.settle().await;

    let ledger = app.ledger().await;
    let hex = |id: &str| id.replace('-', "");
    for (action, outcome, subject, detail) in [
        ("authz_change", "success", &ada.user_id, "%\"to\":[\"support\"]%"),
        ("user_archived", "success", &ada.user_id, "%\"epoch\":2%"),
        ("user_activated", "success", &ada.user_id, "%\"epoch\":3%"),
        ("user_deleted", "success", &ada.user_id, "%\"epoch\":4%"),
        ("authz_admin", "failure", &root.user_id, "%last_administrator%"),
    ] {
        let sql = format!(
            "SELECT count(*) AS n FROM audit_log WHERE action = '{action}' \
             AND outcome = '{outcome}' AND lower(hex(actor)) = '{}' \
             AND lower(hex(subject)) = '{}' AND detail LIKE '{detail}'",
            hex(&root.user_id),
            hex(subject),
        );
        assert_eq!(Ledger::number(&ledger.auth, &sql).await, 1, "{action}");
    }
    let removed = "SELECT count(*) AS n FROM audit_log WHERE action = 'user_deleted'";
    assert_eq!(Ledger::number(&ledger.user, removed).await, 1);
    ledger.close().await;
}

on_every_topology![
    an_account_is_seen_by_its_owner_and_by_administrators_alone,
    only_an_administrator_changes_accounts,
    a_change_of_roles_is_known_to_every_guard_at_once_and_a_refresh_mends_it,
    roles_that_are_given_at_the_same_time_are_all_there,
    a_change_that_changes_nothing_leaves_the_tokens_alone,
    an_etag_that_is_behind_changes_nothing,
    a_disabled_account_is_out_until_it_is_enabled,
    a_deleted_account_leaves_nothing_but_its_id,
    the_last_administrator_stays_one_who_can_log_in,
    of_two_administrators_who_dismiss_each_other_one_stays,
    roles_that_nobody_can_have_are_told_with_their_fields,
];
