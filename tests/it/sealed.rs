//! One flipped bit: it is noticed, named, and harms nobody else.

use countersign_contracts::{
    auth::v1::{ListAccountsRequest, ListSessionsRequest},
    user::v1::{ListProfilesRequest, ProfileStatus},
};
use countersign_tests::{Canaries, Ledger, TestApp, refusal};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, Value};
use tonic::Code;

/// Flips the last bit of a column in the one row that it has for somebody.
async fn flip(db: &DatabaseConnection, table: &str, column: &str, id: (&str, &str)) {
    let (id, user) = id;
    let user: uuid::Uuid = user.parse().unwrap();
    let backend = db.get_database_backend();
    let sql = format!("SELECT {column} AS value FROM {table} WHERE {id} = $1");
    let row = db.query_one_raw(Statement::from_sql_and_values(backend, sql, [user.into()]));
    let mut value: Vec<u8> = row.await.unwrap().unwrap().try_get("", "value").unwrap();
    *value.last_mut().unwrap() ^= 1;
    let sql = format!("UPDATE {table} SET {column} = $1 WHERE {id} = $2");
    let values: [Value; 2] = [value.into(), user.into()];
    let done = db.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.unwrap();
    assert_eq!(done.rows_affected(), 1);
}

async fn two(app: &TestApp) -> [Canaries; 2] {
    let settle = async || app.settle().await;
    [
        Canaries::fly(&app.clients(), settle).await,
        Canaries::fly(&app.clients(), async || app.settle().await).await,
    ]
}

#[tokio::test]
async fn a_flipped_bit_costs_one_profile_and_no_other() {
    for (table, column) in
        [("profiles", "bio_sealed"), ("profiles", "metadata_sealed"), ("data_keys", "sealed")]
    {
        let app = TestApp::start().await;
        let [ada, bob] = two(&app).await;
        let root = app.admin("root").await;
        let Ledger { user, .. } = app.ledger().await;
        flip(&user, table, column, ("user_id", &ada.person.user_id)).await;

        let lost = refusal(ada.login.clients.profile("me").await);
        assert_eq!(lost.code, Code::DataLoss, "{table}.{column}");
        assert_eq!(lost.reason, "DATA_DAMAGED");
        assert!(!format!("{lost:?}").contains(&ada.profile.bio));
        let update = ada.login.clients.update(ada.profile.clone(), &["bio"]).await.unwrap_err();
        assert_eq!(update.code(), Code::DataLoss);
        assert_eq!(bob.login.clients.profile("me").await.unwrap().bio, bob.profile.bio);

        let list = root.clients.profiles().list_profiles(ListProfilesRequest::default()).await;
        let list = list.unwrap().into_inner().profiles;
        let of = |id: &str| list.iter().find(|profile| profile.user_id == id).unwrap();
        assert_eq!(of(&ada.person.user_id).status(), ProfileStatus::Damaged);
        assert_eq!(of(&ada.person.user_id).bio, "");
        assert_eq!(of(&bob.person.user_id).bio, bob.profile.bio);

        // It can still be erased.
        root.clients.delete(&ada.person.user_id).await.unwrap();
        app.settle().await;
        let gone = root.clients.profile(&ada.person.user_id).await.unwrap_err();
        assert_eq!(gone.code(), Code::NotFound);
    }
}

#[tokio::test]
async fn a_flipped_bit_costs_one_address_or_one_label_and_no_other() {
    let app = TestApp::start().await;
    let [ada, bob] = two(&app).await;
    let root = app.admin("root").await;
    let Ledger { auth, .. } = app.ledger().await;
    flip(&auth, "accounts", "email_sealed", ("id", &ada.person.user_id)).await;
    flip(&auth, "sessions", "device_label_sealed", ("id", &bob.login.session_id)).await;

    let lost = refusal(ada.login.clients.account("me").await);
    assert_eq!((lost.code, lost.reason.as_str()), (Code::DataLoss, "DATA_DAMAGED"));
    // It is found by its hash, and its password is right.
    app.clients().login(&ada.person.email).await.unwrap();
    assert_eq!(bob.login.clients.account("me").await.unwrap().email, bob.person.email);

    let list = root.clients.accounts().list_accounts(ListAccountsRequest::default()).await;
    let list = list.unwrap().into_inner().accounts;
    let of = |id: &str| list.iter().find(|account| account.id == id).unwrap();
    assert_eq!(of(&ada.person.user_id).email, "");
    assert_eq!(of(&bob.person.user_id).email, bob.person.email);

    let request = ListSessionsRequest { user_id: "me".to_owned(), ..Default::default() };
    let sessions = bob.login.clients.sessions().list_sessions(request).await.unwrap().into_inner();
    let session = sessions.sessions.first().unwrap();
    assert_eq!((session.device_label.as_str(), session.address.as_str()), ("", "127.0.0.1"));
}

#[tokio::test]
async fn a_field_that_is_moved_to_another_row_or_column_is_refused() {
    let app = TestApp::start().await;
    let [ada, bob] = two(&app).await;
    let Ledger { user, .. } = app.ledger().await;
    let swap = "UPDATE profiles SET bio_sealed = given_name_sealed, given_name_sealed = bio_sealed";
    user.execute_unprepared(swap).await.unwrap();
    for login in [&ada.login, &bob.login] {
        assert_eq!(login.clients.profile("me").await.unwrap_err().code(), Code::DataLoss);
    }
    user.execute_unprepared(swap).await.unwrap();
    assert_eq!(ada.login.clients.profile("me").await.unwrap().bio, ada.profile.bio);
    let of_bob = "UPDATE profiles SET bio_sealed = \
        (SELECT bob.bio_sealed FROM profiles bob WHERE bob.user_id = $1) WHERE user_id = $2";
    let ids = [&bob, &ada].map(|who| who.person.user_id.parse::<uuid::Uuid>().unwrap().into());
    let statement = Statement::from_sql_and_values(user.get_database_backend(), of_bob, ids);
    user.execute_raw(statement).await.unwrap();
    assert_eq!(ada.login.clients.profile("me").await.unwrap_err().code(), Code::DataLoss);
    assert_eq!(bob.login.clients.profile("me").await.unwrap().bio, bob.profile.bio);
}
