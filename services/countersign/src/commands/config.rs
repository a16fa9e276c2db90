//! `countersign config`: the settings in force.

use std::io::Write;

use crate::{Config, Error};

pub(super) fn run(config: &Config, out: &mut dyn Write) -> Result<(), Error> {
    Ok(out.write_all(config.effective()?.as_bytes())?)
}
