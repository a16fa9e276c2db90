//! `countersign policy check`: whether a server would take the policies.

use std::io::Write;

use crate::{Error, PolicySource};

pub(super) fn run(source: &PolicySource, out: &mut dyn Write) -> Result<(), Error> {
    let desk = super::open(source, out)?;
    for rpc in desk.closed() {
        writeln!(out, "note: no policy permits {rpc} to anybody")?;
    }
    writeln!(out, "{} policies hold", desk.count())?;
    Ok(())
}
