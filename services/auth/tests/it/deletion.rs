//! A deletion that can be thought over.

use std::time::Duration;

use countersign_contracts::{
    auth::v1::{
        AccountStatus, DeleteAccountRequest, EnableAccountRequest, GetAccountRequest,
        ListSessionsRequest,
    },
    events::v1::UserDeleted,
};
use countersign_types::Tenant;
use tonic::Code;

use crate::stage::{PASSWORD, Set, Stage, config, reason, with_token};

const EMAIL: &str = "ada@example.org";
const ROOT: &str = "root@example.org";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A day to think it over; the token of an administrator.
async fn stage() -> (Stage, String) {
    let mut config = config();
    config.deletion.waiting_time = DAY;
    let stage = Set::new(config).await.start().await.unwrap();
    let (keeper, set) = (stage.set.keeper().await, &stage.set);
    let roles = vec!["admin".to_owned()];
    let (email, password) = (ROOT.to_owned(), PASSWORD.to_owned());
    let root = keeper.create_account(&set.config, email, password, roles, Tenant::default());
    stage.profile_created(&root.await.unwrap().to_string()).await;
    let root = stage.login(ROOT, PASSWORD).await.unwrap().access_token;
    (stage, root)
}

async fn leave(stage: &Stage) -> AccountStatus {
    let login = stage.login(EMAIL, PASSWORD).await.unwrap();
    let request = DeleteAccountRequest { user_id: "me".to_owned(), ..Default::default() };
    let request = with_token(&login.access_token, request);
    let left = stage.accounts().delete_account(request).await.unwrap().into_inner();
    let sessions = ListSessionsRequest { user_id: "me".to_owned(), ..Default::default() };
    let refused = stage.sessions().list_sessions(with_token(&login.access_token, sessions)).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated, "its sessions end at once");
    left.account.unwrap().status()
}

#[tokio::test]
async fn who_leaves_can_be_brought_back_until_the_time_is_over() {
    let (stage, root) = stage().await;
    let ada = stage.person(EMAIL).await;
    assert_eq!(leave(&stage).await, AccountStatus::Deleting);
    let refused = stage.login(EMAIL, PASSWORD).await.unwrap_err();
    assert_eq!(reason(&refused), "ACCOUNT_DELETING");
    stage.advance(DAY - Duration::from_secs(1));
    stage.service.upkeep.step().await.unwrap();

    let root = stage.login(ROOT, PASSWORD).await.map_or(root, |login| login.access_token);
    let enable = EnableAccountRequest { user_id: ada.clone(), ..Default::default() };
    let back = stage.accounts().enable_account(with_token(&root, enable)).await.unwrap();
    let back = back.into_inner().account.unwrap();
    assert_eq!((back.status(), back.delete_time), (AccountStatus::Active, None));
    assert_eq!(back.email, EMAIL);
    stage.advance(2 * DAY);
    stage.service.upkeep.step().await.unwrap();
    stage.login(EMAIL, PASSWORD).await.expect("nothing is left of the wish to leave");
}

#[tokio::test]
async fn who_is_not_brought_back_is_gone_when_the_time_is_over() {
    let (stage, _) = stage().await;
    let ada = stage.person(EMAIL).await;
    assert_eq!(leave(&stage).await, AccountStatus::Deleting);
    assert_eq!(stage.set.events::<UserDeleted>().await, 0);
    assert_eq!(stage.set.number("SELECT COUNT(*) FROM data_keys").await, 2);
    stage.advance(DAY);
    for _ in 0..2 {
        stage.service.upkeep.step().await.unwrap();
        assert_eq!(stage.set.events::<UserDeleted>().await, 1);
        assert_eq!(stage.set.number("SELECT COUNT(*) FROM data_keys").await, 1);
    }
    let refused = stage.login(EMAIL, PASSWORD).await.unwrap_err();
    assert_eq!(reason(&refused), "BAD_CREDENTIALS");
    let root = stage.login(ROOT, PASSWORD).await.unwrap().access_token;
    let get = with_token(&root, GetAccountRequest { user_id: ada });
    let left = stage.accounts().get_account(get).await.unwrap().into_inner().account.unwrap();
    assert_eq!((left.status(), left.email.as_str()), (AccountStatus::Deleted, ""));
    stage.person(EMAIL).await;
}
