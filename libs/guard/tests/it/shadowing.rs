//! A candidate set beside the live one: it is compared and changes no answer.

use std::{fs, time::Duration};

use countersign_guard::policies::{
    PolicyFile, PolicyFolder, PolicyWatch, SHADOWED_PER_TURN,
    Said::{self, Deny, Permit, StepUp},
    Shadow, Step, Tally,
};
use tempfile::TempDir;

use crate::world::{GET, POLICIES, PURGE, RECENT, SCHEMA, World};

const HOUR: Duration = Duration::from_secs(3600);
/// What a turn has found: nothing.
fn none() -> Tally {
    Tally::default()
}

/// One call that was decided alike.
fn same() -> Tally {
    Tally { same: 1, ..none() }
}

/// One call that the candidate decides differently.
fn changed(live: Said, candidate: Said) -> Tally {
    Tally { changed: [((live, candidate), 1)].into(), ..none() }
}

/// A world with the live policies, and others on trial.
struct Trial {
    world: World,
    folder: TempDir,
    watch: PolicyWatch,
    shadow: Shadow,
}

impl Trial {
    fn new() -> Self {
        Self::in_world(World::default())
    }

    fn in_world(world: World) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let policies = PolicyFolder::new(folder.path());
        let (watch, shadow) = world.guard.shadow_policies(Vec::<PolicyFile>::new(), policies, HOUR);
        Self { world, folder, watch, shadow }
    }

    async fn of(text: &str) -> Self {
        let mut trial = Self::new();
        assert_eq!(trial.put(text).await, [Step::Settling, Step::Applied]);
        trial
    }

    async fn put(&mut self, text: &str) -> [Step; 2] {
        fs::write(self.folder.path().join("new.cedar"), text).unwrap();
        [self.watch.step().await, self.watch.step().await]
    }

    async fn gets(&self, token: &str, id: &str) -> bool {
        self.world.call(GET, token, id).await.is_ok()
    }
}

#[tokio::test]
async fn what_would_change_is_counted_and_nothing_changes() {
    let reversed = POLICIES.replace("resource.owner == principal", "resource.owner != principal");
    let mut trial = Trial::of(&reversed).await;
    let (owner, stranger) = (trial.world.token(), trial.world.token_of_role(&[]));
    assert!(trial.gets(&owner, "lamp").await);
    assert_eq!(trial.shadow.step().await, changed(Permit, Deny));
    assert!(!trial.gets(&stranger, "lamp").await);
    assert_eq!(trial.shadow.step().await, changed(Deny, Permit));
    assert!(trial.world.call(RECENT, &stranger, "").await.is_ok());
    assert_eq!(trial.shadow.step().await, same());
    assert_eq!(trial.shadow.step().await, none());
}

/// A step-up before things are purged.
fn asking(needs: &str) -> String {
    format!(
        "@id(\"fresh-purge\") @step_up(\"{needs}\") \
         forbid (principal, action == Action::\"{PURGE}\", resource) \
         unless {{ principal.factors.contains(\"otp\") && principal.session_age < 9 }};"
    )
}

#[tokio::test]
async fn a_step_up_is_neither_a_permit_nor_a_denial() {
    let [otp, fresh] = ["factor=otp", "authentication_age<9"].map(asking);
    let mut trial = Trial::of(&format!("{POLICIES}{otp}")).await;
    let (admin, other) = (trial.world.token_of_role(&["admin"]), trial.world.token());
    assert!(trial.world.call(PURGE, &admin, "lamp").await.is_ok());
    assert_eq!(trial.shadow.step().await, changed(Permit, StepUp));
    assert!(trial.world.call(PURGE, &other, "lamp").await.is_err());
    assert_eq!(trial.shadow.step().await, same(), "denied in any case");

    let live = World::with(|builder| builder.policies(SCHEMA, &[("step.cedar", &otp)]));
    let mut trial = Trial::in_world(live);
    let admin = trial.world.token_of_role(&["admin"]);
    for (candidate, expected) in [
        (format!("{POLICIES}{otp}"), same()),
        (format!("{POLICIES}{fresh}"), changed(StepUp, StepUp)),
        (POLICIES.to_owned(), changed(StepUp, Permit)),
        (otp.clone(), changed(StepUp, Deny)),
    ] {
        assert_eq!(trial.put(&candidate).await, [Step::Settling, Step::Applied]);
        assert!(trial.world.call(PURGE, &admin, "lamp").await.is_err());
        assert_eq!(trial.shadow.step().await, expected, "{candidate}");
    }
}

#[tokio::test]
async fn a_candidate_may_read_what_the_live_policies_do_not() {
    let live_reads_nothing = "test.v1.ThingService/PurgeThing";
    let sized = format!(
        "@id(\"big\") permit (principal, action == Action::\"{live_reads_nothing}\", resource is Thing) when {{ resource.size > 5 }};"
    );
    let mut trial = Trial::of(&sized).await;
    let stranger = trial.world.token_of_role(&[]);
    for (id, expected) in [
        ("lamp", changed(Deny, Permit)),
        ("missing", same()),
        ("broken", Tally { unknown: 1, ..none() }),
    ] {
        assert!(trial.world.call(live_reads_nothing, &stranger, id).await.is_err());
        let before = trial.world.things.asked();
        assert_eq!(trial.shadow.step().await, expected, "{id}");
        assert_eq!(trial.world.things.asked(), before + 1, "asked for the candidate alone");
    }
}

#[tokio::test]
async fn a_bad_candidate_is_refused_and_the_former_one_goes_on() {
    let mut trial = Trial::of(&POLICIES.replace("thing-owner", "thing-keeper")).await;
    assert_eq!(trial.put("nonsense").await, [Step::Settling, Step::Refused]);
    assert!(trial.gets(&trial.world.token(), "lamp").await);
    assert_eq!(trial.shadow.step().await, same());
}

#[tokio::test]
async fn calls_are_not_held_up_by_a_shadow_that_does_nothing() {
    let mut trial = Trial::of(POLICIES).await;
    let token = trial.world.token();
    for _ in 0..SHADOWED_PER_TURN + 20 {
        assert!(trial.gets(&token, "lamp").await);
    }
    let tally = trial.shadow.step().await;
    assert_eq!(tally, Tally { same: SHADOWED_PER_TURN, ..none() });
    assert_eq!(trial.shadow.step().await, none());
}

#[tokio::test]
async fn without_a_candidate_nothing_is_compared() {
    let mut trial = Trial::new();
    assert!(trial.gets(&trial.world.token(), "lamp").await);
    assert_eq!(trial.shadow.step().await, none());
}
