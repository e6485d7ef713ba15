//! Telling people, from outside: real agents, real receivers on loopback.
//!
//! Every test has its own agents, ports and folders. Nothing asserts how long something took, but for what
//! must not wait for something else.

#[path = "../support/mod.rs"]
mod support;

mod receiver;

mod cli;
mod kills;
mod trouble;

use support::harness;
