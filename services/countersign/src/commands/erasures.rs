//! `countersign erasures`: who was deleted, so that a backup that was restored
//! from before can forget them again.

use std::{collections::BTreeMap, io::Write, path::Path};

use countersign_types::{Timestamp, UserId};

use super::{
    keeper::{self, Service},
    table,
};
use crate::{Config, ErasuresCommand, Error};

pub(super) async fn run(
    command: &ErasuresCommand,
    config: &Config,
    out: &mut dyn Write,
) -> Result<(), Error> {
    match command {
        ErasuresCommand::List => list(config, out).await,
        ErasuresCommand::Apply { file } => apply(file.as_deref(), config, out).await,
    }
}

async fn list(config: &Config, out: &mut dyn Write) -> Result<(), Error> {
    for (user, time) in known(&keeper::each(config).await?).await? {
        writeln!(out, "{user} {}", table::time(time))?;
    }
    Ok(())
}

/// Erases in each database who is deleted in any of them or named in the file.
async fn apply(file: Option<&Path>, config: &Config, out: &mut dyn Write) -> Result<(), Error> {
    let listed = file.map(read).transpose()?.unwrap_or_default();
    let keepers = keeper::each(config).await?;
    let known = known(&keepers).await?;
    for keeper in &keepers {
        let mut count = 0_u64;
        for user in known.keys().chain(&listed) {
            count += u64::from(match &keeper.of {
                Service::Auth(auth) => auth.erase(*user).await?,
                Service::User(user_service) => user_service.erase(*user).await?,
            });
        }
        writeln!(out, "{}: {count} people were erased", keeper.data.service)?;
    }
    Ok(())
}

/// Whom the databases know to be deleted.
async fn known(keepers: &[keeper::Keeper]) -> Result<BTreeMap<UserId, Timestamp>, Error> {
    let mut all = BTreeMap::new();
    for keeper in keepers {
        all.extend(match &keeper.of {
            Service::Auth(auth) => auth.erased().await?,
            Service::User(user) => user.erased().await?,
        });
    }
    Ok(all)
}

/// The first word of each line, which is an id.
fn read(file: &Path) -> Result<Vec<UserId>, Error> {
    let text = std::fs::read_to_string(file)
        .map_err(|source| Error::Read { file: file.to_path_buf(), source })?;
    let words = text.lines().filter_map(|line| line.split_whitespace().next());
    words
        .map(|word| {
            word.parse().map_err(|_| Error::Table {
                file: file.to_path_buf(),
                reason: format!("{word:?} is no id: each line begins with the id of an account"),
            })
        })
        .collect()
}
