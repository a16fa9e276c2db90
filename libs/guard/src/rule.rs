//! Step 1: the rule of the called RPC, from the table made at build time.

use std::{collections::HashMap, sync::Arc, time::Duration};

use crate::{Error, policies::PolicyGate};

/// The rule of one RPC, as the build reads it from the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// The RPC, such as `countersign.user.v1.ProfileService/GetProfile`.
    pub rpc: &'static str,
    /// Who may call it.
    pub access: Access,
    /// How old the news of revocations may be, where the rule says so.
    pub max_staleness: Option<Duration>,
    /// Whether its client streams requests: a server waits for each of them for as
    /// long as it likes.
    pub streams_requests: bool,
}

/// Who may call an RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody; no token is read.
    Public,
    /// Whoever has a valid token and is let through by the policies.
    Policy {
        /// Type of the resource, such as `Profile`; `Service` is the service itself.
        resource: &'static str,
    },
    /// Whoever has a valid token; the policies decide which resources are listed.
    List {
        /// Type of the resources, such as `Profile`.
        resource: &'static str,
    },
}

/// All rules by RPC, each with the policies that can decide on it.
pub(crate) struct Rules(HashMap<&'static str, Arc<Entry>>);

/// A rule, ready to be used.
pub(crate) struct Entry {
    pub(crate) rpc: &'static str,
    pub(crate) gate: Gate,
    pub(crate) max_staleness: Option<Duration>,
    pub(crate) streams_requests: bool,
}

pub(crate) enum Gate {
    Public,
    Policy(Box<PolicyGate>),
    List(Box<PolicyGate>),
}

impl Rules {
    /// Makes the table; every rule has its entry once.
    pub(crate) fn new(entries: impl IntoIterator<Item = Entry>) -> Result<Self, Error> {
        let mut table = HashMap::new();
        for entry in entries {
            let rpc = entry.rpc;
            if table.insert(rpc, Arc::new(entry)).is_some() {
                return Err(Error::DuplicateRule(rpc));
            }
        }
        Ok(Self(table))
    }

    /// The rule for the path of a request, such as `/package.Service/Method`.
    pub(crate) fn of_path(&self, path: &str) -> Option<&Arc<Entry>> {
        self.0.get(path.strip_prefix('/')?)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.values().map(|entry| &**entry)
    }
}

impl Rule {
    /// The rule that says who may call an RPC, and nothing else.
    #[must_use]
    pub const fn new(rpc: &'static str, access: Access) -> Self {
        Self { rpc, access, max_staleness: None, streams_requests: false }
    }

    /// The same, with a limit of its own to how old the news of revocations may
    /// be; see [`crate::GuardBuilder::staleness`].
    #[must_use]
    pub const fn max_staleness(self, limit: Duration) -> Self {
        Self { max_staleness: Some(limit), ..self }
    }

    /// The same, of an RPC whose client streams requests.
    #[must_use]
    pub const fn streams_requests(self) -> Self {
        Self { streams_requests: true, ..self }
    }

    /// The full name of the service that the RPC belongs to.
    pub(crate) fn service(rpc: &'static str) -> &'static str {
        rpc.split_once('/').map_or(rpc, |(service, _)| service)
    }
}
