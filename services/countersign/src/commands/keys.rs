//! `countersign keys`: the keys that sign access tokens; those that seal are next door.

use std::io::Write;

use countersign_auth::{Announced, KeyLife, KeyState, admin};
use countersign_types::{Clock, Timestamp};

use super::{data, sealing, table};
use crate::{Config, Error, KeysCommand};

pub(super) async fn run(
    command: &KeysCommand,
    config: &Config,
    out: &mut dyn Write,
) -> Result<(), Error> {
    match command {
        KeysCommand::List => list(config, out).await,
        KeysCommand::Rotate => rotate(config, out).await,
        KeysCommand::SealData => sealing::seal_data(config, out).await,
        KeysCommand::RotateData => sealing::rotate_data(config, out).await,
        KeysCommand::RotateMaster => sealing::rotate_master(config, out).await,
    }
}

async fn list(config: &Config, out: &mut dyn Write) -> Result<(), Error> {
    let data = data::auth(config).await?;
    let now = Clock::system().now();
    let keys = admin::list_keys(&data.db).await?;
    let rows: Vec<_> = keys.iter().map(|key| row(key, now)).collect();
    let heads = ["KEY", "STATE", "ANNOUNCED", "SIGNS", "RETIRES", "REMOVED"];
    Ok(table::print(out, heads, &rows)?)
}

async fn rotate(config: &Config, out: &mut dyn Write) -> Result<(), Error> {
    let (_, keeper) = data::auth_with_keys(config).await?;
    let rotated = keeper.rotate_signing_keys(&config.auth).await?;
    let Announced { key, is_new } = rotated;
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
