//! Operators' commands where one service runs alone: each opens what it needs,
//! and says what is missing.

use std::{fs, process::Output};

use crate::place::{PASSWORD, Place, refusal, success};

const CREATE: [&str; 5] = ["account", "create", "--email", "root@example.org", "--password-stdin"];

impl Place {
    /// The address of a database that is not in the data folder.
    fn url(&self, service: &str) -> String {
        format!("sqlite://{}", self.folder().join(format!("{service}-elsewhere.db")).display())
    }

    /// A command where only the database of `service` is named.
    fn run_beside(&self, service: &str, arguments: &[&str]) -> Output {
        let variable = format!("COUNTERSIGN_DATABASE__{}__URL", service.to_uppercase());
        self.command(arguments).env(variable, self.url(service)).output().unwrap()
    }
}

#[test]
fn beside_the_auth_service_alone_no_command_touches_the_other_or_the_key() {
    let place = Place::new();
    success(&place.run_beside("auth", &["migrate", "auth"]));
    for arguments in [
        &["events", "list"][..],
        &["events", "dead"],
        &["events", "replay", "--since", "1h"],
        &["keys", "list"],
        &["audit", "verify"],
    ] {
        success(&place.run_beside("auth", arguments));
        assert!(!place.data().exists(), "{arguments:?} makes no data folder");
    }
    let audit = success(&place.run_beside("auth", &["audit", "verify"]));
    assert!(audit.contains("auth:") && !audit.contains("user:"), "{audit}");
}

#[test]
fn beside_the_user_service_alone_what_is_not_there_is_named() {
    let place = Place::new();
    success(&place.run_beside("user", &["events", "list"]));
    let audit = success(&place.run_beside("user", &["audit", "verify"]));
    assert!(audit.contains("user:") && !audit.contains("auth:"), "{audit}");
    for arguments in [&["keys", "list"][..], &["keys", "rotate"]] {
        let refused = refusal(&place.run_beside("user", arguments));
        assert!(refused.contains("COUNTERSIGN_DATABASE__AUTH__URL"), "{refused}");
    }
    assert!(!place.data().exists(), "and nothing is made in its place");
}

#[test]
fn in_a_folder_of_one_service_commands_leave_the_other_unmade() {
    let place = Place::new();
    success(&place.run(&["migrate", "user"]));
    success(&place.run(&["events", "list"]));
    assert!(!place.data().join("auth.db").exists() && !place.data().join("master.key").exists());
    let refused = refusal(&place.run(&["keys", "list"]));
    assert!(refused.contains("--data-dir"), "{refused}");
}

#[test]
fn only_who_seals_needs_the_master_key() {
    let place = Place::new();
    success(&place.run(&["keys", "rotate"]));
    fs::remove_file(place.data().join("master.key")).unwrap();
    success(&place.run(&["keys", "list"]));
    success(&place.run(&["events", "list"]));
    // An address is sealed; so is a signing key.
    for refused in [place.run(&["keys", "rotate"]), place.pipe(&CREATE, PASSWORD)] {
        let refused = refusal(&refused);
        assert!(refused.contains("put the file that belongs to this data there"), "{refused}");
    }
}

#[test]
fn a_key_can_be_made_after_the_tables() {
    let place = Place::new();
    success(&place.run(&["migrate"]));
    success(&place.run(&["events", "list"]));
    assert!(!place.data().join("master.key").exists(), "neither seals anything");
    success(&place.pipe(&CREATE, PASSWORD));
    assert!(place.data().join("master.key").exists());
}
