//! `countersign policy`: policies, before a server has them.

mod cases;
mod check;
mod diff;
mod explain;
mod shown;
mod test;

use std::{fs, io::Write};

use countersign_contracts::{CEDAR_SCHEMA, RULES};
use countersign_guard::{
    AttributeKinds,
    policies::{Desk, PolicyFile, PolicyFolder},
};

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
    match read(source) {
        Err(Error::Guard(countersign_guard::Error::Policies(problems))) => {
            for problem in &problems {
                writeln!(out, "{problem}")?;
            }
            Err(Error::Policies { dir: source.dir.clone(), problems: problems.len() })
        }
        opened => opened,
    }
}

fn read(source: &PolicySource) -> Result<Desk, Error> {
    let desk = Desk::open(&schema(source)?, &files(source)?)?;
    // The rules of other services are not known here.
    if source.schema.is_none() {
        desk.check_lists(RULES)?;
    }
    Ok(desk)
}

fn schema(source: &PolicySource) -> Result<String, Error> {
    let schema = match &source.schema {
        Some(file) => {
            fs::read_to_string(file).map_err(|source| Error::Read { file: file.clone(), source })?
        }
        None => CEDAR_SCHEMA.to_owned(),
    };
    let declared = AttributeKinds::parse(source.declared.iter().map(String::as_str));
    Ok(declared.map_err(countersign_guard::Error::Schema)?.extend(&schema)?)
}

fn files(source: &PolicySource) -> Result<Vec<PolicyFile>, Error> {
    let is_alone = source.without_base || source.schema.is_some();
    let mut files = if is_alone { Vec::new() } else { base_policies() };
    files.extend(PolicyFolder::new(&source.dir).read()?.files);
    Ok(files)
}
