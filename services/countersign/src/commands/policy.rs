//! `countersign policy`: policies, before a server has them.

mod cases;
mod check;
mod diff;
mod explain;
mod shown;
mod test;

use std::{fs, io::Write};

use countersign_contracts::CEDAR_SCHEMA;
use countersign_guard::policies::{Desk, PolicyFile, PolicyFolder};

use crate::{Error, PolicyCommand, PolicySource, config::base_policies};

pub(super) fn run(command: PolicyCommand, out: &mut dyn Write) -> Result<(), Error> {
    match command {
        PolicyCommand::Schema => Ok(out.write_all(CEDAR_SCHEMA.as_bytes())?),
        PolicyCommand::Check(source) => check::run(&source, out),
        PolicyCommand::Test { source, format } => test::run(&source, format, out),
        PolicyCommand::Explain(asked) => explain::run(asked, out),
        PolicyCommand::Diff { old, new, limit, format } => diff::run(old, &new, limit, format, out),
    }
}

/// The policies of a source with what they are checked against, or everything
/// that is wrong with them.
fn open(source: &PolicySource, out: &mut dyn Write) -> Result<Desk, Error> {
    let opened = schema(source).and_then(|schema| Ok(Desk::open(&schema, &files(source)?)?));
    match opened {
        Err(Error::Guard(countersign_guard::Error::Policies(problems))) => {
            for problem in &problems {
                writeln!(out, "{problem}")?;
            }
            Err(Error::Policies { dir: source.dir.clone(), problems: problems.len() })
        }
        opened => opened,
    }
}

fn schema(source: &PolicySource) -> Result<String, Error> {
    let Some(file) = &source.schema else { return Ok(CEDAR_SCHEMA.to_owned()) };
    fs::read_to_string(file).map_err(|source| Error::Read { file: file.clone(), source })
}

fn files(source: &PolicySource) -> Result<Vec<PolicyFile>, Error> {
    let is_alone = source.without_base || source.schema.is_some();
    let mut files = if is_alone { Vec::new() } else { base_policies() };
    files.extend(PolicyFolder::new(&source.dir).read()?.files);
    Ok(files)
}
