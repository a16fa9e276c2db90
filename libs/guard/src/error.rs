//! Why a guard cannot be built.

use crate::policies::{self, Problem};

/// Why a guard cannot be built. Its texts are for operators and for authors of
/// policies, and are never sent to clients.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that has no default is missing.
    #[error("the guard's setting `{0}` is empty")]
    Setting(&'static str),
    /// The schema of the policies does not hold.
    #[error("the cedar schema does not hold: {0}")]
    Schema(String),
    /// Policies are refused: everything that is wrong with them. Shown is the
    /// first, and how many there are beside it.
    #[error("{}", policies::first(.0))]
    Policies(Vec<Problem>),
    /// A question to policies that the schema knows nothing of.
    #[error("{0}")]
    Question(String),
    /// Two rules for one RPC.
    #[error("{0} has two rules")]
    DuplicateRule(&'static str),
    /// A rule and the schema do not speak of the same thing.
    #[error("the rule of {rpc} does not fit the cedar schema: {reason}")]
    Rule {
        /// The RPC, such as `countersign.user.v1.ProfileService/GetProfile`.
        rpc: &'static str,
        /// What does not fit.
        reason: String,
    },
}
