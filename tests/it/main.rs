//! The end-to-end tests, one file for each theme. The harness is the library
//! of this package.

mod access;
mod accounts;
mod arrows;
mod attributes;
mod broker_gone;
mod campaign;
mod clocks;
mod crash;
mod database_gone;
mod events;
mod faults;
mod flow;
mod health;
mod http;
mod input;
mod keys;
mod lists;
mod policies;
mod pool;
mod profiles;
mod refresh;
mod replicas;
mod rolling;
mod secrets;
mod secured;
mod sessions;
mod start;
mod statements;
mod telemetry;
mod tenants;
mod tokens;
mod trace;
