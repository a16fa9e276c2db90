//! `countersign account`: making accounts without a registration.

use std::{io::Write, path::Path};

use super::{
    data,
    password::{self, Source},
};
use crate::{AccountCommand, Config, Error};

pub(super) async fn run(
    command: AccountCommand,
    config: &Config,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let AccountCommand::Create { email, roles, tenant, password_file, password_stdin } = command;
    let password = password::read(&source(password_file.as_deref(), password_stdin))?;
    let (data, keeper) = data::auth_with_keys(config).await?;

    // The service takes the password over and wipes it after hashing.
    let (password, given) = (password.as_str().to_owned(), roles.clone());
    let of = tenant.clone();
    let made = keeper.create_account(&config.auth, email, password, given, of);
    let account = made.await.map_err(|error| match error {
        countersign_auth::Error::Invalid(rules) => Error::Refused(rules),
        other => Error::Auth(other),
    })?;

    let roles = if roles.is_empty() { "none".to_owned() } else { roles.join(", ") };
    let active = match data.is_alone {
        Some(true) => "it is active once a server runs on this data",
        Some(false) => "it is active in a moment",
        None => "it is active as soon as both services run",
    };
    writeln!(out, "account {account} is made (roles: {roles}; tenant: {tenant}); {active}")?;
    Ok(())
}

fn source(file: Option<&Path>, stdin: bool) -> Source<'_> {
    match file {
        Some(path) => Source::File(path),
        None if stdin => Source::Stdin,
        None => Source::Terminal,
    }
}
