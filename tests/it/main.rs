//! The end-to-end tests, one file for each theme. The harness is the library
//! of this package.

mod access;
mod accounts;
mod arrows;
mod attributes;
mod campaign;
mod crash;
mod events;
mod faults;
mod flow;
mod health;
mod input;
mod keys;
mod lists;
mod profiles;
mod refresh;
mod secrets;
mod sessions;
mod start;
mod tenants;
mod tokens;
