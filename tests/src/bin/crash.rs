//! `make crash ROUNDS=n SEED=s`: the crash campaign as a program.

use std::{
    env,
    io::{self, Write},
    path::Path,
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use countersign_tests::{Campaign, Layout};

#[tokio::main]
async fn main() -> ExitCode {
    let rounds = number("ROUNDS").unwrap_or(100);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let layout = env::var("TOPOLOGY").ok().filter(|name| !name.is_empty());
    let layout = layout.map_or(Ok(Layout::Embedded), |name| name.parse());
    let campaign = Campaign {
        layout: layout.unwrap_or_else(|error| panic!("TOPOLOGY: {error}")),
        rounds: u32::try_from(rounds).unwrap_or(u32::MAX),
        seed: number("SEED").unwrap_or(now),
    };
    let folder = env::current_exe().expect("the path of this program");
    let folder = folder.parent().and_then(Path::parent).expect("the target folder").to_path_buf();
    say(&format!("seed {}, {}", campaign.seed, campaign.layout));
    let verdict = campaign.run(&folder, |line| say(&line)).await;
    say(&verdict.report);
    say(&verdict.to_string());
    if verdict.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    let value = env::var(name).ok().filter(|value| !value.is_empty())?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

fn say(line: &str) {
    if !line.is_empty() {
        // Whoever closed the output wants no more of it.
        let _ = writeln!(io::stdout(), "{line}");
    }
}
