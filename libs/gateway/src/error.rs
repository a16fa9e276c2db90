//! What can be wrong with contracts or settings, before anybody calls.

/// Why there is no gateway for these contracts.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are no set of descriptors, or one that lacks an import.
    #[error("the descriptors cannot be read: {0}")]
    Descriptors(String),
    /// The set does not describe a service that is to be served.
    #[error("the descriptors have no service {0}")]
    UnknownService(String),
    /// A `google.api.http` annotation that cannot be served.
    #[error("{rpc}: its HTTP rule {reason}")]
    Rule {
        /// The RPC, such as `acme.shop.v1.ShopService/GetOrder`.
        rpc: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An origin that no browser would send.
    #[error("{0:?} is no origin, such as https://app.example.org")]
    Origin(String),
}
