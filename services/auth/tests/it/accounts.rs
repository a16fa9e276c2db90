//! Registering and logging in.

use std::time::Duration;

use countersign_contracts::{
    auth::v1::AccountStatus,
    events::v1::{LoginFailed, LoginSucceeded, UserCreated},
};
use tonic::Code;
use tonic_types::StatusExt;
use unicode_normalization::UnicodeNormalization;

use crate::stage::{PASSWORD, Set, Stage, config, reason, retry_after};

#[tokio::test]
async fn an_account_can_log_in_once_its_profile_exists() {
    let stage = Stage::new().await;
    let account = stage.register("Ada@Example.org", PASSWORD).await.unwrap().account.unwrap();
    assert_eq!(account.status(), AccountStatus::Pending);
    assert_eq!(account.email, "ada@example.org");
    assert_eq!(stage.set.events::<UserCreated>().await, 1);

    let early = stage.login("ada@example.org", PASSWORD).await.unwrap_err();
    assert_eq!(
        (early.code(), reason(&early)),
        (Code::FailedPrecondition, "ACCOUNT_PENDING".into())
    );
    assert!(retry_after(&early).is_some());
    let wrong = stage.login("ada@example.org", "something else entirely").await.unwrap_err();
    assert_eq!(reason(&wrong), "BAD_CREDENTIALS");

    stage.profile_created(&account.id).await;
    stage.profile_created(&account.id).await;
    let login = stage.login("ADA@example.org", PASSWORD).await.unwrap();
    assert_eq!(login.account.unwrap().status(), AccountStatus::Active);
    assert_eq!(login.session.unwrap().user_id, account.id);
    assert_eq!(stage.set.events::<LoginSucceeded>().await, 1);
}

#[tokio::test]
async fn a_password_may_be_typed_on_another_keyboard() {
    let stage = Stage::new().await;
    let typed = "zoë's eleven tired owls";
    let account = stage.register("zoe@example.org", typed).await.unwrap().account.unwrap();
    stage.profile_created(&account.id).await;
    let decomposed = typed.replace('ë', "e\u{308}");
    assert!(stage.login("zoe@example.org", &decomposed).await.is_ok());
}

#[tokio::test]
async fn a_long_password_is_taken_in_its_longest_spelling() {
    let stage = Stage::new().await;
    // Syllables that end in a consonant: three letters each once taken apart.
    let typed: String = ('각'..='힣').step_by(28 * 3).take(128).collect();
    let apart: String = typed.nfd().collect();
    assert_eq!((typed.chars().count(), apart.len()), (128, 1_152));
    let account = stage.register("ada@example.org", &apart).await.unwrap().account.unwrap();
    stage.profile_created(&account.id).await;
    assert!(stage.login("ada@example.org", &typed).await.is_ok());
    assert!(stage.login("ada@example.org", &apart).await.is_ok());

    let endless = "x".repeat(4_097);
    for refused in [
        stage.register("bob@example.org", &endless).await.map(drop),
        stage.login("ada@example.org", &endless).await.map(drop),
    ] {
        assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn all_broken_rules_come_back_at_once() {
    let stage = Stage::new().await;
    let refused = stage.register("no address", "short").await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let violations = refused.get_details_bad_request().unwrap().field_violations;
    let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["email", "password"]);
    let common = stage.register("ada@example.org", "passwordpassword").await.unwrap_err();
    assert!(common.message().starts_with("password: must not be a common password"));
    assert_eq!(stage.set.number("SELECT COUNT(*) FROM accounts").await, 0);
}

#[tokio::test]
async fn a_taken_address_is_refused_and_its_account_untouched() {
    let stage = Stage::new().await;
    stage.person("ada@example.org").await;
    let refused = stage.register("ada@example.org", "another fine phrase").await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused)), (Code::AlreadyExists, "EMAIL_TAKEN".into()));
    assert!(stage.login("ada@example.org", PASSWORD).await.is_ok());
    assert!(stage.login("ada@example.org", "another fine phrase").await.is_err());
    assert_eq!(stage.set.events::<UserCreated>().await, 1);
}

#[tokio::test]
async fn quiet_registration_gives_one_answer_for_both() {
    let mut quiet = config();
    quiet.registration.quiet = true;
    let stage = Set::new(quiet).await.start().await.unwrap();
    let first = stage.register("ada@example.org", PASSWORD).await.unwrap();
    let hash = stage.set.text("SELECT hash FROM credentials").await;
    let second = stage.register("ada@example.org", "another fine phrase").await.unwrap();
    assert_eq!(first, second);
    assert_eq!(first.account.unwrap().id, "");
    assert_eq!(stage.set.text("SELECT hash FROM credentials").await, hash);
    assert_eq!(stage.set.events::<UserCreated>().await, 1);
}

#[tokio::test]
async fn an_unknown_address_and_a_wrong_password_look_the_same() {
    let stage = Stage::new().await;
    stage.person("ada@example.org").await;
    let rows = || async {
        let events = stage.set.events::<LoginFailed>().await;
        events * 1_000 + stage.set.number("SELECT COUNT(*) FROM audit_log").await
    };
    let before = rows().await;
    let wrong = stage.login("ada@example.org", "something else entirely").await.unwrap_err();
    let between = rows().await;
    let unknown = stage.login("bob@example.org", "something else entirely").await.unwrap_err();
    let after = rows().await;
    assert_eq!(wrong.code(), Code::Unauthenticated);
    assert_eq!(
        (wrong.code(), wrong.message(), wrong.details()),
        (unknown.code(), unknown.message(), unknown.details())
    );
    assert_eq!(between - before, after - between);
}

