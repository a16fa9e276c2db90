//! Starting: on the same data again, with the wrong secrets, and what an
//! operator does beside it.

use std::{fs::Permissions, io::Write, os::unix::fs::PermissionsExt};

use countersign_auth::Error;
use countersign_contracts::{auth::v1::ListSessionsRequest, events::v1::UserCreated};
use countersign_seal::MasterKey;
use countersign_types::Tenant;

use crate::stage::{PASSWORD, Set, Stage, config, with_token};

const EMAIL: &str = "ada@example.org";

async fn refusal(set: Set) -> String {
    match set.start().await {
        Ok(_) => panic!("the start is not refused"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_second_start_goes_on_where_the_first_stopped() {
    let stage = Stage::new().await;
    stage.person(EMAIL).await;
    let login = stage.login(EMAIL, PASSWORD).await.unwrap();
    let stage = stage.set.start().await.unwrap();
    let request = ListSessionsRequest { user_id: "me".to_owned(), ..Default::default() };
    let request = with_token(&login.access_token, request);
    assert!(stage.sessions().list_sessions(request).await.is_ok());
    assert!(stage.refresh(&login.refresh_token).await.is_ok());
    assert!(stage.login(EMAIL, PASSWORD).await.is_ok());
}

#[tokio::test]
async fn another_master_key_is_refused_with_a_sentence_that_helps() {
    let stage = Stage::new().await;
    let right = stage.set.master.id();
    let wrong = MasterKey::generate().unwrap();
    let refused = refusal(Set { master: wrong.clone(), ..stage.set }).await;
    for part in ["master key does not fit this database", &right, &wrong.id(), "put back"] {
        assert!(refused.contains(part), "{refused}");
    }
}

#[tokio::test]
async fn a_pepper_can_join_and_can_not_be_lost() {
    let stage = Stage::new().await;
    stage.person(EMAIL).await;
    let mut pepper = tempfile::NamedTempFile::new().unwrap();
    writeln!(pepper, "a pepper of our own").unwrap();
    let mut set = stage.set;
    set.config.hashing.pepper_file = Some(pepper.path().to_owned());
    let stage = set.start().await.unwrap();
    stage.login(EMAIL, PASSWORD).await.unwrap();
    assert!(stage.set.text("SELECT hash FROM credentials").await.contains("keyid="));
    stage.login(EMAIL, PASSWORD).await.unwrap();

    let mut set = stage.set;
    set.config.hashing.pepper_file = None;
    let refused = refusal(set).await;
    assert!(refused.contains("hashing.pepper_file"), "{refused}");
    assert!(!refused.contains("a pepper of our own"), "{refused}");
}

#[tokio::test]
async fn a_pepper_that_others_can_read_is_refused_with_what_to_do() {
    let mut pepper = tempfile::NamedTempFile::new().unwrap();
    writeln!(pepper, "a pepper of our own").unwrap();
    for mode in [0o640, 0o604, 0o620] {
        pepper.as_file().set_permissions(Permissions::from_mode(mode)).unwrap();
        let mut config = config();
        config.hashing.pepper_file = Some(pepper.path().to_owned());
        let refused = refusal(Set::new(config).await).await;
        let path = pepper.path().display();
        assert!(refused.contains(&format!("chmod 0600 {path}")), "{refused}");
    }
}

#[tokio::test]
async fn a_setting_out_of_bounds_stops_the_start() {
    let mut bad = config();
    bad.hashing.queue = 0;
    let refused = refusal(Set::new(bad).await).await;
    assert!(refused.contains("hashing.queue"), "{refused}");
}

#[tokio::test]
async fn an_operator_makes_an_account_with_a_role() {
    let stage = Stage::new().await;
    let set = &stage.set;
    let keeper = set.keeper().await;
    let make = |email: &str, password: &str, role: &str| {
        let (email, password, roles) =
            (email.to_owned(), password.to_owned(), vec![role.to_owned()]);
        keeper.create_account(&set.config, email, password, roles, Tenant::default())
    };
    let id = make(EMAIL, PASSWORD, "admin").await.unwrap();
    assert_eq!(set.events::<UserCreated>().await, 1);
    stage.profile_created(&id.to_string()).await;
    let login = stage.login(EMAIL, PASSWORD).await.unwrap();
    assert_eq!(login.account.unwrap().roles, ["admin"]);

    assert!(matches!(make(EMAIL, PASSWORD, "admin").await, Err(Error::EmailTaken)));
    let broken = make("bob", "short", "No Role").await;
    assert!(matches!(broken, Err(Error::Invalid(rules)) if rules.len() == 3));
    let endless = make("bob@example.org", &PASSWORD.repeat(200), "admin").await;
    let Err(Error::Invalid(rules)) = endless else { panic!("a password without end is taken") };
    assert_eq!((rules.len(), rules[0].rule.as_ref()), (1, "string.max_bytes"));
}
