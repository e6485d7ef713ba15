//! What changed since it was last asked for: for whoever passes changes on, to the master above or to a
//! browser. Only the newest state of a thing matters, so what is not taken costs no more than the
//! number of things that changed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::tree::{Freshness, ProbeName, Touched, What};

/// Changed things that a feed remembers; beyond it only that everything may have changed.
const MAX_REMEMBERED: usize = 100_000;

/// What changed in the tree since the last [`Feed::take`].
#[derive(Debug)]
pub struct Feed(pub(super) Arc<Shared>);

#[derive(Debug, Default)]
pub(super) struct Shared {
    dirty: Mutex<(Dirty, usize)>,
    urgent: Notify,
    soon: Notify,
}

/// What has to be looked at again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dirty {
    /// Everything.
    pub all: bool,
    /// Else these instances.
    pub instances: BTreeMap<Uuid, Change>,
}

/// What of an instance has to be looked at again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// Its particulars or its presence. If it is not in the tree, it is gone.
    pub header: bool,
    /// All of its probes.
    pub whole: bool,
    /// These probes. One that its host does not have is gone.
    pub probes: BTreeMap<ProbeName, Freshness>,
}

impl Feed {
    /// What changed since this was last called; everything the first time.
    pub fn take(&self) -> Dirty {
        std::mem::take(&mut *self.0.dirty()).0
    }

    /// Waits until something is worth passing on at once: a status, an instance, a journal entry.
    pub async fn urgent(&self) {
        self.0.urgent.notified().await;
    }

    /// Waits until something is worth passing on soon: a result that says something else.
    pub async fn soon(&self) {
        self.0.soon.notified().await;
    }
}

impl Shared {
    pub fn new() -> Shared {
        let all = Dirty { all: true, instances: BTreeMap::new() };
        Shared { dirty: Mutex::new((all, 0)), ..Shared::default() }
    }

    fn dirty(&self) -> MutexGuard<'_, (Dirty, usize)> {
        self.dirty.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what an event touched. `news`: there are new journal entries.
    pub fn touched(&self, touched: &[Touched], news: bool) {
        let (mut urgent, mut soon) = (news, false);
        let mut held = self.dirty();
        let (dirty, remembered) = &mut *held;
        for Touched { uuid, what } in touched {
            match what {
                What::Probe(_, Freshness::Ran) => {}
                What::Probe(_, Freshness::Said) => soon = true,
                _ => urgent = true,
            }
            if dirty.all {
                continue;
            }
            *remembered += 1;
            let change = dirty.instances.entry(*uuid).or_default();
            match what {
                What::Header | What::Gone => change.header = true,
                What::Whole => (change.header, change.whole) = (true, true),
                What::Probe(name, freshness) => match change.probes.get_mut(name) {
                    Some(held) => {
                        *remembered -= 1;
                        *held = (*held).max(*freshness);
                    }
                    None => {
                        change.probes.insert(name.clone(), *freshness);
                    }
                },
            }
            if *remembered > MAX_REMEMBERED {
                *dirty = Dirty { all: true, instances: BTreeMap::new() };
                *remembered = 0;
            }
        }
        drop(held);
        if urgent {
            self.urgent.notify_one();
        }
        if soon {
            self.soon.notify_one();
        }
    }
}
