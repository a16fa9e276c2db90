//! Configuration: defaults, then a TOML file, then the environment, then the
//! command line; each overrides what came before.
//!
//! A setting is named by its path, such as `server.listen`, and in the
//! environment by `COUNTERSIGN_SERVER__LISTEN`. Unknown names are refused wherever
//! they stand. Secrets are never values: a setting that ends in `_file` names the
//! file that holds one.

mod channel;
mod database;
pub mod duration;
mod http;
mod keys;
mod limits;
mod load;
mod log;
mod outliers;
mod proxies;
mod reference;
mod secret;
mod server;
mod telemetry;
mod tls;

pub use channel::ChannelConfig;
pub use database::DatabaseConfig;
pub use http::HttpConfig;
pub use limits::{duration_in_range, in_range};
pub use load::{PREFIX, Sources, load};
pub use log::{LogConfig, LogFormat};
pub use outliers::OutlierConfig;
pub use proxies::{Cidr, CidrError, ProxyHeader};
pub use reference::{effective, reference};
pub use server::ServerConfig;
pub use telemetry::TelemetryConfig;
pub use tls::{ClientTlsConfig, TlsConfig};
