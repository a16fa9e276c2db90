//! The gateway from outside: what a request becomes, and what becomes of its answer.

mod answers;
mod bad_input;
mod connect;
mod contracts;
mod fuzz;
mod routes;
mod web;
mod world;
