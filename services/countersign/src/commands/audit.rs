//! `countersign audit`: whether the trail is what it was.

use std::io::Write;

use countersign_audit::{Break, Flaw, verify};

use super::data::{self, Data};
use crate::{AuditCommand, Config, Error};

pub(super) async fn run(
    command: &AuditCommand,
    config: &Config,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let AuditCommand::Verify = command;
    let mut changed = None;
    for Data { service, db, .. } in data::each(config).await? {
        let verdict = verify(&db).await?;
        writeln!(
            out,
            "{service}: {} entries are sound, {} are not chained yet",
            verdict.sound, verdict.loose
        )?;
        if let Some(found) = &verdict.broken {
            writeln!(out, "{service}: {}", sentence(found))?;
            changed = changed.or(Some(service));
        }
    }
    changed.map_or(Ok(()), |service| Err(Error::AuditChanged(service)))
}

fn sentence(found: &Break) -> String {
    let entry = found.id.map_or_else(String::new, |id| format!(", entry {id}"));
    let flaw = match found.flaw {
        Flaw::Missing => "nothing stands there any more: an entry was deleted",
        Flaw::Altered => "it is not what it was: it was changed, moved, or put in",
        Flaw::Surplus => "the chain never reached that place: the entry was put in",
    };
    format!("the chain breaks at place {}{entry}: {flaw}", found.seq)
}
