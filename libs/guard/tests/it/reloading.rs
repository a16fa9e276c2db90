//! Policies that change while calls are decided.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use countersign_guard::{
    Access, GuardBuilder, Rule,
    policies::{PolicyFile, PolicyFolder, PolicyWatch, Step},
};
use tempfile::TempDir;
use tonic::Code;
use tonic_types::StatusExt;

use crate::world::{GET, POLICIES, PURGE, SCHEMA, World, refusal};

/// A permit of this name for everybody on everything.
fn permit(id: &str) -> String {
    format!("@id(\"{id}\") permit (principal, action == Action::\"{GET}\", resource);\n")
}

/// A world with a folder of policies beside its own.
struct Place {
    folder: TempDir,
    world: Arc<World>,
    watch: PolicyWatch,
}

impl Place {
    fn new(text: &str) -> Self {
        Self::with(text, |builder| builder)
    }

    fn with(text: &str, change: impl FnOnce(GuardBuilder) -> GuardBuilder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("my.cedar"), text).unwrap();
        let policies = PolicyFolder::new(folder.path());
        let snapshot = policies.read().unwrap();
        let files = snapshot.files.clone();
        let world = Arc::new(World::with(|builder| change(builder.more_policies(files))));
        let base = vec![PolicyFile::new("things.cedar", POLICIES)];
        let hour = Duration::from_secs(3600);
        let watch = world.guard.watch_policies(base, policies, &snapshot, hour);
        Self { folder, world, watch }
    }

    fn write(&self, text: &str) {
        fs::write(self.folder.path().join("my.cedar"), text).unwrap();
    }

    async fn steps(&mut self) -> [Step; 2] {
        [self.watch.step().await, self.watch.step().await]
    }

    /// The policies that permit a stranger.
    async fn permitting(&self) -> Result<Vec<String>, Code> {
        permitting(&self.world, &self.world.token_of_role(&[])).await
    }
}

async fn permitting(world: &World, token: &str) -> Result<Vec<String>, Code> {
    let answer = world.call(GET, token, "lamp").await;
    let answer = answer.map_err(|status| refusal(&Err(status)).0)?;
    let policies = answer.strip_prefix("lamp by ").unwrap().split(',');
    let mut policies: Vec<_> = policies.map(str::to_owned).collect();
    policies.sort();
    Ok(policies)
}

#[tokio::test]
async fn a_change_takes_effect_once_it_is_seen_twice() {
    let mut place = Place::new(&permit("old"));
    assert_eq!(place.watch.step().await, Step::Unchanged);
    place.write(&permit("new"));
    assert_eq!(place.watch.step().await, Step::Settling);
    assert_eq!(place.permitting().await.unwrap(), ["old"]);
    // It goes on changing: it is not taken at half the way.
    place.write(&[permit("new"), permit("newer")].concat());
    assert_eq!(place.steps().await, [Step::Settling, Step::Applied]);
    assert_eq!(place.permitting().await.unwrap(), ["new", "newer"]);
    assert_eq!(place.watch.step().await, Step::Unchanged);
}

/// Asks for a fresh login, in these words.
fn step_up(needs: &str) -> String {
    format!(
        "@id(\"purge-needs-a-fresh-login\") @step_up(\"{needs}\") \
         forbid (principal, action == Action::\"{PURGE}\", resource)\n\
         when {{ principal.session_age >= 60 }};\n"
    )
}

#[tokio::test]
async fn a_step_up_comes_and_goes_with_the_policies() {
    let mut place = Place::new(&permit("old"));
    let admin = place.world.token_of_role(&["admin"]);
    place.world.clock.advance(Duration::from_secs(60));
    assert!(place.world.call(PURGE, &admin, "lamp").await.is_ok());
    for needs in ["authentication_age<60", "authentication_age<30"] {
        place.write(&step_up(needs));
        assert_eq!(place.steps().await, [Step::Settling, Step::Applied]);
        let answer = place.world.call(PURGE, &admin, "lamp").await;
        assert_eq!(refusal(&answer), (Code::PermissionDenied, "STEP_UP_REQUIRED".to_owned()));
        let info = answer.unwrap_err().get_details_error_info().unwrap();
        assert_eq!(info.metadata.get("step_up").unwrap(), needs);
    }
    // What nobody could read changes nothing.
    place.write(&step_up("a fresh login"));
    assert_eq!(place.steps().await, [Step::Settling, Step::Refused]);
    assert!(place.world.call(PURGE, &admin, "lamp").await.is_err());
    place.write("");
    assert_eq!(place.steps().await, [Step::Settling, Step::Applied]);
    assert!(place.world.call(PURGE, &admin, "lamp").await.is_ok());
}

/// A release knows an attribute more of things, and another of the connection.
#[tokio::test]
async fn policies_that_need_an_attribute_are_taken_where_the_schema_has_it() {
    let older = SCHEMA
        .replace(", open: Bool", "")
        .replace("type CallContext = { peer: { names: Set<String>, spiffe_id?: String } };\n", "")
        .replace("context: CallContext", "context: {}");
    let mut new = Place::new(&permit("p"));
    let mut old = Place::with(&permit("p"), |builder| builder.policies(&older, &[]));
    assert!(!older.contains("open") && !older.contains("peer"), "{older}");
    for needed in ["resource.open", "context.peer.names.contains(\"gateway.example.org\")"] {
        let needing =
            permit("q").replace("resource)", &format!("resource) unless {{ !({needed}) }}"));
        for place in [&new, &old] {
            place.write(&needing);
        }
        assert_eq!(new.steps().await, [Step::Settling, Step::Applied], "{needed}");
        assert_eq!(old.steps().await, [Step::Settling, Step::Refused], "{needed}");
        let stranger = new.world.token_of_role(&[]);
        let answer = new.world.call_from(&["gateway.example.org"], GET, &stranger, "lamp").await;
        assert_eq!(answer.unwrap(), "lamp by q");
        assert_eq!(old.permitting().await.unwrap(), ["p"], "the former set stays");
    }
}

