//! The whole configuration: which source wins, what is refused, and that its
//! reference is up to date.

use std::{ffi::OsString, fs, net::SocketAddr, path::PathBuf};

use countersign::{Config, Flags};
use countersign_mesh::config::Sources;

/// Sources with this file and these variables.
fn sources(file: Option<PathBuf>, variables: &[(&str, &str)]) -> Sources {
    let pair = |(name, value): &(&str, &str)| (OsString::from(name), OsString::from(value));
    Sources { file, environment: variables.iter().map(pair).collect(), ..Sources::default() }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn refusal(variables: &[(&str, &str)]) -> String {
    Config::from_sources(sources(None, variables), &Flags::default()).unwrap_err().to_string()
}

#[test]
fn nothing_has_to_be_set() {
    let config = Config::from_sources(Sources::default(), &Flags::default()).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.server.listen, address("127.0.0.1:50051"));
    assert_eq!(config.data_dir, PathBuf::from("data"));
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("countersign.toml");
    let text = "data_dir = \"file\"\n[server]\nlisten = \"127.0.0.1:1\"\n\
                [token]\nissuer = \"file\"\n[auth.password]\nmin_length = 20\n";
    fs::write(&file, text).unwrap();
    let variables =
        [("COUNTERSIGN_DATA_DIR", "environment"), ("COUNTERSIGN_LISTEN", "127.0.0.1:2")];
    let flags = Flags { listen: Some(address("127.0.0.1:3")), ..Flags::default() };

    let config = Config::from_sources(sources(Some(file), &variables), &flags).unwrap();
    assert_eq!(config.server.listen, address("127.0.0.1:3"), "flag over environment");
    assert_eq!(config.data_dir, PathBuf::from("environment"), "environment over file");
    assert_eq!(config.token.issuer, "file", "file over default");
    assert_eq!(config.auth.password.min_length, 20, "sections of services are reached");
    assert_eq!(config.token.audience, Config::default().token.audience, "the rest is default");
}

#[test]
fn the_data_folder_is_a_flag_as_well() {
    let flags = Flags { data_dir: Some(PathBuf::from("flag")), ..Flags::default() };
    let variables = [("COUNTERSIGN_DATA_DIR", "environment")];
    let config = Config::from_sources(sources(None, &variables), &flags).unwrap();
    assert_eq!(config.data_dir, PathBuf::from("flag"));
}

#[test]
fn a_name_that_does_not_exist_is_refused_with_its_source() {
    let refused = refusal(&[("COUNTERSIGN_LISTN", "127.0.0.1:1")]);
    assert!(refused.contains("COUNTERSIGN_LISTN") && refused.contains("environment"), "{refused}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("countersign.toml");
    fs::write(&file, "[token]\nisuer = \"x\"\n").unwrap();
    let refused = Config::from_sources(sources(Some(file), &[]), &Flags::default()).unwrap_err();
    let refused = refused.to_string();
    assert!(refused.contains("token.isuer") && refused.contains("countersign.toml"), "{refused}");
}

#[test]
fn the_variable_that_names_the_file_is_no_setting() {
    let config =
        Config::from_sources(sources(None, &[("COUNTERSIGN_CONFIG", "x")]), &Flags::default());
    assert!(config.is_ok());
}

#[test]
fn every_section_checks_its_values() {
    for (variable, value, key) in [
        ("COUNTERSIGN_SERVER__MAX_MESSAGE_BYTES", "1", "server.max_message_bytes"),
        ("COUNTERSIGN_LOG__LEVEL", "info,[", "log.level"),
        ("COUNTERSIGN_TOKEN__ISSUER", "", "token.issuer"),
        ("COUNTERSIGN_TOKEN__LEEWAY", "2m", "token.leeway"),
        ("COUNTERSIGN_DATABASE__AUTH__MAX_CONNECTIONS", "0", "database.auth.max_connections"),
        ("COUNTERSIGN_DATABASE__USER__BUSY_TIMEOUT", "1h", "database.user.busy_timeout"),
        ("COUNTERSIGN_TOKEN__MAX_STALENESS", "1s", "token.max_staleness"),
        ("COUNTERSIGN_TOKEN__ATTRIBUTES", "department", "token.attributes"),
        ("COUNTERSIGN_TOKEN__ATTRIBUTES", "tenant:string", "token.attributes"),
        ("COUNTERSIGN_TOKEN__ATTRIBUTES_ELSEWHERE", "department", "token.attributes_elsewhere"),
        ("COUNTERSIGN_BUS__URL", "127.0.0.1:4222", "bus.url must be nats://HOST:PORT"),
        ("COUNTERSIGN_BUS__URL", "nats://a:4222, http://b:4222", "bus.url must be nats://"),
        ("COUNTERSIGN_BUS__URL", "nats://me:hush@a:4222", "bus.credentials_file"),
        ("COUNTERSIGN_BUS__KEY_FILE", "key.pem", "bus.certificate_file"),
        ("COUNTERSIGN_BUS__STREAM", "a.b", "bus.stream"),
        ("COUNTERSIGN_BUS__REPLICAS", "6", "bus.replicas"),
        ("COUNTERSIGN_BUS__MAX_AGE", "1h", "bus.max_age"),
        ("COUNTERSIGN_POLICIES__BASE", "false", "policies.dir"),
        ("COUNTERSIGN_KEYS__SOURCE", "127.0.0.1:50051", "keys.source"),
        ("COUNTERSIGN_KEYS__REFRESH_INTERVAL", "0s", "keys.refresh_interval"),
        ("COUNTERSIGN_AUTH__PASSWORD__MIN_LENGTH", "1", "password.min_length"),
        ("COUNTERSIGN_USER__MAX_DELIVERIES", "0", "user.max_deliveries"),
    ] {
        let refused = refusal(&[(variable, value)]);
        assert!(refused.contains(key), "{variable}: {refused}");
    }
}

#[test]
fn a_secret_of_the_broker_is_not_repeated() {
    let refused = refusal(&[("COUNTERSIGN_BUS__URL", "nats://me:hush@a:4222")]);
    assert!(!refused.contains("hush"), "{refused}");
}

#[test]
fn what_is_printed_can_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("countersign.toml");
    let variables = [("COUNTERSIGN_LISTEN", "127.0.0.1:7"), ("COUNTERSIGN_TOKEN__LEEWAY", "1s")];
    let config = Config::from_sources(sources(None, &variables), &Flags::default()).unwrap();
    fs::write(&file, config.effective().unwrap()).unwrap();
    let again = Config::from_sources(sources(Some(file), &[]), &Flags::default()).unwrap();
    assert_eq!(again, config);
}

#[test]
fn the_reference_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let committed = fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == Config::reference(),
        "docs/configuration.md is out of date: run `make reference` and commit it"
    );
}
