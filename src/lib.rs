//! Wigo, What Is Going On: one binary that is the agent on every host, the master above them, and the
//! status page for those who depend on them.
//!
//! Data goes one way, sources → tree → sinks; `ARCHITECTURE.md` has the picture. In reading order:

#![forbid(unsafe_code)]

// The words of the domain.
pub mod json;
pub mod status;
pub mod tree;

// What is configured.
pub mod config;

// Sinks.
pub mod store;

// Faces and companions.
pub mod builtin;
pub mod cli;
