//! The guard: a tower layer that decides, before a handler runs, whether a
//! call may be made, and gives the handler proof that it may.
//!
//! Each step is a file: `rule`, `token`, `revocation` and `news` run in the
//! `layer`, before the message is decoded; `resource`, `context` and `decision` in
//! `enter`, which generated adapters call; `visible` takes their place for RPCs that list;
//! `witness` is what a handler gets, and `record` what is left behind. `hold`
//! goes on with it for calls that stream: `messages` and `answers` are checked
//! one by one. The only crate that knows cedar-policy. It makes no network call
//! and reads no database: what it needs is handed to it.

mod answers;
mod attribute;
mod builder;
mod call;
mod context;
mod decision;
mod enter;
mod error;
mod flood;
mod guard;
mod hold;
mod interceptor;
mod layer;
mod listing;
mod messages;
mod news;
mod peer;
pub mod policies;
mod principal;
mod record;
mod remembered;
mod resource;
mod revocation;
mod rule;
mod settings;
mod status;
mod token;
mod visible;
mod witness;

pub use attribute::{AttributeKind, AttributeKinds};
pub use builder::GuardBuilder;
pub use call::{Call, ListCall, PublicCall};
pub use countersign_types::Denial;
pub use enter::{enter, enter_list, enter_public, enter_service};
pub use error::Error;
pub use guard::Guard;
pub use hold::Hold;
pub use interceptor::Authenticate;
pub use layer::{GuardLayer, Guarded};
pub use listing::{Condition, Operator};
pub use messages::Messages;
pub use peer::{Peer, PeerCertificate};
pub use resource::{Attributes, OwnedById, Resolver, Value};
pub use revocation::Revocations;
pub use rule::{Access, Rule};
pub use settings::Settings;
pub use status::{ERROR_DOMAIN, status};
pub use visible::Visible;
pub use witness::{Caller, Permit};
