//! Somebody else's service, guarded by Countersign. `docs/guard.md` builds it
//! step by step.

mod generated {
    include!(concat!(env!("OUT_DIR"), "/contracts.rs"));
}

mod mount;
mod service;
mod store;

pub use generated::{DESCRIPTOR_SET, notes::v1};
pub use mount::serve;
