//! The gRPC contracts of Countersign: messages, clients and validation; with
//! the feature `server` also the guarded handlers, the table of rules, the
//! Cedar schema and the base policies.
//!
//! Everything is generated from the protos beside this file by
//! `countersign-codegen`; nothing is written by hand here.

#[cfg_attr(
    feature = "server",
    expect(clippy::allow_attributes, reason = "tonic's servers do the same within functions")
)]
#[expect(
    clippy::allow_attributes_without_reason,
    unused_qualifications,
    reason = "prost and tonic write full paths, and bare attributes on their modules"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/contracts.rs"));
}

#[cfg(feature = "server")]
pub use countersign_guard::{Guarded, PeerCertificate, status};
#[cfg(feature = "server")]
pub use generated::{BASE_POLICIES, CEDAR_SCHEMA, RULES};
pub use generated::{DESCRIPTOR_SET, countersign::*};