#[tokio::test]
async fn a_guesser_is_slowed_down_and_told_how_long() {
    let stage = Stage::new().await;
    stage.person("ada@example.org").await;
    let refused = loop {
        let failed = stage.login("ada@example.org", "something else entirely").await.unwrap_err();
        if failed.code() == Code::ResourceExhausted {
            break failed;
        }
    };
    assert_eq!(reason(&refused), "TOO_MANY_ATTEMPTS");
    stage.advance(retry_after(&refused).unwrap());
    assert!(stage.login("ada@example.org", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn strangers_cannot_lock_out_the_device_of_an_owner_even_after_a_restart() {
    let stage = Stage::new().await;
    stage.person("ada@example.org").await;
    let login = stage.login_from("ada@example.org", PASSWORD, "198.51.100.7", "").await.unwrap();
    let stage = stage.set.start().await.unwrap();
    // Some of them share an address with the owner.
    for stranger in (0..60).chain([0; 10]) {
        let from = format!("192.0.2.{stranger}");
        let _ = stage.login_from("ada@example.org", "something else entirely", &from, "").await;
    }
    let here = "192.0.2.0";
    let new_device = stage.login_from("ada@example.org", PASSWORD, here, "").await.unwrap_err();
    assert_eq!(reason(&new_device), "TOO_MANY_ATTEMPTS");
    let again = stage.login_from("ada@example.org", PASSWORD, here, &login.device_token).await;
    let again = again.unwrap();
    assert!(again.device_token.starts_with("csd1_"));
    stage.login_from("ada@example.org", PASSWORD, here, &again.device_token).await.unwrap();

    stage.advance(stage.set.config.throttle.device_lifetime);
    for stranger in 0..60 {
        let from = format!("192.0.2.{stranger}");
        let _ = stage.login_from("ada@example.org", "something else entirely", &from, "").await;
    }
    let old = stage.login_from("ada@example.org", PASSWORD, here, &again.device_token).await;
    assert_eq!(reason(&old.unwrap_err()), "TOO_MANY_ATTEMPTS");
}

#[tokio::test]
async fn an_unknown_address_looks_like_a_known_one_however_far_the_throttle_went() {
    let stage = Stage::new().await;
    stage.person("ada@example.org").await;
    stage.person("eve@example.org").await;
    let here = "192.0.2.1";
    let eve = stage.login_from("eve@example.org", PASSWORD, here, "").await.unwrap().device_token;
    let ada = stage.login_from("ada@example.org", PASSWORD, here, "").await.unwrap();
    let guess = |email: &'static str, from: &'static str, device: String| {
        let stage = &stage;
        async move {
            let wrong = "something else entirely";
            let refused = stage.login_from(email, wrong, from, &device).await.unwrap_err();
            (refused.code(), refused.message().to_owned(), refused.details().to_vec())
        }
    };
    for round in 0..80 {
        let from = ["192.0.2.1", "198.51.100.7"][round % 2];
        let device = if round % 3 == 0 { eve.clone() } else { String::new() };
        let known = guess("ada@example.org", from, device.clone()).await;
        let unknown = guess("bob@example.org", from, device).await;
        assert_eq!(known, unknown, "in round {round}");
        if round == 40 {
            // Not even a login of the owner shows.
            let owner = &ada.device_token;
            stage.login_from("ada@example.org", PASSWORD, here, owner).await.unwrap();
        }
        stage.advance(Duration::from_millis(700 * (round as u64 % 5)));
    }
}

#[tokio::test]
async fn registrations_have_a_rate() {
    let mut slow = config();
    slow.throttle.registrations_per_minute = 1;
    let stage = Set::new(slow).await.start().await.unwrap();
    for n in 0..3 {
        stage.register(&format!("user{n}@example.org"), PASSWORD).await.unwrap();
    }
    let refused = stage.register("user3@example.org", PASSWORD).await.unwrap_err();
    assert_eq!(reason(&refused), "TOO_MANY_ATTEMPTS");
    stage.advance(Duration::from_secs(60));
    assert!(stage.register("user3@example.org", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn a_password_is_hashed_anew_when_the_settings_ask_for_more() {
    let stage = Stage::new().await;
    stage.person("ada@example.org").await;
    let Stage { mut set, .. } = stage;
    set.config.hashing.iterations = 2;
    let stage = set.start().await.unwrap();
    let hash = "SELECT hash FROM credentials";
    assert!(stage.set.text(hash).await.contains("t=1"));
    assert!(stage.login("ada@example.org", "something else entirely").await.is_err());
    assert!(stage.set.text(hash).await.contains("t=1"));
    assert!(stage.login("ada@example.org", PASSWORD).await.is_ok());
    assert!(stage.set.text(hash).await.contains("t=2"));
    assert!(stage.login("ada@example.org", PASSWORD).await.is_ok());
}
