//! `countersign keys`: the keys that sign access tokens.

use std::io::Write;

use countersign_auth::{Announced, KeyLife, KeyState, admin};
use countersign_types::{Clock, Timestamp};

use super::{Opened, table};
use crate::{Config, Error, KeysCommand};

pub(super) async fn run(
    command: &KeysCommand,
    config: &Config,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let opened = super::open(config).await?;
    match command {
        KeysCommand::List => list(&opened, out).await,
        KeysCommand::Rotate => rotate(&opened, config, out).await,
    }
}

async fn list(opened: &Opened, out: &mut dyn Write) -> Result<(), Error> {
    let now = Clock::system().now();
    let keys = admin::list_keys(&opened.databases.auth).await?;
    let rows: Vec<_> = keys.iter().map(|key| row(key, now)).collect();
    let heads = ["KEY", "STATE", "ANNOUNCED", "SIGNS", "RETIRES", "REMOVED"];
    Ok(table::print(out, heads, &rows)?)
}

async fn rotate(opened: &Opened, config: &Config, out: &mut dyn Write) -> Result<(), Error> {
    let clock = Clock::system();
    let db = &opened.databases.auth;
    let Announced { key, is_new } =
        admin::rotate_keys(db, &opened.master, &clock, &config.auth).await?;
    let done = if is_new { "is announced" } else { "was announced already" };
    writeln!(out, "key {} {done}; it signs from {}", key.key_id, table::time(key.sign_time))?;
    Ok(())
}

fn row(key: &KeyLife, now: Timestamp) -> [String; 6] {
    let state = match key.state(now) {
        KeyState::Announced => "announced",
        KeyState::Signing => "signing",
        KeyState::Retiring => "retiring",
        KeyState::Removed => "removed",
    };
    [
        key.key_id.clone(),
        state.to_owned(),
        table::time(key.announce_time),
        table::time(key.sign_time),
        key.retire_time.map(table::time).unwrap_or_default(),
        key.remove_time.map(table::time).unwrap_or_default(),
    ]
}
