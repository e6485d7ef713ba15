//! What black-box tests of the agent share: starting the real programs, and asking them.
// No test target needs all of it.
#![allow(dead_code)]

pub mod events;
pub mod harness;
pub mod http;
