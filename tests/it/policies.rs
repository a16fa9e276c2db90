//! Policies of one's own, changed while the system runs: a permit takes effect
//! and ends with its file; what does not hold changes nothing.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use countersign_contracts::{auth::v1::ListSessionsRequest, user::v1::Profile};
use countersign_tests::{
    Clients, Executable, TestApp, Topology, email_of, on_every_topology, refusal,
};
use tempfile::TempDir;
use tonic::Code;

/// How long a change may take to be seen; the system looks ten times a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// The line of it that a guard refuses.
const BAD: &str = "\n\npermit (principal, action, resource);";

const EVERYBODY_READS: &str = r#"
@id("everybody-reads")
permit (
    principal,
    action == Action::"countersign.user.v1.ProfileService/GetProfile",
    resource is Profile
);
"#;

const STEPS_UP: &str = r#"
@id("update-needs-a-fresh-password")
@step_up("factor=pwd authentication_age<120")
forbid (
    principal,
    action == Action::"countersign.user.v1.ProfileService/UpdateProfile",
    resource
)
unless { principal.factors.contains("pwd") && principal.session_age < 120 };

@id("sessions-need-a-second-factor")
@step_up("factor=otp")
forbid (
    principal,
    action == Action::"countersign.auth.v1.SessionService/ListSessions",
    resource
)
unless { principal.factors.contains("otp") };
"#;

/// A folder of policies.
struct Policies {
    place: TempDir,
}

impl Policies {
    fn new() -> Self {
        let place = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(place.path().join("policies")).expect("a folder can be made");
        Self { place }
    }

    fn folder(&self) -> PathBuf {
        self.place.path().join("policies")
    }

    /// Puts a file there in one step.
    fn put(&self, name: &str, text: &str) {
        let made = self.place.path().join(name);
        fs::write(&made, text).expect("a file can be written");
        fs::rename(made, self.folder().join(name)).expect("a file can be moved");
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.folder().join(name)).expect("the file was there");
    }
}

/// Waits until every one of these clients may read somebody's profile, or none.
async fn until(clients: &[Clients], user_id: &str, may_read: bool) {
    for clients in clients {
        soon(async || (clients.profile(user_id).await.is_ok() == may_read).then_some(())).await;
    }
}

/// Asks until there is an answer.
async fn soon<T>(ask: impl AsyncFn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "it never comes");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn a_permit_takes_effect_without_a_restart_and_ends_with_its_file(topology: Topology) {
    let policies = Policies::new();
    let app = TestApp::on_with(topology, |config| {
        config.policies.dir = Some(policies.folder());
        config.policies.poll_interval = Duration::from_millis(100);
    });
    let app = app.await;
    let ada = app.active("ada").await;
    let bob = app.signed_in("bob").await;
    let everywhere: Vec<_> =
        app.user_addresses().iter().map(|&address| bob.clients.at(address)).collect();

    until(&everywhere, &ada.user_id, false).await;
    policies.put("mine.cedar", EVERYBODY_READS);
    until(&everywhere, &ada.user_id, true).await;
    policies.remove("mine.cedar");
    until(&everywhere, &ada.user_id, false).await;
}

#[tokio::test]
async fn policies_that_do_not_hold_change_nothing_and_are_told_with_file_and_line() {
    let policies = Policies::new();
    policies.put("mine.cedar", EVERYBODY_READS);
    let data = policies.place.path().join("data");
    let folder = policies.folder();
    let executable = Executable::on(&data)
        .with("COUNTERSIGN_POLICIES__DIR", folder.to_str().expect("a path that is text"))
        // Nobody looks by chance: what happens here, the signal has brought about.
        .with("COUNTERSIGN_POLICIES__POLL_INTERVAL", "1h");
    let mut process = executable.start().await;
    let ada = process.clients().register("ada").await.expect("a new person can register");
    process.clients().register("bob").await.expect("a new person can register");
    let bob = soon(async || process.clients().login(&email_of("bob")).await.ok()).await;
    let everywhere = [bob.clients];
    until(&everywhere, &ada.user_id, true).await;

    policies.put("bad.cedar", BAD);
    assert!(process.signal("HUP").await, "the process is there");
    soon(async || process.said().contains("bad.cedar:3: ").then_some(())).await;
    until(&everywhere, &ada.user_id, true).await;

    // The permit is gone as well, and stays in force as long as the set is bad.
    policies.remove("mine.cedar");
    assert!(process.signal("HUP").await, "the process is there");
    policies.remove("bad.cedar");
    assert!(process.signal("HUP").await, "the process is there");
    until(&everywhere, &ada.user_id, false).await;
    process.kill().await;
}

#[tokio::test]
async fn policies_on_trial_are_told_of_and_change_no_answer() {
    let policies = Policies::new();
    policies.put("new.cedar", EVERYBODY_READS);
    let folder = policies.folder();
    let executable = Executable::on(&policies.place.path().join("data"))
        .with("COUNTERSIGN_POLICIES__SHADOW_DIR", folder.to_str().expect("a path that is text"))
        .with("COUNTERSIGN_POLICIES__POLL_INTERVAL", "100ms");
    let process = executable.start().await;
    let ada = process.clients().register("ada").await.expect("a new person can register");
    process.clients().register("bob").await.expect("a new person can register");
    let bob = soon(async || process.clients().login(&email_of("bob")).await.ok()).await;
    let told = soon(async || {
        let answer = bob.clients.profile(&ada.user_id).await;
        assert_eq!(answer.expect_err("nothing is permitted").code(), Code::PermissionDenied);
        let said = process.said();
        said.lines().find(|line| line.contains("decide differently")).map(str::to_owned)
    });
    let told = told.await;
    assert!(told.contains("everybody-reads") && told.contains("GetProfile"), "{told}");
    assert!(!told.contains(&ada.user_id) && !told.contains(&bob.user_id), "{told}");
    process.kill().await;
}

#[tokio::test]
async fn a_step_up_asks_for_a_fresh_password_and_a_new_login_passes() {
    let policies = Policies::new();
    policies.put("mine.cedar", STEPS_UP);
    let app = TestApp::start_with(|config| config.policies.dir = Some(policies.folder())).await;
    let ada = app.active("ada").await;
    let login = app.login(&ada).await;
    let change = || Profile { bio: "changed".to_owned(), ..Profile::default() };
    assert!(login.clients.update(change(), &[]).await.is_ok());

    app.clock().advance(Duration::from_secs(120));
    // New tokens say how and when the session began, and are no new proof.
    let refreshed = login.refreshed().await.expect("the session lives");
    for clients in [&login.clients, &refreshed.clients] {
        let refused = refusal(clients.update(change(), &[]).await);
        let refused = refused.is(Code::PermissionDenied, "STEP_UP_REQUIRED");
        assert_eq!(refused.step_up.as_deref(), Some("authentication_age<120 factor=pwd"));
    }
    let again = app.login(&ada).await;
    assert!(again.clients.update(change(), &[]).await.is_ok());

    // Nobody can log in with a second factor yet.
    let request = ListSessionsRequest { user_id: "me".to_owned(), ..Default::default() };
    let refused = refusal(again.clients.sessions().list_sessions(request).await);
    let refused = refused.is(Code::PermissionDenied, "STEP_UP_REQUIRED");
    assert_eq!(refused.step_up.as_deref(), Some("factor=otp"));
}

on_every_topology![a_permit_takes_effect_without_a_restart_and_ends_with_its_file];
