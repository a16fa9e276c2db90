//! From .proto to Rust: messages, clients, guarded handlers, rules, validation
//! and the Cedar schema.
//!
//! It runs in a build script, so that a contract which breaks its own rules
//! does not build. Nothing here is linked into a service, and what is written
//! needs no descriptor and no reflection while requests are served.
//!
//! A build.rs calls it:
//! ```no_run
//! fn main() -> Result<(), countersign_codegen::Error> {
//!     countersign_codegen::Contracts::new("proto").policies("policies").compile()
//! }
//! ```
//! and the library takes in what was written:
//! ```ignore
//! mod generated {
//!     include!(concat!(env!("OUT_DIR"), "/contracts.rs"));
//! }
//! pub use generated::{DESCRIPTOR_SET, acme};
//! #[cfg(feature = "server")]
//! pub use generated::{BASE_POLICIES, CEDAR_SCHEMA, RULES};
//! ```
//! The library depends on `prost`, `prost-types`, `tonic`, `tonic-prost`,
//! `regex` and `countersign-types`, and declares a feature `server` that adds
//! `countersign-guard`. The protos may import `buf/validate/validate.proto`,
//! `countersign/policy/v1/rule.proto`, `countersign/http/v1/success.proto` and
//! `google/api/annotations.proto`, which are built in here.
//!
//! The feature `policies` (on by default) checks the policies with Cedar. A
//! crate that is only a client can leave it out, and builds without Cedar.

mod compile;
mod debug;
mod error;
mod handlers;
mod names;
mod options;
mod output;
#[cfg(feature = "policies")]
mod policies;
mod rules;
mod schema;
mod validation;

use std::{
    env, iter,
    path::{Path, PathBuf},
};

pub use error::{Error, Problem};

use crate::{
    compile::Compiled,
    error::Problems,
    output::{Artifacts, PolicyFile},
};

/// The contracts of one crate: a folder of protos, and the policies over them.
#[derive(Clone, Debug)]
pub struct Contracts {
    protos: PathBuf,
    includes: Vec<PathBuf>,
    policies: Option<PathBuf>,
    out_dir: Option<PathBuf>,
}

impl Contracts {
    /// All `*.proto` files under `protos`, which is at once where their imports
    /// are looked up.
    pub fn new(protos: impl AsRef<Path>) -> Self {
        Self {
            protos: protos.as_ref().to_owned(),
            includes: Vec::new(),
            policies: None,
            out_dir: None,
        }
    }

    /// One more folder where imports are looked up; no code is written for the
    /// files in it.
    #[must_use]
    pub fn include(mut self, folder: impl AsRef<Path>) -> Self {
        self.includes.push(folder.as_ref().to_owned());
        self
    }

    /// The folder of the base policies (`*.cedar`), which are validated and
    /// built in.
    #[must_use]
    pub fn policies(mut self, folder: impl AsRef<Path>) -> Self {
        self.policies = Some(folder.as_ref().to_owned());
        self
    }

    /// Where to write, instead of the `OUT_DIR` that cargo gives a build script.
    #[must_use]
    pub fn out_dir(mut self, folder: impl AsRef<Path>) -> Self {
        self.out_dir = Some(folder.as_ref().to_owned());
        self
    }

    /// Checks the contracts and the policies and writes `contracts.rs`, one
    /// Rust file for each package, `descriptor_set.binpb` and `schema.cedarschema`.
    ///
    /// # Errors
    /// [`Error::Contract`] names everything that is wrong with the contracts, by
    /// file and RPC, field or line; the other errors say which file cannot be
    /// compiled, read or written. Nothing is written unless everything is right.
    pub fn compile(&self) -> Result<(), Error> {
        let out_dir = match &self.out_dir {
            Some(folder) => folder.clone(),
            None => {
                let folders = iter::once(&self.protos).chain(&self.includes);
                output::announce(folders.chain(&self.policies))?;
                env::var_os("OUT_DIR").map(PathBuf::from).ok_or(Error::NoOutDir)?
            }
        };

        let compiled = Compiled::read(&self.protos, &self.includes)?;
        let mut problems = Problems::default();
        let contract = rules::read(&compiled, &mut problems);
        let validation = validation::implementations(&compiled, &mut problems);
        let schema = schema::text(&contract);
        let policies = self.read_policies(&schema, &mut problems)?;
        problems.into_result()?;

        let artifacts = Artifacts { compiled, contract, validation, schema, policies };
        output::write(&out_dir, artifacts)
    }

    #[cfg(feature = "policies")]
    fn read_policies(
        &self,
        schema: &str,
        problems: &mut Problems,
    ) -> Result<Option<Vec<PolicyFile>>, Error> {
        let files = self.policies.as_deref().map_or(Ok(Vec::new()), policies::read)?;
        // Without all rules the schema lacks actions, and every policy over them
        // would be reported as well.
        if problems.is_empty() {
            policies::check(&files, schema, problems);
        }
        Ok(Some(files))
    }

    /// Policies that can not be checked are not built in: a server does not
    /// compile without them.
    #[cfg(not(feature = "policies"))]
    fn read_policies(&self, _: &str, _: &mut Problems) -> Result<Option<Vec<PolicyFile>>, Error> {
        Ok(None)
    }
}
