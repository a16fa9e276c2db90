//! A call that was not permitted, as those who keep books about it see it.

use uuid::Uuid;

use crate::{Timestamp, UserId};

/// A call that the policies did not permit. It holds ids and words of this
/// program, and nothing that a client has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The RPC, such as `countersign.user.v1.ProfileService/GetProfile`.
    pub rpc: &'static str,
    /// Who called.
    pub user: UserId,
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
