//! Events without loss: outbox, relay, bus, inbox and dead letters.
//!
//! A change and its event are one transaction ([`Outbox::begin`],
//! [`Unit::append`]); the [`Relay`] publishes what was committed on the [`Bus`]
//! until every [`Consumer`] has it; a consumer's effect, its inbox entry and
//! its own events are again one transaction. So an event is delivered at least
//! once and has its effect exactly once, whatever dies in between.
//!
//! The bus is in memory, or NATS JetStream; services do not see which. The
//! database is the source of truth and the stream is the road: what a stream
//! loses is found by the relay's sweep and published again.
//!
//! Nothing here knows what an event means, and no event may hold personal
//! data: the tables of this crate are kept, listed and copied as they are.

pub mod admin;
mod backlog;
mod backoff;
mod bus;
mod claim;
mod consumer;
mod dead;
mod entity;
mod error;
mod event;
mod follow;
mod inbox;
mod jetstream;
mod lane;
mod listen;
mod messaging;
mod meter;
mod migration;
mod outbox;
mod prune;
mod reason;
mod receipt;
mod relay;
mod sweep;
mod trace;
mod turns;

pub use backoff::Backoff;
pub use bus::Bus;
pub use consumer::{Consumer, ConsumerOptions, Handler};
pub use dead::DeadLetter;
pub use error::Error;
pub use event::{DATA_MAX, Event};
pub use follow::{Follower, Following};
pub use futures::future::BoxFuture;
pub use jetstream::JetStreamOptions;
pub use migration::migrations;
pub use outbox::{Outbox, Unit};
pub use reason::reason;
pub use receipt::{Nack, Receipt};
pub use relay::{Relay, RelayOptions};
pub use sweep::Sweep;
pub use trace::current as current_trace;
