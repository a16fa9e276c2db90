//! Seeing sessions and ending them.

use std::time::Duration;

use countersign_contracts::{
    auth::v1::{
        ListSessionsRequest, ListSessionsResponse, LoginResponse, LogoutRequest,
        RevokeAllSessionsRequest, RevokeSessionRequest,
    },
    events::v1::{SessionRevoked, UserLoggedOut},
};
use tonic::{Code, Status};

use crate::stage::{PASSWORD, Set, Stage, config, reason, with_token};

const EMAIL: &str = "ada@example.org";

impl Stage {
    pub async fn list(
        &self,
        login: &LoginResponse,
        page_size: i32,
        page_token: &str,
    ) -> Result<ListSessionsResponse, Status> {
        let request = ListSessionsRequest {
            user_id: "me".to_owned(),
            page_size,
            page_token: page_token.to_owned(),
        };
        let request = with_token(&login.access_token, request);
        Ok(self.sessions().list_sessions(request).await?.into_inner())
    }

    async fn revoke(&self, login: &LoginResponse, session_id: &str) -> Result<(), Status> {
        let request = RevokeSessionRequest { session_id: session_id.to_owned() };
        let request = with_token(&login.access_token, request);
        self.sessions().revoke_session(request).await.map(drop)
    }

    pub async fn logout(&self, login: &LoginResponse) -> Result<(), Status> {
        self.auth().logout(with_token(&login.access_token, LogoutRequest {})).await.map(drop)
    }
}

fn id(login: &LoginResponse) -> &str {
    &login.session.as_ref().unwrap().id
}

#[tokio::test]
async fn sessions_are_listed_page_by_page_the_latest_first() {
    let stage = Stage::new().await;
    stage.person(EMAIL).await;
    let mut logins = Vec::new();
    for _ in 0..5 {
        logins.push(stage.login(EMAIL, PASSWORD).await.unwrap());
    }
    let caller = &logins[2];
    let (mut listed, mut token) = (Vec::new(), String::new());
    loop {
        let page = stage.list(caller, 2, &token).await.unwrap();
        listed.extend(page.sessions);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let ids: Vec<_> = listed.iter().map(|session| session.id.as_str()).collect();
    assert_eq!(ids, logins.iter().rev().map(id).collect::<Vec<_>>());
    let current: Vec<_> = listed.iter().filter(|session| session.current).collect();
    assert_eq!(current.len(), 1);
    assert_eq!(current[0].id, id(caller));
    let forged = stage.list(caller, 2, "forged").await.unwrap_err();
    assert_eq!(forged.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn logging_out_ends_the_session_at_once() {
    let stage = Stage::new().await;
    stage.person(EMAIL).await;
    let login = stage.login(EMAIL, PASSWORD).await.unwrap();
    let other = stage.login(EMAIL, PASSWORD).await.unwrap();
    stage.logout(&login).await.unwrap();

    let refused = stage.list(&login, 0, "").await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::Unauthenticated, "SESSION_REVOKED".into())
    );
    let refused = stage.refresh(&login.refresh_token).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused)), (Code::Unauthenticated, "SESSION_ENDED".into()));
    assert!(stage.logout(&login).await.is_err());

    assert_eq!(stage.list(&other, 0, "").await.unwrap().sessions.len(), 1);
    assert_eq!(stage.set.events::<UserLoggedOut>().await, 1);
    assert_eq!(stage.set.events::<SessionRevoked>().await, 1);
}

#[tokio::test]
async fn a_session_is_ended_from_afar_once_however_often_it_is_asked() {
    let stage = Stage::new().await;
    stage.person(EMAIL).await;
    let here = stage.login(EMAIL, PASSWORD).await.unwrap();
    let there = stage.login(EMAIL, PASSWORD).await.unwrap();
    for _ in 0..3 {
        stage.revoke(&here, id(&there)).await.unwrap();
    }
    assert_eq!(reason(&stage.list(&there, 0, "").await.unwrap_err()), "SESSION_REVOKED");
    assert_eq!(stage.set.events::<SessionRevoked>().await, 1);
    assert!(stage.refresh(&here.refresh_token).await.is_ok());
}

#[tokio::test]
async fn nobody_learns_whether_a_session_of_somebody_else_exists() {
    let stage = Stage::new().await;
    stage.person(EMAIL).await;
    stage.person("bob@example.org").await;
    let ada = stage.login(EMAIL, PASSWORD).await.unwrap();
    let bob = stage.login("bob@example.org", PASSWORD).await.unwrap();
    let foreign = stage.revoke(&bob, id(&ada)).await.unwrap_err();
    let unknown = stage.revoke(&bob, "0197a1b2-c3d4-7000-8000-00000000000a").await.unwrap_err();
    assert_eq!(foreign.code(), Code::PermissionDenied);
    assert_eq!(
        (foreign.code(), foreign.message(), foreign.details()),
        (unknown.code(), unknown.message(), unknown.details())
    );
    assert!(stage.refresh(&ada.refresh_token).await.is_ok());
}