#[tokio::test]
async fn what_is_removed_permits_nothing_any_more() {
    let mut place = Place::new(&permit("old"));
    fs::remove_file(place.folder.path().join("my.cedar")).unwrap();
    assert_eq!(place.steps().await, [Step::Settling, Step::Applied]);
    assert_eq!(place.permitting().await, Err(Code::PermissionDenied));
}

#[tokio::test]
async fn bad_policies_change_nothing_until_they_are_set_right() {
    let mut place = Place::new(&permit("old"));
    place.write("permit (principal, action, resource);");
    assert_eq!(place.steps().await, [Step::Settling, Step::Refused]);
    assert_eq!(place.permitting().await.unwrap(), ["old"]);
    // Refused once, not at every look.
    assert_eq!(place.watch.step().await, Step::Unchanged);
    place.write(&permit("right"));
    assert_eq!(place.steps().await, [Step::Settling, Step::Applied]);
    assert_eq!(place.permitting().await.unwrap(), ["right"]);
}

#[tokio::test]
async fn a_folder_that_is_gone_takes_no_right_away_and_gives_none() {
    let mut place = Place::new(&permit("old"));
    let away = place.folder.path().with_extension("away");
    fs::rename(place.folder.path(), &away).unwrap();
    assert_eq!(place.steps().await, [Step::Settling, Step::Refused]);
    assert_eq!(place.permitting().await.unwrap(), ["old"]);
    fs::rename(&away, place.folder.path()).unwrap();
    assert_eq!(place.watch.step().await, Step::Unchanged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_call_is_decided_by_the_old_policies_or_by_the_new_ones() {
    let both = |a: &str, b: &str| [permit(a), permit(b)].concat();
    let mut place = Place::new(&both("a1", "a2"));
    let over = Arc::new(AtomicBool::new(false));
    let calls = tokio::spawn({
        let (over, world) = (Arc::clone(&over), Arc::clone(&place.world));
        async move {
            let token = world.token_of_role(&[]);
            while !over.load(Ordering::Relaxed) {
                // Where the test has failed, it ends here.
                tokio::task::yield_now().await;
                let policies = permitting(&world, &token).await.unwrap();
                assert!(policies == ["a1", "a2"] || policies == ["b1", "b2"], "{policies:?}");
            }
        }
    });
    for turn in 1..=40 {
        let files = if turn % 2 == 0 { both("a1", "a2") } else { both("b1", "b2") };
        place.write(&files);
        assert_eq!(place.steps().await, [Step::Settling, Step::Applied]);
    }
    over.store(true, Ordering::Relaxed);
    calls.await.unwrap();
}

#[tokio::test]
async fn a_folder_that_is_replaced_at_the_very_moment_is_no_fault() {
    let mut place = Place::new(&permit("old"));
    let away = place.folder.path().with_extension("away");
    fs::rename(place.folder.path(), &away).unwrap();
    assert_eq!(place.watch.step().await, Step::Settling);
    fs::rename(&away, place.folder.path()).unwrap();
    assert_eq!(place.steps().await, [Step::Unchanged, Step::Unchanged]);
}

/// A release has one more RPC; its replicas and those of the former release get
/// the same policies while the one takes the place of the other.
#[tokio::test]
async fn while_versions_differ_each_takes_the_policies_that_it_understands() {
    const LEND: &str = "test.v1.ThingService/LendThing";
    let newer = format!(
        "{SCHEMA}action \"{LEND}\" appliesTo {{ principal: [User], resource: [Thing], context: {{}} }};"
    );
    let lend = Rule::new(LEND, Access::Policy { resource: "Thing" });
    let mut new = Place::with(&permit("p"), |builder| builder.rules(&[lend]).policies(&newer, &[]));
    let mut old = Place::new(&permit("p"));
    let stranger = new.world.token_of_role(&[]);
    // The new release alone knows the RPC, and permits it to nobody.
    let lent = new.world.call(LEND, &stranger, "lamp").await;
    assert_eq!(refusal(&lent).0, Code::PermissionDenied);
    let lent = old.world.call(LEND, &stranger, "lamp").await;
    assert_eq!(refusal(&lent).0, Code::Unimplemented);

    // Policies of the new release: the old one goes on with what it has.
    let lending = permit("lend").replace(GET, LEND);
    for place in [&new, &old] {
        place.write(&[permit("q"), lending.clone()].concat());
    }
    assert_eq!(new.steps().await, [Step::Settling, Step::Applied]);
    assert_eq!(old.steps().await, [Step::Settling, Step::Refused]);
    assert_eq!(new.permitting().await.unwrap(), ["q"]);
    assert_eq!(old.permitting().await.unwrap(), ["p"]);
    assert!(new.world.call(LEND, &stranger, "lamp").await.is_ok());
    // Policies that both understand are taken by both.
    for place in [&new, &old] {
        place.write(&permit("r"));
    }
    assert_eq!(new.steps().await, [Step::Settling, Step::Applied]);
    assert_eq!(old.steps().await, [Step::Settling, Step::Applied]);
    assert_eq!(old.permitting().await.unwrap(), ["r"]);
}
