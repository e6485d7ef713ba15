//! Push, from outside: real agents that report to real masters over real connections, and whoever else
//! can reach the port.
//!
//! Every test has its own agents, ports and folders, so that they run at the same time. Nothing asserts
//! how long something took: conditions are waited for.

#[path = "../support/mod.rs"]
mod support;

mod fleet;
mod relay;
mod stranger;

mod certificates;
mod data;
mod enrol;
mod hostile;
mod kills;
mod orders;
mod partition;
mod plain;
mod presence;
mod pull;
mod tokens;
mod twice;

use support::{events, harness, http};
