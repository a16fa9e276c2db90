//! A call that was not permitted, as those who keep books about it see it.

use std::net::IpAddr;

use uuid::Uuid;

use crate::{SessionId, Tenant, Timestamp, TraceParent, UserId};

/// A call that the policies did not permit. It holds ids, words of
/// this program and a network address, and nothing that a client has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The RPC, such as `countersign.user.v1.ProfileService/GetProfile`.
    pub rpc: &'static str,
    /// Who called.
    pub user: UserId,
    /// With which session.
    pub session: SessionId,
    /// The tenant of who called.
    pub tenant: Tenant,
    /// From where, as far as that is known.
    pub address: Option<IpAddr>,
    /// Within which trace.
    pub trace: Option<TraceParent>,
    /// Type of the resource.
    pub resource_type: &'static str,
    /// Which one was asked for, where such resources have ids that are UUIDs.
    /// Whether it exists is not said.
    pub resource: Option<Uuid>,
    /// The `@id`s of the policies that forbade; empty when none permitted.
    pub policies: Vec<String>,
    /// When it was denied.
    pub time: Timestamp,
}
