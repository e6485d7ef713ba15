//! What was known before the start goes into the tree.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use uuid::Uuid;

use crate::{
    hub::Hub,
    probe::catalog::{Catalog, SELF_PROBE},
    store::Opened,
    tree::{Event, Known, ProbeName},
};

/// Gives the tree what was known before the start.
pub(super) fn remember(hub: &Hub, opened: Opened, catalog: &Catalog) {
    let me = hub.read(|tree| tree.me().uuid);
    for known in above_first(opened.known) {
        hub.handle(Event::Remembered { known });
    }
    let mut gone = HashSet::new();
    for last in opened.restored {
        let name = last.result.name.as_str();
        let probe = name.split_once('/').map_or(name, |(probe, _)| probe);
        let own = last.instance == me;
        if own && probe != SELF_PROBE && !catalog.entries.contains_key(probe) {
            gone.extend(ProbeName::new(probe));
        }
        let (result, since) = (Arc::unwrap_or_clone(last.result), last.since);
        hub.handle(Event::Restored { instance: last.instance, result, since });
    }
    if let Some(last) = opened.last_seen.filter(|last| !last.clean) {
        let message = "the agent ended without saying so: killed, crashed, or the host went down";
        hub.handle(Event::Stopped { at: last.at, message: message.into() });
    }
    for probe in gone {
        let why = "removed while the agent was not running".into();
        hub.handle(Event::Gone { probe, why });
    }
}

/// Instances in an order in which those above come before those below them.
fn above_first(mut known: Vec<Known>) -> Vec<Known> {
    let parents: HashMap<Uuid, Uuid> = known.iter().map(|one| (one.uuid, one.parent)).collect();
    let depth = |known: &Known| {
        let above = std::iter::successors(Some(known.parent), |uuid| parents.get(uuid).copied());
        // Bounded, in case the database says that they are below each other.
        above.take(parents.len() + 1).count()
    };
    known.sort_by_cached_key(|one| (one.via != one.uuid, depth(one)));
    known
}
