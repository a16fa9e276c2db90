//! What can be said about policies.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Write, check and try out policies.
#[derive(Debug, Clone, Subcommand)]
pub enum PolicyCommand {
    /// Print the Cedar schema: who calls, the resources with their attributes,
    /// and an action for each RPC that policies decide on.
    Schema,
    /// Check the policies of a folder as a server does before it loads them:
    /// everything that is wrong, each with file and line.
    Check(PolicySource),
}

/// Policies, and what they are checked against.
#[derive(Debug, Clone, Args)]
pub struct PolicySource {
    /// The folder of the policies (`*.cedar`).
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Leave the base policies out, as `policies.base = false` does.
    #[arg(long)]
    pub without_base: bool,
    /// Check against this schema (Cedar syntax), of a service of your own. It
    /// has no base policies.
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,
}