#[tokio::test]
async fn all_sessions_but_the_own_can_be_ended() {
    let stage = Stage::new().await;
    stage.person(EMAIL).await;
    let mut logins = Vec::new();
    for _ in 0..4 {
        logins.push(stage.login(EMAIL, PASSWORD).await.unwrap());
    }
    let here = logins.pop().unwrap();
    let all = |keep_current| {
        let request = RevokeAllSessionsRequest { user_id: "me".to_owned(), keep_current };
        with_token(&here.access_token, request)
    };
    let ended = stage.sessions().revoke_all_sessions(all(true)).await.unwrap().into_inner();
    assert_eq!(ended.revoked_count, 3);
    for login in &logins {
        assert_eq!(reason(&stage.list(login, 0, "").await.unwrap_err()), "SESSION_REVOKED");
    }
    let ended = stage.sessions().revoke_all_sessions(all(false)).await.unwrap().into_inner();
    assert_eq!(ended.revoked_count, 1);
    assert_eq!(reason(&stage.list(&here, 0, "").await.unwrap_err()), "SESSION_REVOKED");
}

#[tokio::test]
async fn what_was_revoked_stays_so_after_a_restart() {
    let stage = Stage::new().await;
    stage.person(EMAIL).await;
    let login = stage.login(EMAIL, PASSWORD).await.unwrap();
    let other = stage.login(EMAIL, PASSWORD).await.unwrap();
    stage.logout(&login).await.unwrap();
    let stage = stage.set.start().await.unwrap();
    assert_eq!(reason(&stage.list(&login, 0, "").await.unwrap_err()), "SESSION_REVOKED");
    assert!(stage.list(&other, 0, "").await.is_ok());
}

#[tokio::test]
async fn ended_sessions_are_deleted_when_their_time_is_over() {
    let stage = Stage::new().await;
    stage.person(EMAIL).await;
    stage.login(EMAIL, PASSWORD).await.unwrap();
    let lives = &stage.set.config.session;
    stage.advance(lives.idle_lifetime + lives.retention);
    assert_eq!(stage.service.upkeep.step().await.unwrap(), 0);
    stage.advance(Duration::from_secs(1));
    stage.login(EMAIL, PASSWORD).await.unwrap();
    assert_eq!(stage.service.upkeep.step().await.unwrap(), 1);
    assert_eq!(stage.set.number("SELECT COUNT(*) FROM sessions").await, 1);
}

#[tokio::test]
async fn one_session_more_than_an_account_may_have_ends_the_oldest() {
    let mut config = config();
    config.session.max_per_account = 3;
    let stage = Set::new(config).await.start().await.unwrap();
    stage.person(EMAIL).await;
    stage.person("bob@example.org").await;
    let bob = stage.login("bob@example.org", PASSWORD).await.unwrap();
    let mut logins = Vec::new();
    for _ in 0..5 {
        logins.push(stage.login(EMAIL, PASSWORD).await.unwrap());
    }
    let (gone, live) = logins.split_at(2);
    let listed = stage.list(&live[0], 0, "").await.unwrap().sessions;
    let ids: Vec<_> = listed.iter().map(|session| session.id.as_str()).collect();
    assert_eq!(ids, live.iter().rev().map(id).collect::<Vec<_>>());
    for login in gone {
        assert_eq!(reason(&stage.list(login, 0, "").await.unwrap_err()), "SESSION_REVOKED");
        let refused = stage.refresh(&login.refresh_token).await.unwrap_err();
        assert_eq!(reason(&refused), "SESSION_ENDED");
    }
    assert_eq!(stage.set.events::<SessionRevoked>().await, 2);
    let audited = "SELECT COUNT(*) FROM audit_log WHERE action = 'session_revoked'";
    assert_eq!(stage.set.number(audited).await, 2);
    assert!(stage.list(&bob, 0, "").await.is_ok(), "others are none of its business");

    // What was ended makes room: nobody else has to go.
    stage.logout(&live[0]).await.unwrap();
    stage.login(EMAIL, PASSWORD).await.unwrap();
    assert!(stage.list(&live[1], 0, "").await.is_ok());
}

#[tokio::test]
async fn a_login_that_fails_at_the_end_ends_no_session() {
    let mut config = config();
    config.session.max_per_account = 1;
    let stage = Set::new(config).await.start().await.unwrap();
    stage.person(EMAIL).await;
    let login = stage.login(EMAIL, PASSWORD).await.unwrap();
    stage
        .set
        .run("CREATE TRIGGER refuse BEFORE INSERT ON sessions BEGIN SELECT RAISE(ABORT, 'no'); END")
        .await;
    assert!(stage.login(EMAIL, PASSWORD).await.is_err());
    assert!(stage.list(&login, 0, "").await.is_ok());
    assert_eq!(stage.set.events::<SessionRevoked>().await, 0);
}

#[tokio::test]
async fn a_session_leaves_no_counter_of_events_behind() {
    let stage = Stage::new().await;
    stage.person(EMAIL).await;
    let here = stage.login(EMAIL, PASSWORD).await.unwrap();
    stage.logout(&here).await.unwrap();
    let counters = "SELECT COUNT(*) FROM outbox_sequences";
    let before = stage.set.number(counters).await;
    let here = stage.login(EMAIL, PASSWORD).await.unwrap();
    let there = stage.login(EMAIL, PASSWORD).await.unwrap();
    stage.revoke(&here, id(&there)).await.unwrap();
    let stolen = stage.login(EMAIL, PASSWORD).await.unwrap();
    let next = stage.refresh(&stolen.refresh_token).await.unwrap();
    stage.refresh(&next.refresh_token).await.unwrap();
    assert_eq!(reason(&stage.refresh(&stolen.refresh_token).await.unwrap_err()), "REFRESH_REUSED");
    stage.logout(&here).await.unwrap();
    assert_eq!(stage.set.number(counters).await, before);
}
