//! `countersign keys seal-data`, `rotate-data` and `rotate-master`: what is
//! sealed, while servers run. Each works on the databases that are here, and goes
//! on where it was killed by being run again.

use std::io::{self, Write};

use countersign_seal::MasterKey;
use countersign_vault::{Progress, Tell, Vault};
use tokio::sync::mpsc;

use super::keeper::{self, Keeper, Service};
use crate::{Config, Error};

pub(super) async fn seal_data(config: &Config, out: &mut dyn Write) -> Result<(), Error> {
    for keeper in keeper::each(config).await? {
        let name = keeper.data.service;
        let begun = telling(out, name, async |tell| match &keeper.of {
            Service::Auth(auth) => Ok(auth.seal_data(tell).await?),
            Service::User(user) => Ok(user.seal_data(tell).await?),
        });
        if begun.await? {
            let left = countersign_vault::purge(&keeper.data.db).await;
            writeln!(out, "{name}: all personal data is sealed{}", rest(left.unwrap_or(false)))?;
        } else {
            writeln!(out, "{name}: all personal data was sealed already")?;
        }
    }
    Ok(())
}

/// What a database still has in its files.
const fn rest(is_purged: bool) -> &'static str {
    if is_purged {
        ""
    } else {
        "; its files still hold what was in the clear: see docs/operations.md, Upgrade"
    }
}

pub(super) async fn rotate_data(config: &Config, out: &mut dyn Write) -> Result<(), Error> {
    for keeper in keeper::each(config).await? {
        let name = keeper.data.service;
        let rotated = telling(out, name, async |tell| match &keeper.of {
            Service::Auth(auth) => Ok(auth.rotate_data(tell).await?),
            Service::User(user) => Ok(user.rotate_data(tell).await?),
        });
        rotated.await?;
        writeln!(out, "{name}: each person has a new data key")?;
    }
    Ok(())
}

pub(super) async fn rotate_master(config: &Config, out: &mut dyn Write) -> Result<(), Error> {
    let keepers = keeper::each(config).await?;
    for keeper in &keepers {
        let (name, to) = (keeper.data.service, target(keeper, &keepers, out).await?);
        let turned = telling(out, name, async |tell| match &keeper.of {
            Service::Auth(auth) => Ok(auth.rotate_master(&to, tell).await?),
            Service::User(user) => Ok(user.rotate_master(&to, tell).await?),
        });
        let done = if turned.await? { "is sealed" } else { "was sealed already" };
        writeln!(out, "{name}: everything {done} with master key {}", to.id())?;
    }
    writeln!(
        out,
        "keep the former keys as long as backups that were made with them; then take their lines out of the file"
    )?;
    Ok(())
}

/// The last key of the file, where some database that goes by this file is not
/// through with it; else a new one.
async fn target(keeper: &Keeper, all: &[Keeper], out: &mut dyn Write) -> Result<MasterKey, Error> {
    let latest = keeper.masters.latest()?;
    for other in all.iter().filter(|other| other.masters.path() == keeper.masters.path()) {
        if !Vault::is_settled_on(&other.data.db, &latest).await? {
            return Ok(latest);
        }
    }
    // Another service has made it just now.
    if all.first().is_some_and(|first| {
        !std::ptr::eq(first, keeper) && first.masters.path() == keeper.masters.path()
    }) {
        return Ok(latest);
    }
    let added = keeper.masters.add()?;
    let file = keeper.masters.path().unwrap_or_else(|| std::path::Path::new(""));
    writeln!(out, "master key {} is the last line of {} now", added.id(), file.display())?;
    Ok(added)
}

/// Does something and prints how far it has come.
async fn telling<T>(
    out: &mut dyn Write,
    service: &str,
    work: impl AsyncFnOnce(Tell<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let (sender, mut steps) = mpsc::unbounded_channel();
    let working = async move {
        // A closed channel: nobody listens any more, the work goes on.
        let mut tell = |progress: Progress| {
            let _ = sender.send(progress);
        };
        work(&mut tell).await
    };
    let printing = async {
        while let Some(Progress { done, of }) = steps.recv().await {
            let of = of.map(|of| format!(" of {of}")).unwrap_or_default();
            writeln!(out, "{service}: {done}{of} people")?;
            out.flush()?;
        }
        Ok::<_, io::Error>(())
    };
    let (worked, printed) = tokio::join!(working, printing);
    printed?;
    worked
}
