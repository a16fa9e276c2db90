//! What a handler is given.

use crate::{Caller, Peer, Permit, Visible};

/// A call that was permitted. Only the guard makes one.
#[non_exhaustive]
pub struct Call<M> {
    /// The message, valid by the rules of the contract; where the client streams
    /// them, [`crate::Messages`].
    pub message: M,
    /// Who calls.
    pub caller: Caller,
    /// What was permitted.
    pub permit: Permit,
    /// Where the call comes from.
    pub peer: Peer,
}

/// A call of an RPC that lists resources. Only the guard makes one.
#[non_exhaustive]
pub struct ListCall<M> {
    /// The message, valid by the rules of the contract.
    pub message: M,
    /// Who calls.
    pub caller: Caller,
    /// What the answer may hold.
    pub visible: Visible,
    /// Where the call comes from.
    pub peer: Peer,
}

/// A call of an RPC that anybody may call.
#[non_exhaustive]
pub struct PublicCall<M> {
    /// As in [`Call`].
    pub message: M,
    /// Where the call comes from.
    pub peer: Peer,
}
