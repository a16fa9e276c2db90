//! A short crash campaign; `make crash` runs a long one.

use std::path::Path;

use countersign_tests::Campaign;

#[tokio::test]
async fn nothing_that_was_acknowledged_is_lost_or_doubled() {
    let campaign = Campaign { rounds: 20, seed: 20_261_123 };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let verdict = campaign.run(folder, |_| ()).await;
    assert!(verdict.is_good(), "{verdict}\n{}", verdict.report);
    assert!(verdict.acknowledged() > 100, "{verdict}: hardly a load");
}
