//! Wigo, What Is Going On: one binary that is the agent on every host, the master above them, and the
//! status page for those who depend on them.
//!
//! Data goes one way, sources → tree → sinks; `ARCHITECTURE.md` has the picture. In reading order:

#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used))]

// The words of the domain.
pub mod duration;
pub mod json;
pub mod status;
pub mod tree;

// The hub owns the tree.
pub mod hub;

// What is configured.
pub mod config;

// Sources.
pub mod probe;
pub mod pull;
pub mod push;

// Who asks, and what may be asked of others.
pub mod access;
pub mod orders;

// Sinks.
pub mod api;
pub mod notify;
pub mod store;

// Assembly.
pub mod app;
pub mod connections;
pub mod log;
pub mod task;
pub mod trust;

// Faces and companions.
pub mod builtin;
pub mod cli;
