//! Where settings come from, and what is refused.

use std::{fs, time::Duration};

use countersign_mesh::config::{
    DatabaseConfig, LogConfig, LogFormat, ServerConfig, Sources, effective, load, reference,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

/// The settings of a process, as an executable puts them together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Config {
    server: ServerConfig,
    database: DatabaseConfig,
    log: LogConfig,
    passwords: Passwords,
}

/// Rules of passwords.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Passwords {
    /// Words that no password | may hold.
    words: Vec<String>,
}

fn file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    file
}

fn environment(pairs: &[(&str, &str)]) -> Sources {
    let environment = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Sources {
        environment: environment.collect(),
        short: vec![("COUNTERSIGN_LISTEN", "server.listen")],
        ignored: vec!["COUNTERSIGN_CONFIG"],
        ..Sources::default()
    }
}

fn refusal(sources: &Sources) -> String {
    load(&Config::default(), sources).unwrap_err().to_string()
}

#[test]
fn each_source_overrides_the_one_before() {
    let file = file(
        "[server]\nmax_connections = 1\nmax_concurrent_streams = 1\nmax_concurrent_calls = 1\n",
    );
    let sources = Sources {
        file: Some(file.path().to_owned()),
        overrides: vec![("server.max_concurrent_calls".to_owned(), "3".to_owned())],
        ..environment(&[
            ("COUNTERSIGN_SERVER__MAX_CONCURRENT_STREAMS", "2"),
            ("COUNTERSIGN_SERVER__MAX_CONCURRENT_CALLS", "2"),
        ])
    };
    let server = load(&Config::default(), &sources).unwrap().server;
    assert_eq!(server.max_header_bytes, ServerConfig::default().max_header_bytes);
    assert_eq!(server.max_connections, 1);
    assert_eq!(server.max_concurrent_streams, 2);
    assert_eq!(server.max_concurrent_calls, 3);
}

#[test]
fn every_kind_of_value_can_come_from_the_environment() {
    let config = load(
        &Config::default(),
        &environment(&[
            ("COUNTERSIGN_SERVER__DRAIN_TIMEOUT", "1m 30s"),
            ("COUNTERSIGN_SERVER__TCP_NODELAY", "false"),
            ("COUNTERSIGN_LOG__FORMAT", "json"),
            ("COUNTERSIGN_LOG__LEVEL", "12"),
            ("COUNTERSIGN_DATABASE__URL_FILE", "/run/secrets/url"),
            ("COUNTERSIGN_PASSWORDS__WORDS", "one, 2"),
        ]),
    )
    .unwrap();
    assert_eq!(config.server.drain_timeout, Duration::from_secs(90));
    assert!(!config.server.tcp_nodelay);
    assert_eq!(config.log, LogConfig { level: "12".to_owned(), format: LogFormat::Json });
    assert_eq!(config.database.url_file.unwrap().to_str(), Some("/run/secrets/url"));
    assert_eq!(config.passwords.words, ["one", "2"]);
}

#[test]
fn a_short_variable_names_the_same_setting_and_the_long_one_wins() {
    let listen = |pairs: &[(&str, &str)]| {
        load(&Config::default(), &environment(pairs)).unwrap().server.listen.to_string()
    };
    let short = ("COUNTERSIGN_LISTEN", "127.0.0.1:1");
    let long = ("COUNTERSIGN_SERVER__LISTEN", "127.0.0.1:2");
    assert_eq!(listen(&[short]), "127.0.0.1:1");
    assert_eq!(listen(&[long, short]), "127.0.0.1:2");
    assert_eq!(listen(&[short, long]), "127.0.0.1:2");
}

#[test]
fn variables_of_others_are_left_alone() {
    let sources = environment(&[
        ("PATH", "/bin"),
        ("COUNTERSIGN_TEST_URL", "x"),
        ("COUNTERSIGN_CONFIG", "x"),
    ]);
    assert_eq!(load(&Config::default(), &sources).unwrap(), Config::default());
}

#[test]
fn an_unknown_setting_is_refused_by_name_and_place() {
    let misspelt = file("[server]\nmax_conections = 5\n");
    let path = misspelt.path().display().to_string();
    let sources = Sources { file: Some(misspelt.path().to_owned()), ..Sources::default() };
    assert_eq!(
        refusal(&sources),
        format!(
            "unknown setting server.max_conections in {path}, did you mean server.max_connections?"
        )
    );
    assert_eq!(
        refusal(&environment(&[("COUNTERSIGN_SERVER_LISTEN", "secret")])),
        "unknown setting COUNTERSIGN_SERVER_LISTEN in the environment, \
         did you mean COUNTERSIGN_SERVER__LISTEN?"
    );
    assert_eq!(
        refusal(&environment(&[("COUNTERSIGN_FLAVOUR", "secret")])),
        "unknown setting COUNTERSIGN_FLAVOUR in the environment"
    );
    let overrides = vec![("flavour".to_owned(), "secret".to_owned())];
    assert_eq!(
        refusal(&Sources { overrides, ..Sources::default() }),
        "unknown setting flavour in the command line"
    );
}

