//! The contracts for callers that speak no gRPC: HTTP with JSON by the
//! `google.api.http` annotations, the unary JSON of Connect, and gRPC-Web.
//!
//! Nothing is written by hand for an RPC: all of it is read from the descriptors
//! once, when a [`Gateway`] is made. A request becomes a gRPC request before
//! anything below sees it, so that limits, tokens, rules and validation are those
//! of gRPC; the answer is told as its caller understands it. Nothing here decides
//! who may call.
//!
//! Any server of tonic can mount it:
//! ```ignore
//! let gateway = Gateway::new(acme::DESCRIPTOR_SET, &["acme.shop.v1.ShopService"], Settings::default())?;
//! Server::builder().accept_http1(true).layer(gateway.layer()).add_service(shop)
//! ```
//! A server with limits of its own puts them between the two halves: the
//! [`Doors`] above, where a call gets its name, and [`unpack`] below, where its
//! body is read.

mod answer;
mod binding;
mod connect;
mod doors;
mod error;
mod frames;
mod gateway;
mod headers;
mod json;
mod lines;
mod message;
mod openapi;
mod origins;
mod path;
mod query;
mod refusal;
mod reply;
mod rpc;
mod shape;
mod table;
mod template;

pub use doors::{AtTheDoor, Doors, GatewayLayer, Unpacked};
pub use error::Error;
pub use gateway::{Gateway, unpack};
pub use origins::{Origins, Shared};

/// What a gateway bears, and what it calls itself.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of the API in its description.
    pub title: String,
    /// The version of the API in its description.
    pub version: String,
    /// Largest body of a request, in bytes; a larger one is answered with 413.
    pub max_message_bytes: usize,
    /// Largest headers of a request with its target, in bytes; larger ones are
    /// answered with 431.
    pub max_header_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            title: "API".to_owned(),
            version: "1".to_owned(),
            max_message_bytes: 1024 * 1024,
            max_header_bytes: 16 * 1024,
        }
    }
}
