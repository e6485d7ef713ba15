//! The real agent, from outside: the program itself in a folder of its own, asked over its real ports,
//! with real probes, and treated as badly as the world treats it.
//!
//! One module for each boundary. Every test has its own agent, port and folder, so that they run at the
//! same time. Nothing asserts how long something took: conditions are waited for.

#[path = "../support/mod.rs"]
mod support;

mod abuse;
mod access;
mod api;
mod authority;
mod config;
mod database;
mod journal;
mod lifecycle;
mod live;
mod probes;
mod tls;

use support::{events, harness, http};
