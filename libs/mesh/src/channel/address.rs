//! Where one replica listens, and what it is called there.

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc};

/// The address of one replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Address {
    pub place: Place,
    /// `name:port`, as the target has it: what the replica is called in requests,
    /// and, without the port, in its certificate.
    pub authority: Arc<str>,
}

/// Where a connection goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp(address) => address.fmt(f),
            Place::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
