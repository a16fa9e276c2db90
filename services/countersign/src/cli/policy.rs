//! What can be said about policies.

use std::{path::PathBuf, str::FromStr};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

/// Write, check and try out policies.
#[derive(Debug, Clone, Subcommand)]
pub enum PolicyCommand {
    /// Print the Cedar schema: who calls, the resources with their attributes,
    /// and an action for each RPC that policies decide on.
    Schema,
    /// Check the policies of a folder as a server does before it loads them:
    /// everything that is wrong, each with file and line.
    Check(PolicySource),
    /// Ask the policies what the tables beside them (`*.test.toml`) expect.
    Test {
        /// The policies and their tables.
        #[command(flatten)]
        source: PolicySource,
        /// How the result is printed.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Explain a decision: which policies decide, and what every other policy of
    /// the RPC lacks.
    Explain(Explain),
    /// Show which requests another set of policies decides differently: those of
    /// the tables on both sides, and requests made up from the schema.
    Diff {
        /// The folder of the policies in force.
        #[arg(value_name = "OLD")]
        old: PathBuf,
        /// The new policies, and what both are checked against.
        #[command(flatten)]
        new: PolicySource,
        /// Requests to make up for each RPC; where there are more, so many are
        /// drawn, the same each time.
        #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
        limit: u64,
        /// How the result is printed.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people, a line for each finding.
    #[default]
    Text,
    /// For programs, one JSON value.
    Json,
}

/// A request to explain.
#[derive(Debug, Clone, Args)]
pub struct Explain {
    /// The policies.
    #[command(flatten)]
    pub source: PolicySource,
    /// The RPC; the end of its name is enough, such as `GetProfile`.
    #[arg(long)]
    pub rpc: String,
    /// The id of who calls.
    #[arg(long, value_name = "ID")]
    pub user: String,
    /// A role of who calls; may be repeated.
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<String>,
    /// An attribute of who calls; may be repeated. What is no number, truth or
    /// list as JSON has them is a text.
    #[arg(long = "user-attribute", value_name = "NAME=VALUE")]
    pub user_attributes: Vec<Assignment>,
    /// The id of the resource; for the service itself it can be left out.
    #[arg(long, value_name = "ID", default_value = "")]
    pub resource: String,
    /// An attribute of the resource, such as `owner=ada`; may be repeated.
    #[arg(long = "attribute", value_name = "NAME=VALUE")]
    pub attributes: Vec<Assignment>,
    /// A name in the certificate of the connection, such as a SPIFFE id; may be
    /// repeated.
    #[arg(long = "peer", value_name = "NAME")]
    pub peer: Vec<String>,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// An attribute with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The attribute.
    pub name: String,
    /// Its value.
    pub value: Value,
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("NAME=VALUE, such as owner=ada")?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        Ok(Self { name: name.to_owned(), value })
    }
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
    /// An attribute of accounts that is declared in `token.attributes`, such as
    /// `department:string`; may be repeated.
    #[arg(long = "declare", value_name = "NAME:TYPE")]
    pub declared: Vec<String>,
}
