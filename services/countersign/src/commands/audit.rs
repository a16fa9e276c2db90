//! `countersign audit`: whether the trails are what they were, and what they say.

use std::io::Write;

use countersign_audit::{
    Break, Evidence, Flaw, Verdict, export, stored_keys, trusted_keys, verify,
};
use countersign_seal::MasterKeys;
use countersign_tokens::VerificationKey;
use countersign_types::{Clock, Timestamp};

use super::{
    data::{self, Data},
    table,
};
use crate::{AuditCommand, Config, Error, Role, cli::Since, master};

pub(super) async fn run(
    command: &AuditCommand,
    config: &Config,
    out: &mut dyn Write,
) -> Result<(), Error> {
    match command {
        AuditCommand::Verify { keys, checkpoints } => check(keys, checkpoints, config, out).await,
        AuditCommand::Export { service, since } => tell(*service, *since, config, out).await,
    }
}

async fn check(
    keys: &[String],
    checkpoints: &[String],
    config: &Config,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let named = keys.iter().map(|key| VerificationKey::from_paserk(key));
    let named: Vec<_> = named.collect::<Result<_, _>>().map_err(countersign_audit::Error::from)?;
    let mut changed = None;
    for (role, Data { service, db, .. }) in data::each_role(config).await? {
        let keys = match (masters(role, config)?, named.is_empty()) {
            (_, false) => named.clone(),
            (Some(masters), true) => trusted_keys(&db, &masters).await?,
            (None, true) => {
                writeln!(
                    out,
                    "{service}: there is no master key: the audit keys of the database are trusted"
                )?;
                stored_keys(&db).await?
            }
        };
        let evidence = Evidence { keys: Some(keys), checkpoints: checkpoints.to_vec() };
        let verdict = verify(&db, service, &evidence).await?;
        report(service, &verdict, out)?;
        if verdict.broken.is_some() {
            changed = changed.or(Some(service));
        }
    }
    changed.map_or(Ok(()), |service| Err(Error::AuditChanged(service)))
}

/// The master keys of a service, where this machine has them; none is made.
fn masters(role: Role, config: &Config) -> Result<Option<MasterKeys>, Error> {
    let path = master::file(role, config).cloned();
    let path = path.unwrap_or_else(|| config.data_dir.join("master.key"));
    match MasterKeys::load(path) {
        Ok(masters) => Ok(Some(masters)),
        Err(countersign_seal::Error::Missing(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn report(service: &str, verdict: &Verdict, out: &mut dyn Write) -> Result<(), Error> {
    let Verdict { begin, sound, loose, signed, broken } = verdict;
    if *begin > 0 {
        writeln!(out, "{service}: entries up to place {begin} were deleted in their time")?;
    }
    writeln!(out, "{service}: {sound} entries are sound, {loose} are not chained yet")?;
    if let Some(signed) = signed {
        let time = table::time(signed.time);
        writeln!(out, "{service}: signed up to place {} at {time} by {}", signed.seq, signed.key)?;
    }
    if let Some(found) = broken {
        writeln!(out, "{service}: {}", sentence(found))?;
    }
    Ok(())
}

fn sentence(found: &Break) -> String {
    let entry = found.id.map_or_else(String::new, |id| format!(", entry {id}"));
    let flaw = match found.flaw {
        Flaw::Missing => "nothing stands there any more: an entry was deleted, or the end cut off",
        Flaw::Altered => "it is not what it was: it was changed, moved, or put in",
        Flaw::Surplus => "the chain never reached that place: the entry was put in",
        Flaw::Rewritten => {
            "a signed checkpoint says something else: there or later an entry was changed, and \
             the chain made anew"
        }
        Flaw::Forged => "the checkpoint there was not signed by an audit key that is trusted",
        Flaw::Beginning => {
            "that the entries up to there were deleted in their time was not signed by an audit \
             key that is trusted"
        }
    };
    format!("the chain breaks at place {}{entry}: {flaw}", found.seq)
}

async fn tell(
    only: Option<Role>,
    since: Option<Since>,
    config: &Config,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let since = since.map_or(Timestamp::EPOCH, |since| since.from(Clock::system().now()));
    let only = only.map(|role| match role {
        Role::Auth => "auth",
        Role::User => "user",
    });
    for Data { service, db, .. } in data::each(config).await? {
        if only.is_none_or(|only| only == service) {
            export(&db, service, since, |line| writeln!(out, "{line}")).await.map_err(output)?;
        }
    }
    Ok(())
}

/// Whoever reads the output may have read enough.
fn output(error: countersign_audit::Error) -> Error {
    match error {
        countersign_audit::Error::Output(error) => Error::Output(error),
        error => error.into(),
    }
}
