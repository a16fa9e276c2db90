//! `countersign-prove`: properties of policies, proved or refuted.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::Parser;
use countersign_prove::{Error, Property, Prover};

/// Proves properties of Cedar policies, or shows requests that break them.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// The schema (Cedar syntax), as `countersign policy schema` prints it.
    #[arg(long)]
    schema: PathBuf,
    /// A folder of properties (`*.toml`).
    #[arg(long)]
    properties: PathBuf,
    /// Folders of policies (`*.cedar`), which hold together.
    #[arg(required = true)]
    policies: Vec<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse(), &mut io::stdout()).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "countersign-prove: {error}");
            ExitCode::from(2)
        }
    }
}

/// How many times a property does not hold.
async fn run(cli: Cli, out: &mut dyn Write) -> Result<usize, Error> {
    let properties = Property::read_all(&cli.properties)?;
    let mut prover = Prover::new(&cli.schema, &cli.policies)?;
    let mut broken = 0;
    for property in &properties {
        let findings = prover.prove(property).await?;
        let failed: Vec<_> = findings
            .iter()
            .filter_map(|found| Some((&found.rpc, found.counterexample.as_ref()?)))
            .collect();
        broken += failed.len();
        if failed.is_empty() {
            writeln!(out, "proved    {} ({} RPCs)", property.name, findings.len())?;
            continue;
        }
        writeln!(out, "VIOLATED  {}", property.name)?;
        for (rpc, counterexample) in failed {
            writeln!(out, "    {rpc}: {counterexample}")?;
        }
    }
    Ok(broken)
}
