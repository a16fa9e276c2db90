//! What a service that runs alone asks for, and bringing its tables up to date.

use std::process::Output;

use countersign::{Config, UserRole};
use countersign_contracts::user::v1::{
    GetProfileRequest, profile_service_client::ProfileServiceClient,
};
use countersign_mesh::health::v1::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use countersign_types::Clock;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, transport::Endpoint};

use crate::place::{Place, refusal, success};

/// A broker that is not there: nobody waits for it.
const NATS: (&str, &str) = ("COUNTERSIGN_BUS__URL", "nats://127.0.0.1:1");
const SOURCE: (&str, &str) = ("COUNTERSIGN_KEYS__SOURCE", "http://127.0.0.1:1");

fn run(place: &Place, role: &str, variables: &[(&str, &str)]) -> Output {
    place.command(&[role]).envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn a_service_alone_needs_a_broker_and_says_what_to_set() {
    for role in ["auth", "user"] {
        let place = Place::new();
        let refused = refusal(&run(&place, role, &[SOURCE]));
        assert!(refused.contains("COUNTERSIGN_BUS__URL=nats://"), "{refused}");
        assert!(!place.data().exists(), "a refused {role} makes nothing");
    }
}

#[test]
fn the_user_service_needs_to_know_where_the_keys_are() {
    let refused = refusal(&run(&Place::new(), "user", &[NATS]));
    assert!(refused.contains("COUNTERSIGN_KEYS__SOURCE=http://"), "{refused}");
}

#[test]
fn a_key_may_not_sign_before_every_guard_has_fetched_it() {
    let late = ("COUNTERSIGN_KEYS__REFRESH_INTERVAL", "6m");
    for role in ["auth", "user"] {
        let refused = refusal(&run(&Place::new(), role, &[NATS, SOURCE, late]));
        assert!(refused.contains("auth.signing_keys.announce_period"), "{refused}");
    }
}

#[test]
fn a_file_that_the_broker_needs_is_named_where_it_is_missing() {
    let file = ("COUNTERSIGN_BUS__CREDENTIALS_FILE", "/no/such/file.creds");
    let refused = refusal(&run(&Place::new(), "auth", &[NATS, file]));
    assert!(refused.contains("/no/such/file.creds"), "{refused}");
}

#[test]
fn tables_that_nobody_has_migrated_are_refused_where_a_start_may_not() {
    let by_hand = ("COUNTERSIGN_DATABASE__MIGRATE_AT_START", "false");
    for role in ["auth", "user"] {
        let refused = refusal(&run(&Place::new(), role, &[NATS, SOURCE, by_hand]));
        assert!(refused.contains("countersign migrate"), "{refused}");
        assert!(refused.contains("events_000001_tables"), "{refused}");
    }
    let refused = refusal(&Place::new().command(&[]).envs([by_hand]).output().unwrap());
    assert!(refused.contains("countersign migrate"), "{refused}");
}

#[test]
fn migrating_tells_each_step_and_does_it_once() {
    let place = Place::new();
    let told = success(&place.run(&["migrate"]));
    for step in ["auth: auth_000001_tables done", "user: user_000001_profiles done"] {
        assert!(told.contains(step), "{told}");
    }
    let again = success(&place.run(&["migrate"]));
    assert_eq!(again, "auth: up to date\nuser: up to date\n");
    assert!(!place.data().join("master.key").exists(), "tables need no key");
}

#[test]
fn the_tables_of_one_service_are_migrated_alone() {
    let place = Place::new();
    let told = success(&place.run(&["migrate", "user"]));
    assert!(told.contains("user_000001_profiles") && !told.contains("auth:"), "{told}");
    assert!(!place.data().join("auth.db").exists());
}

#[test]
fn many_that_migrate_at_once_agree_on_one() {
    let place = Place::new();
    let all: Vec<_> = (0..4)
        .map(|_| {
            let mut command = place.command(&["migrate", "auth"]);
            command.stdout(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let told: String =
        all.into_iter().map(|one| success(&one.wait_with_output().unwrap())).collect();
    assert_eq!(told.matches("auth_000001_tables done").count(), 1, "{told}");
}

#[tokio::test]
async fn a_user_service_that_knows_nothing_yet_says_so_and_lets_nobody_in() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config { data_dir: folder.path().join("data"), ..Config::default() };
    config.bus.url = Some(NATS.1.to_owned());
    config.keys.source = vec![SOURCE.1.to_owned()];
    let role = UserRole::build(&config, Clock::system()).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let served = tokio::spawn(role.serve(listener, stop.clone()));
    let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();

    let mut health = HealthClient::new(channel.clone());
    for (service, expected) in [
        ("", ServingStatus::NotServing),
        ("countersign.user.v1.ProfileService", ServingStatus::NotServing),
        ("countersign.bus", ServingStatus::NotServing),
        // A restart would not help.
        ("countersign.process", ServingStatus::Serving),
    ] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let status = health.check(request).await.unwrap().into_inner().status();
        assert_eq!(status, expected, "{service:?}");
    }
    let mut call = Request::new(GetProfileRequest { user_id: "me".to_owned() });
    call.metadata_mut().insert("authorization", "Bearer v4.public.x".parse().unwrap());
    let refused = ProfileServiceClient::new(channel).get_profile(call).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    stop.cancel();
    served.await.unwrap().unwrap();
}
