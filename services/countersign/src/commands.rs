//! The commands, each in its own room. A command reads its arguments, asks the
//! service that knows, and prints the answer.

mod account;
mod audit;
mod config;
mod data;
mod erasures;
mod events;
mod health;
mod keeper;
mod keys;
mod migrate;
mod password;
mod policy;
mod sealing;
mod serve;
mod table;

use std::io::{self, ErrorKind, Write};

use crate::{Cli, Command, Config, Error};

/// Carries out what the command line says, and prints to standard output.
///
/// # Errors
/// [`Error`] is a sentence for the operator.
pub async fn run(cli: Cli) -> Result<(), Error> {
    match carry_out(cli, &mut io::stdout()).await {
        // Whoever reads the output has read enough.
        Err(Error::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

async fn carry_out(cli: Cli, out: &mut dyn Write) -> Result<(), Error> {
    match cli.command {
        Some(Command::Config { reference: true }) => {
            return Ok(out.write_all(Config::reference().as_bytes())?);
        }
        // Policies are tried out where there is no server, by whoever writes them.
        Some(Command::Policy(command)) => return policy::run(command, out),
        _ => {}
    }
    let config = Config::load(&cli.flags)?;
    match cli.command {
        None => serve::run(config, out).await,
        Some(Command::Auth) => serve::run_auth(config, out).await,
        Some(Command::User) => serve::run_user(config, out).await,
        Some(Command::Migrate { service }) => migrate::run(service, &config, out).await,
        Some(Command::Health(probe)) => health::run(&probe, &config, out).await,
        Some(Command::Config { .. }) => config::run(&config, out),
        Some(Command::Keys(command)) => keys::run(&command, &config, out).await,
        Some(Command::Events(command)) => events::run(command, &config, out).await,
        Some(Command::Erasures(command)) => erasures::run(&command, &config, out).await,
        Some(Command::Account(command)) => account::run(command, &config, out).await,
        Some(Command::Audit(command)) => audit::run(&command, &config, out).await,
        Some(Command::Policy(command)) => policy::run(command, out),
    }
}
