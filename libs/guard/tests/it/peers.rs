//! What policies may ask of who is at the other end of the connection.

use std::{fs, time::Duration};

use countersign_guard::policies::{PolicyFile, PolicyFolder, Said, Step, Tally};
use tonic::Code;

use crate::world::{Answer, COUNT, GET, POLICIES, SCHEMA, World, refusal};

const BILLING: &str = "spiffe://example.org/ns/billing/sa/invoices";
const SHOP: &str = "spiffe://example.org/ns/shop/sa/web";

const POLICY: &str = r#"
@id("billing-counts")
permit (principal, action == Action::"test.v1.ThingService/CountThings", resource)
when {
    context.peer has spiffe_id
    && context.peer.spiffe_id like "spiffe://example.org/ns/billing/*"
};

@id("not-through-the-gateway")
forbid (principal, action == Action::"test.v1.ThingService/GetThing", resource)
when { context.peer.names.contains("gateway.example.org") };
"#;

fn world() -> World {
    World::with(|builder| builder.policies(SCHEMA, &[("peers.cedar", POLICY)]))
}

#[track_caller]
fn denied(answer: Answer) {
    assert_eq!(refusal(&answer), (Code::PermissionDenied, "ACCESS_DENIED".to_owned()));
}

#[tokio::test]
async fn a_policy_permits_one_identity_and_denies_another() {
    let world = world();
    let token = world.token();
    let answer = world.call_from(&["invoices", BILLING], COUNT, &token, "").await;
    assert_eq!(answer.unwrap(), "test.v1.ThingService by billing-counts");
    denied(world.call_from(&[SHOP], COUNT, &token, "").await);
    denied(world.call_from(&[], COUNT, &token, "").await);
    denied(world.call(COUNT, &token, "").await);
    // Which of two it is nobody can say.
    denied(world.call_from(&[BILLING, SHOP], COUNT, &token, "").await);
    // The same token from elsewhere: no decision of the one serves the other.
    assert!(world.call_from(&[BILLING], COUNT, &token, "").await.is_ok());
}

#[tokio::test]
async fn a_name_can_be_forbidden() {
    let world = world();
    let token = world.token();
    assert!(world.call_from(&["inside.example.org"], GET, &token, "lamp").await.is_ok());
    assert!(world.call(GET, &token, "lamp").await.is_ok());
    let through = ["gateway.example.org", "inside.example.org"];
    denied(world.call_from(&through, GET, &token, "lamp").await);
}

#[tokio::test]
async fn a_candidate_is_asked_about_the_same_connection() {
    let world = World::default();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("new.cedar"), format!("{POLICIES}{POLICY}")).unwrap();
    let (mut watch, mut shadow) = world.guard.shadow_policies(
        Vec::<PolicyFile>::new(),
        PolicyFolder::new(folder.path()),
        Duration::from_secs(3600),
    );
    assert_eq!([watch.step().await, watch.step().await], [Step::Settling, Step::Applied]);
    let token = world.token();
    for (names, expected) in [
        (
            &[BILLING][..],
            Tally { changed: [((Said::Deny, Said::Permit), 1)].into(), ..Tally::default() },
        ),
        (&[SHOP], Tally { same: 1, ..Tally::default() }),
    ] {
        denied(world.call_from(names, COUNT, &token, "").await);
        assert_eq!(shadow.step().await, expected);
    }
}
