//! A short crash campaign; `make crash` runs a long one.

use std::path::Path;

use countersign_tests::{Campaign, Layout, Upgrade};

async fn nothing_that_was_acknowledged_is_lost_or_doubled(layout: Layout) {
    let campaign = Campaign { layout, rounds: 12, seed: 20_261_123 };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let verdict = campaign.run(folder, |_| ()).await;
    assert!(verdict.is_good(), "{verdict}\n{}", verdict.report);
    assert!(verdict.acknowledged() > 100, "{verdict}: hardly a load");
}

#[tokio::test]
async fn nothing_is_lost_in_one_process() {
    nothing_that_was_acknowledged_is_lost_or_doubled(Layout::Embedded).await;
}

#[tokio::test]
async fn nothing_is_lost_over_replicas() {
    nothing_that_was_acknowledged_is_lost_or_doubled(Layout::Split).await;
}

#[tokio::test]
async fn a_rolling_upgrade_from_the_former_release_loses_no_request() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let verdict = Upgrade { seed: 271 }.run(folder).await;
    assert!(verdict.is_good(), "{verdict}\n{}", verdict.report);
    assert!(verdict.acknowledged() > 100, "{verdict}: hardly a load");
}
