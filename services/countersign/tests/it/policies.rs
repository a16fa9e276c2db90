//! `countersign policy`, and a server with policies of one's own.

use std::{fs, path::PathBuf, process::Output};

use countersign::{Config, Embedded};
use countersign_types::Clock;

use crate::place::{Place, refusal, success};

const ADMIN_UPDATES: &str = r#"
@id("admin-updates")
permit (
    principal in Role::"admin",
    action == Action::"countersign.user.v1.ProfileService/UpdateProfile",
    resource is Profile
);
"#;

/// A folder of policies.
fn folder(place: &Place, files: &[(&str, &str)]) -> PathBuf {
    let folder = place.folder().join("policies");
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    folder
}

fn check(place: &Place, files: &[(&str, &str)], more: &[&str]) -> Output {
    let folder = folder(place, files);
    place.run(&[&["policy", "check", folder.to_str().unwrap()], more].concat())
}

#[test]
fn the_schema_is_printed_and_policies_can_be_checked_against_it() {
    let place = Place::new();
    let schema = success(&place.run(&["policy", "schema"]));
    assert!(schema.contains("countersign.user.v1.ProfileService/GetProfile"), "{schema}");
    let file = place.folder().join("schema.cedarschema");
    fs::write(&file, schema).unwrap();
    let files = [("mine.cedar", ADMIN_UPDATES)];
    let told = success(&check(&place, &files, &["--schema", file.to_str().unwrap()]));
    assert!(told.contains("1 policies hold"), "{told}");
    assert!(told.contains("no policy permits countersign.auth.v1.AuthService/Logout"), "{told}");
}

#[test]
fn policies_hold_beside_the_base_policies_or_without_them() {
    let place = Place::new();
    let files = [("mine.cedar", ADMIN_UPDATES)];
    let beside = success(&check(&place, &files, &[]));
    assert!(!beside.starts_with("1 policies") && !beside.contains("note:"), "{beside}");
    assert!(success(&check(&place, &files, &["--without-base"])).contains("1 policies hold"));
}

#[test]
fn the_shipped_policies_hold_by_themselves() {
    let told = success(&Place::new().run(&["policy", "check", shipped(), "--without-base"]));
    assert!(!told.contains("note:"), "every RPC can be called by somebody: {told}");
}

#[test]
fn everything_that_is_wrong_is_printed_with_file_and_line() {
    let output = check(
        &Place::new(),
        &[
            ("a.cedar", "\n@id(\"profile-owner\") permit (principal, action, resource);"),
            ("b.cedar", "permit (principal, action, resource is Profile);\n\n@id(\"x\") nonsense"),
            ("c.cedar", "@id(\"never\")\npermit (principal, action, resource) when { false };"),
        ],
        &[],
    );
    let told = String::from_utf8(output.stdout.clone()).unwrap();
    let refused = refusal(&output);
    let line = |n: usize| told.lines().nth(n).unwrap_or_default().to_owned();
    assert!(
        told.contains("a.cedar:2: there are two policies with @id(\"profile-owner\")"),
        "{told}"
    );
    assert!(told.contains("b.cedar:3: "), "{told}");
    assert!(told.contains("c.cedar:1: "), "a warning counts: {told}");
    assert!(line(2).contains("c.cedar") && told.lines().count() == 3, "{told}");
    assert!(refused.contains("3 problems"), "{refused}");
}

#[test]
fn what_no_list_can_be_decided_by_is_refused_with_its_line() {
    let text = r#"
@id("short")
permit (
    principal,
    action == Action::"countersign.user.v1.ProfileService/ListProfiles",
    resource is Profile
)
when { resource.tenant like "a*" };
"#;
    let output = check(&Place::new(), &[("mine.cedar", text)], &[]);
    let told = String::from_utf8(output.stdout.clone()).unwrap();
    refusal(&output);
    assert!(told.contains("mine.cedar:2: policy `short` can not decide on the list"), "{told}");
}

#[test]
fn attributes_of_accounts_are_known_once_they_are_declared() {
    let place = Place::new();
    let text = r#"
@id("stores")
permit (
    principal,
    action == Action::"countersign.user.v1.ProfileService/ListProfiles",
    resource is Profile
)
when { principal has department && principal.department == "stores" };
"#;
    let files = [("mine.cedar", text)];
    success(&check(&place, &files, &["--declare", "department:string"]));
    refusal(&check(&place, &files, &[]));
    let refused = refusal(&check(&place, &files, &["--declare", "department"]));
    assert!(refused.contains("name:type"), "{refused}");
}

