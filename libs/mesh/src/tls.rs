//! TLS from files that somebody else writes and renews: cert-manager, a SPIFFE
//! driver, Linkerd, or a person.
//!
//! The files are looked at again and again, by their content: mounted ones are
//! exchanged behind symbolic links, which no notification tells of reliably. New
//! connections use what is there then; open ones go on. Files that are bad stop
//! the start; later the former ones stay in force, and the log says so.

mod certificate;
mod client;
mod expiry;
mod files;
mod server;
mod watched;

pub(crate) use client::ClientTls;
pub(crate) use server::ServerTls;
