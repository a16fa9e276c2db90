//! The executable as an operator meets it: exit codes, sentences, and what a
//! command prints.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, path::Path, process::Stdio};

use countersign::DataFolder;

use crate::place::{PASSWORD, Place, refusal, success};

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let place = Place::new();
    let _first = DataFolder::claim(&place.data()).unwrap();
    let refused = refusal(&place.run(&[]));
    assert!(refused.contains("in use by another countersign"), "{refused}");
}

#[test]
fn a_port_that_is_taken_is_a_sentence() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = refusal(&place.run(&["--listen", &address]));
    assert!(refused.contains("another process does already"), "{refused}");
}

#[test]
fn an_exposed_data_folder_is_refused() {
    let place = Place::new();
    fs::create_dir(place.data()).unwrap();
    fs::set_permissions(place.data(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(refusal(&place.run(&[])).contains("chmod 0700"));
}

#[test]
fn a_misspelt_setting_is_refused() {
    let place = Place::new();
    let output = place.command(&[]).env("COUNTERSIGN_DATA_DRI", "x").output().unwrap();
    assert!(refusal(&output).contains("did you mean COUNTERSIGN_DATA_DIR"));
}

#[test]
fn the_settings_in_force_are_printed() {
    let place = Place::new();
    let printed = success(&place.run(&["config", "--listen", "127.0.0.1:7777"]));
    assert!(printed.contains("listen = \"127.0.0.1:7777\""), "{printed}");
    assert!(!place.data().exists(), "printing makes nothing");
}

#[test]
fn the_first_administrator_is_made_without_a_server() {
    let place = Place::new();
    let line = ["account", "create", "--email", "Root@Example.org", "--role", "admin"];
    let printed = success(&place.pipe(&[&line[..], &["--password-stdin"]].concat(), PASSWORD));
    assert!(printed.contains("admin"), "{printed}");
    let events = success(&place.run(&["events", "list"]));
    assert!(events.contains("UserCreated"), "{events}");
    only_the_owner_reads(&place.data());

    let file = place.folder().join("password");
    fs::write(&file, PASSWORD).unwrap();
    let again = place.run(&[&line[..], &["--password-file", file.to_str().unwrap()]].concat());
    let refused = refusal(&again);
    assert!(refused.contains("address"), "{refused}");
    assert!(!refused.to_lowercase().contains("root@example.org"), "{refused}");
}

#[test]
fn a_weak_password_is_refused_with_the_rule() {
    let place = Place::new();
    let line = ["account", "create", "--email", "root@example.org", "--password-stdin"];
    let refused = refusal(&place.pipe(&line, "password"));
    assert!(refused.contains("password"), "{refused}");
    let refused = refusal(&place.run(&line[..4]));
    assert!(refused.contains("--password-file"), "{refused}");
}

#[test]
fn a_dead_letter_that_does_not_exist_is_a_sentence() {
    let place = Place::new();
    let event = "0197a1b2-c3d4-7000-8000-00000000000a";
    for command in ["requeue", "drop"] {
        let output = place.run(&["events", command, event, "--consumer", "user.activity"]);
        assert!(refusal(&output).contains("events dead"), "{command}");
    }
    assert_eq!(success(&place.run(&["events", "dead"])).lines().count(), 1);
    assert!(success(&place.run(&["events", "replay", "--since", "1h"])).starts_with("0 events"));
}

#[test]
fn keys_are_listed_and_rotated_without_a_server() {
    let place = Place::new();
    for _first_and_second in 0..2 {
        success(&place.run(&["keys", "rotate"]));
    }
    let listed = success(&place.run(&["keys", "list"]));
    assert!(listed.contains("signing") && listed.contains("announced"), "{listed}");
    assert!(success(&place.run(&["keys", "rotate"])).contains("already"));
    success(&place.run(&["audit", "verify"]));
}

#[test]
fn commands_on_a_new_folder_do_not_get_in_each_others_way() {
    let place = Place::new();
    let spawn = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let commands: Vec<_> = (0..4).map(|_| spawn(&["keys", "rotate"])).collect();
    for command in commands {
        success(&command.wait_with_output().unwrap());
    }
    let server = DataFolder::claim(&place.data());
    assert!(server.is_ok(), "none of them holds the folder any more");
}

#[test]
fn a_master_key_that_is_lost_is_not_replaced() {
    let place = Place::new();
    success(&place.run(&["keys", "rotate"]));
    let key = place.data().join("master.key");
    fs::remove_file(&key).unwrap();
    for arguments in [&[][..], &["keys", "rotate"]] {
        let refused = refusal(&place.run(arguments));
        assert!(refused.contains("put the file that belongs to this data there"), "{refused}");
        assert!(!key.exists());
    }
}

fn only_the_owner_reads(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o077;
        assert_eq!(mode, 0, "{}", entry.path().display());
    }
}
