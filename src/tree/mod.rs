//! The tree: what is known now, and the rules for what a change means.
//!
//! Plain data and functions. Nothing in this folder knows a file, a socket, a channel, a runtime or a
//! clock: the time is an argument, and what changed is the return value. [`Tree::apply`] is the only
//! way to change it; the hub is its only caller outside of tests.
//!
//! Each instance stands in the tree once, by its uuid, whatever the number of ways by which it is
//! heard: [`paths`] chooses among them. What a copy can show is a [`View`].

mod apply;
mod control;
mod host;
mod instance;
mod instances;
mod links;
mod lookup;
mod name;
mod paths;
mod presence;
mod report;
mod reports;
mod topology;
mod transition;
mod view;

pub use apply::{Event, Freshness, Outcome, Touched, What};
pub use control::{Disabled, RemoteControl};
pub use host::{Host, Probe, ProbeResult};
pub use instance::Instance;
pub use links::{PARTING_GRACE, SETTLED};
pub use lookup::Group;
pub use name::{BadName, MAX_NAME_BYTES, ProbeName};
pub use presence::Presence;
pub use report::{Account, Contact, DEFAULT_ALIVE_TIMEOUT, Header, Known, Parting, Report};
pub use reports::{MAX_BYTES_BELOW, MAX_BYTES_PER_HOST, MAX_INSTANCES_BELOW, MAX_PROBES_PER_HOST};
pub use transition::{Kind, Transition};
pub use view::View;

use std::{collections::BTreeMap, ops::Deref, sync::Arc, time::Duration};

use jiff::Timestamp;
use uuid::Uuid;

use links::Link;

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Now {
    /// What the wall says: a label only, it may jump.
    pub wall: Timestamp,
    /// Time since the machine started, its sleep included: for everything that is measured.
    pub boot: Duration,
}

/// An instance with everything below it, and how each is heard.
#[derive(Debug)]
pub struct Tree {
    view: View,
    /// The instances directly below.
    links: BTreeMap<Uuid, Link>,
    /// What is heard of an instance, the first of the key, by another way (through the second) than
    /// the one that was chosen.
    shadows: BTreeMap<(Uuid, Uuid), Arc<Instance>>,
    /// How long an instance may be silent.
    alive_timeout: Duration,
    /// When silence was looked for last.
    last_tick: Option<Duration>,
}

impl Tree {
    /// The tree of an instance with nothing below it.
    pub fn new(me: Instance) -> Tree {
        Tree {
            view: View::new(me),
            links: BTreeMap::new(),
            shadows: BTreeMap::new(),
            alive_timeout: DEFAULT_ALIVE_TIMEOUT,
            last_tick: None,
        }
    }

    /// What can be shown, at the cost of what changes afterwards.
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// Whether there is anything that can fall silent.
    pub fn has_links(&self) -> bool {
        !self.links.is_empty()
    }
}

impl Deref for Tree {
    type Target = View;

    fn deref(&self) -> &View {
        &self.view
    }
}

#[cfg(test)]
mod tests;
