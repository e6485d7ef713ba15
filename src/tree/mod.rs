//! The tree: what is known now, and the rules for what a change means.
//!
//! Plain data and functions. Nothing in this folder knows a file, a socket, a channel, a runtime or a
//! clock: the time is an argument, and what changed is the return value. [`Tree::apply`] is the only
//! way to change it; the hub is its only caller outside of tests.

mod apply;
mod host;
mod instance;
mod lookup;
mod name;
mod presence;
mod report;
mod transition;

pub use apply::Event;
pub use host::{Host, Probe, ProbeResult};
pub use instance::Instance;
pub use lookup::Group;
pub use name::{BadName, MAX_NAME_BYTES, ProbeName};
pub use presence::Presence;
pub use report::{Account, Contact, DEFAULT_ALIVE_TIMEOUT, Header, Known, Parting, Report};
pub use transition::{Kind, Transition};

use std::time::Duration;

use jiff::Timestamp;

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Now {
    /// What the wall says: a label only, it may jump.
    pub wall: Timestamp,
    /// Time since the machine started, its sleep included: for everything that is measured.
    pub boot: Duration,
}

/// An instance with everything below it.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The instance this process is.
    pub me: Instance,
}