#[test]
fn a_server_refuses_to_start_with_bad_policies_and_names_the_line() {
    let place = Place::new();
    let folder = folder(&place, &[("mine.cedar", "\n\npermit (principal, action, resource);")]);
    for role in [None, Some("auth"), Some("user")] {
        let mut command = place.command(role.as_slice());
        command.env("COUNTERSIGN_POLICIES__DIR", &folder).env("COUNTERSIGN_LOG__LEVEL", "error");
        if role.is_some() {
            command.env("COUNTERSIGN_BUS__URL", "nats://127.0.0.1:1");
            command.env("COUNTERSIGN_KEYS__SOURCE", "http://127.0.0.1:1");
        }
        let refused = refusal(&command.output().unwrap());
        assert!(refused.contains("policies/mine.cedar:3: "), "{role:?}: {refused}");
    }
}

#[tokio::test]
async fn a_folder_of_policies_is_loaded_at_the_start() {
    let place = Place::new();
    let mut config = Config { data_dir: place.data(), ..Config::default() };
    config.policies.dir = Some(folder(&place, &[("mine.cedar", ADMIN_UPDATES)]));
    Embedded::build(&config, Clock::system()).await.unwrap();
    // The base policies are there: one of them twice is refused.
    let again = r#"@id("profile-owner") forbid (principal, action, resource);"#;
    config.policies.dir = Some(folder(&place, &[("mine.cedar", again)]));
    let refused = Embedded::build(&config, Clock::system()).await.unwrap_err();
    assert!(refused.to_string().contains("mine.cedar:1: there are two policies"), "{refused}");
    config.policies.base = false;
    Embedded::build(&config, Clock::system()).await.unwrap();
}

fn shipped() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto/policies")
}

#[test]
fn the_shipped_policies_decide_as_their_tables_expect() {
    let told = success(&Place::new().run(&["policy", "test", shipped(), "--without-base"]));
    assert!(told.ends_with(" cases, 0 failed\n"), "{told}");
}

#[test]
fn a_case_that_is_decided_otherwise_is_printed_and_fails_the_command() {
    let place = Place::new();
    let table = r#"
[principals.root]
roles = ["admin"]

[[case]]
name = "by whom it is permitted"
principal = "root"
rpc = "ProfileService/GetProfile"
resource = { id = "bob", owner = "bob" }
expect = "allow"
policies = ["profile-owner"]

[[case]]
name = "as expected"
principal = { id = "x", session_age = 90 }
rpc = "Logout"
expect = "allow"

[[case]]
principal = "root"
rpc = "UpdateProfile"
resource = { id = "bob", owner = "bob" }
expect = "deny"
"#;
    let folder = folder(&place, &[("mine.cedar", ADMIN_UPDATES), ("mine.test.toml", table)]);
    let folder = folder.to_str().unwrap();
    let output = place.run(&["policy", "test", folder]);
    let told = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(refusal(&output).contains("2 of 3 cases"), "{told}");
    assert!(
        told.contains("mine.test.toml: by whom it is permitted: expected allow by profile-owner, got allow by profile-admin-reads"),
        "{told}"
    );
    assert!(
        told.contains("UpdateProfile by root: expected deny, got allow by admin-updates"),
        "{told}"
    );
    let json = place.run(&["policy", "test", folder, "--format", "json"]);
    let json = String::from_utf8(json.stdout).unwrap();
    assert!(json.contains("\"failed\":2"), "{json}");
}

