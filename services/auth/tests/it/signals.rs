//! What is told of logins to those who watch.

use countersign_contracts::{
    auth::v1::ListSessionsRequest,
    events::v1::{CredentialStuffingSuspected, NewDeviceUsed, NewNetworkUsed},
};
use tonic::Code;

use super::stage::{PASSWORD, Stage, with_token};

const HOME: &str = "192.0.2.1";
const NEXT_DOOR: &str = "192.0.2.200";
const AWAY: &str = "203.0.113.9";

/// New devices and new networks so far.
async fn news(stage: &Stage) -> [i64; 2] {
    [stage.set.events::<NewDeviceUsed>().await, stage.set.events::<NewNetworkUsed>().await]
}

#[tokio::test]
async fn a_login_with_another_device_or_from_elsewhere_is_told() {
    let stage = Stage::new().await;
    stage.person("ada@example.org").await;
    let login = async |from: &str, device: &str| {
        stage.login_from("ada@example.org", PASSWORD, from, device).await.unwrap().device_token
    };
    let laptop = login(HOME, "").await;
    assert_eq!(news(&stage).await, [0, 0], "the first login of all is no news");
    login(HOME, &laptop).await;
    login(NEXT_DOOR, &laptop).await;
    assert_eq!(news(&stage).await, [0, 0], "the same device, the same neighbourhood");
    login(AWAY, &laptop).await;
    assert_eq!(news(&stage).await, [0, 1]);
    login(AWAY, "").await;
    assert_eq!(news(&stage).await, [1, 1]);
    // The device of somebody else is none of hers.
    stage.person("bob@example.org").await;
    let bobs = stage.login_from("bob@example.org", PASSWORD, AWAY, "").await.unwrap().device_token;
    login(AWAY, &bobs).await;
    assert_eq!(news(&stage).await, [2, 1]);
    let facts = "SELECT COUNT(*) FROM audit_log WHERE action = 'authn_login_success' \
                 AND detail LIKE '%\"new_network\":true%'";
    assert_eq!(stage.set.number(facts).await, 1);
}

#[tokio::test]
async fn networks_are_kept_as_marks_and_only_so_many() {
    let stage = Stage::new().await;
    stage.person("ada@example.org").await;
    for n in 0..40 {
        let from = format!("198.51.{n}.1");
        stage.advance(std::time::Duration::from_secs(60));
        stage.login_from("ada@example.org", PASSWORD, &from, "").await.unwrap();
    }
    assert_eq!(stage.set.number("SELECT COUNT(*) FROM account_networks").await, 32);
    assert_eq!(news(&stage).await[1], 39);
    // The last ones are remembered, the first one is not.
    for (from, told) in [("198.51.39.7", 39), ("198.51.0.7", 40)] {
        stage.advance(std::time::Duration::from_secs(60));
        stage.login_from("ada@example.org", PASSWORD, from, "").await.unwrap();
        assert_eq!(news(&stage).await[1], told, "{from}");
    }
}

#[tokio::test]
async fn many_accounts_that_fail_from_one_network_are_told_once_with_their_number() {
    let stage = Stage::new().await;
    stage.person("ada@example.org").await;
    for n in 0..12 {
        let email = if n == 3 { "ada@example.org".to_owned() } else { format!("p{n}@example.org") };
        let refused = stage.login_from(&email, "a password from elsewhere", AWAY, "").await;
        assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
        let expected = i64::from(n >= 9);
        assert_eq!(stage.set.events::<CredentialStuffingSuspected>().await, expected, "{n}");
    }
    let entry = "SELECT detail FROM audit_log WHERE action = 'excess_rate_limit_exceeded'";
    let detail = stage.set.text(entry).await;
    assert!(
        detail.contains("\"accounts\":10") && detail.contains("credential_stuffing"),
        "{detail}"
    );
    let address = "SELECT address FROM audit_log WHERE action = 'excess_rate_limit_exceeded'";
    assert_eq!(stage.set.text(address).await, AWAY);
    // Somebody who cannot remember the own password is nobody to tell of.
    let stage = Stage::new().await;
    for _ in 0..5 {
        stage
            .login_from("ada@example.org", "a password from elsewhere", HOME, "")
            .await
            .unwrap_err();
    }
    assert_eq!(stage.set.events::<CredentialStuffingSuspected>().await, 0);
}

#[tokio::test]
async fn a_session_is_listed_with_its_device_and_its_neighbourhood() {
    let stage = Stage::new().await;
    stage.person("ada@example.org").await;
    let login = stage.login_from("ada@example.org", PASSWORD, "2001:db8:7:1::9", "").await.unwrap();
    let request = ListSessionsRequest { user_id: "me".to_owned(), ..Default::default() };
    let request = with_token(&login.access_token, request);
    let listed = stage.sessions().list_sessions(request).await.unwrap().into_inner().sessions;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].network, "2001:db8:7::/48");
    assert_eq!(listed[0].address, "2001:db8:7:1::9");
    assert!(listed[0].current && listed[0].last_active_time.is_some());
}

#[tokio::test]
async fn attempts_that_have_to_wait_are_on_record_with_their_number() {
    let mut stage = Stage::new().await;
    stage.person("ada@example.org").await;
    let mut waiting = 0;
    for _ in 0..40 {
        let refused =
            stage.login_from("ada@example.org", "a wrong password indeed", AWAY, "").await;
        waiting += i64::from(refused.unwrap_err().code() == Code::ResourceExhausted);
    }
    assert!(waiting > 20, "{waiting}");
    while stage.service.asides.step().await.unwrap() > 0 {}
    let rows = "SELECT COUNT(*) FROM audit_log WHERE action = 'authn_login_fail_max'";
    assert_eq!(stage.set.number(rows).await, 1);
    let detail = "SELECT detail FROM audit_log WHERE action = 'authn_login_fail_max'";
    let detail = stage.set.text(detail).await;
    assert!(detail.contains(&format!("\"count\":{waiting}")), "{detail}");
}