#[test]
fn a_value_of_the_wrong_form_is_refused_by_name_and_place() {
    assert_eq!(
        refusal(&environment(&[("COUNTERSIGN_SERVER__MAX_CONNECTIONS", "many")])),
        "server.max_connections in the environment variable \
         COUNTERSIGN_SERVER__MAX_CONNECTIONS: must be a whole number"
    );
    for (name, value) in [
        ("COUNTERSIGN_SERVER__LISTEN", "everywhere"),
        ("COUNTERSIGN_SERVER__DRAIN_TIMEOUT", "later"),
        ("COUNTERSIGN_SERVER__MAX_CONNECTIONS", "-1"),
        ("COUNTERSIGN_LOG__FORMAT", "xml"),
    ] {
        let refusal = refusal(&environment(&[(name, value)]));
        assert!(refusal.contains(name), "{refusal}");
    }
    let wrong = file("[server]\nlisten = 5\n");
    let refusal = refusal(&Sources { file: Some(wrong.path().to_owned()), ..Sources::default() });
    let path = wrong.path().display().to_string();
    assert!(refusal.starts_with(&format!("server.listen in {path}: ")), "{refusal}");
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_refused() {
    let missing = Sources { file: Some("/no/such.toml".into()), ..Sources::default() };
    assert!(refusal(&missing).starts_with("cannot read /no/such.toml: "));
    let broken = file("[server]\nlisten = \"secret\n");
    let refusal = refusal(&Sources { file: Some(broken.path().to_owned()), ..Sources::default() });
    assert!(refusal.contains("is not valid TOML") && refusal.contains("in line 2"), "{refusal}");
    assert!(!refusal.contains("secret"));
}

#[test]
fn a_value_outside_of_its_range_is_refused_by_name() {
    ServerConfig::default().validate("server").unwrap();
    DatabaseConfig::default().validate("database").unwrap();
    LogConfig::default().validate("log").unwrap();
    let server = ServerConfig { max_connections: 0, ..ServerConfig::default() };
    assert_eq!(
        server.validate("server").unwrap_err().to_string(),
        "server.max_connections must be from 1 to 100000, and is 0"
    );
    let server = ServerConfig { max_request_timeout: Duration::ZERO, ..ServerConfig::default() };
    assert_eq!(
        server.validate("server").unwrap_err().to_string(),
        "server.max_request_timeout must be from 15s to 1h, and is 0s"
    );
    let log = LogConfig { level: "loud=please".to_owned(), ..LogConfig::default() };
    assert!(log.validate("log").unwrap_err().to_string().starts_with("log.level must be"));
}

#[test]
fn a_password_in_the_url_is_refused_without_repeating_it() {
    let url = |url: &str| DatabaseConfig { url: Some(url.to_owned()), ..DatabaseConfig::default() };
    url("postgres://ada@db.example/countersign").validate("database").unwrap();
    for with_password in
        ["postgres://ada:hush@db.example/countersign", "postgres://db.example/x?password=hush"]
    {
        let refusal = url(with_password).validate("database").unwrap_err().to_string();
        assert!(refusal.contains("database.url_file") && !refusal.contains("hush"), "{refusal}");
    }
}

#[test]
fn the_effective_settings_read_back_and_hide_passwords() {
    let mut config = Config::default();
    config.server.drain_timeout = Duration::from_secs(7);
    config.database.url_file = Some("/run/secrets/url".into());
    let text = effective(&config).unwrap();
    assert!(text.contains("url_file = \"/run/secrets/url\""));
    let written = file(&text);
    let sources = Sources { file: Some(written.path().to_owned()), ..Sources::default() };
    assert_eq!(load(&Config::default(), &sources).unwrap(), config);

    config.database.url = Some("postgres://ada:hush@db.example/x".to_owned());
    let text = effective(&config).unwrap();
    assert!(text.contains("postgres://ada:***@db.example/x"), "{text}");
}

#[test]
fn the_reference_has_a_row_for_each_setting() {
    let table = reference(&Config::default(), &[("COUNTERSIGN_LISTEN", "server.listen")]);
    for row in [
        "| key | environment | type | default | what it is |",
        "| `server.listen` | `COUNTERSIGN_LISTEN` or `COUNTERSIGN_SERVER__LISTEN` | text | \
         `127.0.0.1:50051` | Address and port to listen on. |",
        "| `server.drain_timeout` | `COUNTERSIGN_SERVER__DRAIN_TIMEOUT` | duration | `20s` | \
         How long open calls, and then background tasks, may take to end when the server stops, \
         0s to 10m. |",
        "| `log.format` | `COUNTERSIGN_LOG__FORMAT` | `text`, `json` | `text` | \
         `text` for people, `json` for machines. |",
        "| `passwords.words` | `COUNTERSIGN_PASSWORDS__WORDS` | list of text | empty | \
         Words that no password \\| may hold. |",
    ] {
        assert!(table.lines().any(|line| line == row), "{row}\nis missing in\n{table}");
    }
    assert!(
        table.contains("| `database.url_file` | `COUNTERSIGN_DATABASE__URL_FILE` | text | unset |")
    );
    assert_eq!(table, reference(&Config::default(), &[("COUNTERSIGN_LISTEN", "server.listen")]));
    assert_eq!(table.lines().count(), 2 + 29 + 6 + 2 + 1);
}