#[test]
fn a_step_up_is_expected_explained_and_compared_as_what_it_is() {
    let place = Place::new();
    let of = |needs: &str| {
        format!(
            "@id('fresh') @step_up('{needs}')\n\
             forbid (principal, action == Action::'countersign.user.v1.ProfileService/UpdateProfile', resource)\n\
             unless {{ principal.factors.contains('otp') && principal.session_age < 60 }};"
        )
    };
    let (one, other) = ("factor=otp", "authentication_age<60");
    let table = r#"
[[case]]
principal = { id = "bob" }
rpc = "UpdateProfile"
resource = { id = "bob", owner = "bob" }
expect = "step_up"

[[case]]
principal = { id = "ada" }
rpc = "UpdateProfile"
resource = { id = "bob", owner = "bob" }
expect = "deny"

[[case]]
principal = { id = "bob", factors = ["otp"] }
rpc = "UpdateProfile"
resource = { id = "bob", owner = "bob" }
expect = "step_up"
"#;
    let quoted = |needs| of(needs).replace('\'', "\"");
    let new = folder(&place, &[("mine.cedar", &quoted(one)), ("mine.test.toml", table)]);
    let new = new.to_str().unwrap();
    let output = place.run(&["policy", "test", new]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("UpdateProfile by bob: expected step_up, got allow"), "{told}");
    assert!(told.ends_with("3 cases, 1 failed\n"), "{told}");

    let asked = ["--rpc", "UpdateProfile", "--user", "bob", "--resource", "bob"];
    let explain = [&["policy", "explain", new][..], &asked, &["--attribute", "owner=bob"]].concat();
    let told = success(&place.run(&explain));
    assert!(told.starts_with("deny by fresh; would be allowed with factor=otp\n"), "{told}");

    let old = place.folder().join("old");
    fs::create_dir(&old).unwrap();
    fs::write(old.join("mine.cedar"), quoted(other)).unwrap();
    let output = place.run(&["policy", "diff", old.to_str().unwrap(), new]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("with authentication_age<60; is deny by fresh; would be"), "{told}");
}

#[test]
fn a_table_that_cannot_be_used_is_named_with_its_line() {
    let place = Place::new();
    let folder = folder(&place, &[("x.test.toml", "\n[[case]]\nexpekt = 1\n")]);
    let refused = refusal(&place.run(&["policy", "test", folder.to_str().unwrap()]));
    assert!(refused.contains("x.test.toml: line 3: "), "{refused}");
    let misspelt = "[[case]]\nprincipal = 'aad'\nrpc = 'Logout'\nexpect = 'deny'";
    let folder = self::folder(&place, &[("x.test.toml", misspelt)]);
    let refused = refusal(&place.run(&["policy", "test", folder.to_str().unwrap()]));
    assert!(refused.contains("x.test.toml: there is no [principals.aad]"), "{refused}");
    let refused = refusal(&place.run(&["policy", "test", place.folder().to_str().unwrap()]));
    assert!(refused.contains("no table"), "{refused}");
}

#[test]
fn a_decision_is_explained_with_what_every_other_policy_lacks() {
    let place = Place::new();
    let asked = ["--rpc", "GetProfile", "--user", "ada", "--resource", "bob"];
    let explain = ["policy", "explain", shipped(), "--without-base"];
    let told = success(&place.run(&[&explain[..], &asked, &["--attribute", "owner=bob"]].concat()));
    assert!(told.starts_with("deny: no policy permits it\n"), "{told}");
    assert!(told.contains("profile-admin-reads (permit) does not apply"), "{told}");
    assert!(told.contains("principal in Role::\"admin\""), "{told}");
    let told = success(&place.run(&[&explain[..], &asked, &["--attribute", "owner=ada"]].concat()));
    assert!(told.starts_with("allow by profile-owner\n"), "{told}");
    let refused = refusal(&place.run(&[&explain[..], &asked].concat()));
    assert!(refused.contains("`owner`"), "{refused}");
}

#[test]
fn other_policies_are_compared_request_by_request() {
    let place = Place::new();
    let new = folder(&place, &[("mine.cedar", ADMIN_UPDATES)]);
    let old = place.folder().join("old");
    fs::create_dir(&old).unwrap();
    let (old, new) = (old.to_str().unwrap(), new.to_str().unwrap());
    let same = success(&place.run(&["policy", "diff", new, new]));
    assert!(same.contains("0 of 0 cases of the tables differ"), "{same}");

    let output = place.run(&["policy", "diff", old, new]);
    let told = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(refusal(&output).contains("requests are decided differently"), "{told}");
    let line = told
        .lines()
        .find(|line| line.starts_with("countersign.user.v1.ProfileService/UpdateProfile: "));
    assert!(line.unwrap().contains("requests differ (all of "), "{told}");
    assert!(told.contains("was deny: no policy permits it; is allow by admin-updates"), "{told}");
    assert!(told.contains("GetProfile: 0 of "), "{told}");
    let json = place.run(&["policy", "diff", old, new, "--format", "json"]);
    assert!(String::from_utf8(json.stdout).unwrap().contains("\"coverage\":["));
}
