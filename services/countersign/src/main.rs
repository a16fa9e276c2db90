//! The one executable. What it can do is in `countersign --help`.

use std::{io::Write, process::ExitCode};

use clap::Parser;
use countersign::{Cli, commands};

#[tokio::main]
async fn main() -> ExitCode {
    match commands::run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where standard error is closed, the exit code has to do.
            let _ = writeln!(std::io::stderr(), "countersign: {error}");
            ExitCode::FAILURE
        }
    }
}
