//! The hub owns the tree. Every change passes here: it reads the clocks, applies the event, numbers what
//! changed and hands it to the journal and to whoever listens live.
//!
//! A lock, not a task: applying takes microseconds, and a probe thread that has a result would
//! otherwise have to wake another one for each. Nothing is done under the lock that could wait.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::broadcast;
use uuid::Uuid;

use crate::tree::{Event, Kind, Known, Now, ProbeName, ProbeResult, Transition, Tree};

/// Entries that a live listener may lag behind before it loses some (and is told so).
const LIVE_QUEUE: usize = 1_024;
/// A difference between the clocks that is more than drift.
const CLOCK_JUMP: Duration = Duration::from_secs(5);

/// A transition with its place in the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Grows with each entry of this instance's journal.
    pub id: u64,
    /// The instance where it happened.
    pub origin: Uuid,
    /// Its number in the journal of that instance.
    pub origin_id: u64,
    /// When this instance learned of it.
    pub learned: Timestamp,
    pub transition: Transition,
}

/// An entry of another instance's journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The instance where it happened.
    pub origin: Uuid,
    /// Its number in the journal of that instance.
    pub origin_id: u64,
    pub transition: Transition,
}

/// What one event changed. It is stored together or not at all: a result that outlives a crash without
/// its transition would hide for good that anything happened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// The last results of probes. Of instances below only those whose status changed: the rest is
    /// heard again soon after a restart, and would wear out the disk.
    pub results: Vec<LastResult>,
    /// Probes whose last result is to be forgotten, each with its instance.
    pub gone: Vec<(Uuid, ProbeName)>,
    /// Instances below that are new or have changed.
    pub known: Vec<Known>,
    /// Instances to be forgotten with all their results and positions. The journal keeps its entries.
    pub forgotten: Vec<Uuid>,
    /// In the order of their ids.
    pub entries: Vec<Entry>,
    /// How far in the journal of an instance directly below the entries go now.
    pub position: Option<(Uuid, u64)>,
}

/// The last result of a probe.
#[derive(Clone, Debug, PartialEq)]
pub struct LastResult {
    /// The instance that ran it.
    pub instance: Uuid,
    pub result: Arc<ProbeResult>,
    /// When its status began.
    pub since: Timestamp,
}

impl Changes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Changes::default()
    }
}

/// Where the hub puts what must not be lost. Must not block: the tree waits meanwhile.
pub trait Journal: Send + Sync + 'static {
    /// Stores the changes together.
    fn record(&self, changes: Changes);
}

struct State {
    tree: Tree,
    next_id: u64,
    version: u64,
    /// Wall time minus time since boot, as it was last; a jump means that the wall clock was set.
    clock_offset: Option<jiff::SignedDuration>,
}

/// Owner of the tree.
pub struct Hub {
    state: Mutex<State>,
    journal: Box<dyn Journal>,
    live: broadcast::Sender<Arc<Entry>>,
}

impl Hub {
    /// A hub for `tree`, whose next journal entry gets `next_id`.
    pub fn new(tree: Tree, next_id: u64, journal: Box<dyn Journal>) -> Hub {
        let state = State { tree, next_id, version: 0, clock_offset: None };
        Hub { state: Mutex::new(state), journal, live: broadcast::channel(LIVE_QUEUE).0 }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies an event, now.
    pub fn handle(&self, event: Event) {
        self.handle_at(event, now());
    }

    fn handle_at(&self, event: Event, now: Now) {
        let ran: Vec<ProbeName> = match &event {
            Event::Ran { results, .. } => results.iter().map(|one| one.name.clone()).collect(),
            _ => Vec::new(),
        };
        let mut state = self.state();
        let transitions = state.tree.apply(event, now);
        state.version += 1;
        let known = &state.tree.me.host.probes;
        let ran = ran.iter().filter_map(|name| known.get(name));
        let me = state.tree.me.uuid;
        let results = ran
            .map(|probe| LastResult {
                instance: me,
                result: Arc::clone(&probe.result),
                since: probe.since,
            })
            .collect();
        let gone = transitions.iter().filter(|transition| transition.kind == Kind::ProbeGone);
        let gone = gone.filter_map(|transition| Some((me, transition.probe.clone()?))).collect();
        let entries = state.number(transitions, now.wall);
        let changes = Changes { results, gone, entries: entries.clone(), ..Changes::default() };
        if changes.is_empty() {
            return;
        }
        // Still under the lock, so that entries reach the journal in the order of their ids.
        self.journal.record(changes);
        for entry in entries {
            // Nobody listening is fine.
            let _ = self.live.send(Arc::new(entry));
        }
    }

    /// Compares the clocks; a jump of the wall clock becomes a transition. Called regularly.
    pub fn check_clock(&self) {
        self.check_clock_at(now());
    }

    fn check_clock_at(&self, now: Now) {
        let boot = jiff::SignedDuration::try_from(now.boot).unwrap_or_default();
        let offset = now.wall.as_duration() - boot;
        let jump = self.state().clock_offset.replace(offset).map(|before| offset - before);
        if let Some(jump) = jump.filter(|jump| jump.unsigned_abs() > CLOCK_JUMP) {
            let by_ms = i64::try_from(jump.as_millis()).unwrap_or(i64::MAX);
            self.handle_at(Event::ClockSet { by_ms }, now);
        }
    }

    /// Looks at the tree. `look` must be quick: nothing else happens meanwhile.
    pub fn read<T>(&self, look: impl FnOnce(&Tree) -> T) -> T {
        look(&self.state().tree)
    }

    /// Looks at the tree together with a number that differs whenever the tree does.
    pub fn read_version<T>(&self, look: impl FnOnce(&Tree, u64) -> T) -> T {
        let state = self.state();
        look(&state.tree, state.version)
    }

    /// Journal entries from now on, as they happen.
    pub fn listen(&self) -> broadcast::Receiver<Arc<Entry>> {
        self.live.subscribe()
    }
}

impl State {
    fn number(&mut self, transitions: Vec<Transition>, learned: Timestamp) -> Vec<Entry> {
        let origin = self.tree.me.uuid;
        let number = |transition| {
            let id = self.next_id;
            self.next_id += 1;
            Entry { id, origin, origin_id: id, learned, transition }
        };
        transitions.into_iter().map(number).collect()
    }
}

/// Reads both clocks.
fn now() -> Now {
    let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Now { wall: Timestamp::now(), boot: Duration::new(boot.tv_sec as u64, boot.tv_nsec as u32) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        json::Json,
        status::Status,
        tree::{Host, Instance},
    };

    #[derive(Default)]
    struct Kept(Mutex<Vec<String>>);

    impl Journal for Arc<Kept> {
        fn record(&self, changes: Changes) {
            let results = changes.results.iter().map(|last| format!("put {}", last.result.name));
            let gone = changes.gone.iter().map(|(_, name)| format!("remove {name}"));
            let entry = |entry: &Entry| format!("{} {}", entry.id, entry.transition.kind.word());
            let said: Vec<String> =
                results.chain(gone).chain(changes.entries.iter().map(entry)).collect();
            self.0.lock().unwrap().push(said.join(", "));
        }
    }

    fn hub() -> (Hub, Arc<Kept>) {
        let kept = Arc::new(Kept::default());
        let me = Instance::new(Uuid::from_u128(1), "Wigo v1", Host::new("here", "group"));
        (Hub::new(Tree { me }, 7, Box::new(kept.clone())), kept)
    }

    fn ran(name: &str, status: Status) -> Event {
        let name = ProbeName::new(name).unwrap();
        let result = ProbeResult {
            name: name.clone(),
            version: String::new(),
            value: Json::null(),
            message: String::new(),
            date: Timestamp::from_second(1).unwrap(),
            metrics: Json::null(),
            detail: Json::null(),
            status,
            exit_code: 0,
            interval: 60,
        };
        Event::Ran { probe: name, results: vec![result], complete: true }
    }

    #[test]
    fn what_one_event_changes_is_recorded_together() {
        let (hub, kept) = hub();
        let mut live = hub.listen();
        hub.handle(ran("p", Status::OK));
        hub.handle(ran("p", Status::OK));
        hub.handle(ran("p", Status::CRIT));
        hub.handle(Event::Gone { probe: ProbeName::new("p").unwrap(), why: "removed".into() });
        // Changes nothing, so the journal is not bothered.
        hub.handle(Event::Gone { probe: ProbeName::new("p").unwrap(), why: "removed".into() });
        let kept = kept.0.lock().unwrap().clone();
        let wanted =
            ["put p, 7 probe_seen", "put p", "put p, 8 probe_changed", "remove p, 9 probe_gone"];
        assert_eq!(kept, wanted);
        assert_eq!(live.try_recv().unwrap().id, 7);
    }

    #[test]
    fn a_jump_of_the_wall_clock_is_told_and_drift_is_not() {
        let (hub, kept) = hub();
        let at = |wall: i64, boot: u64| Now {
            wall: Timestamp::from_second(wall).unwrap(),
            boot: Duration::from_secs(boot),
        };
        hub.check_clock_at(at(1_000, 10));
        hub.check_clock_at(at(1_012, 20));
        assert!(kept.0.lock().unwrap().is_empty());
        hub.check_clock_at(at(422, 30));
        hub.check_clock_at(at(432, 40));
        assert_eq!(*kept.0.lock().unwrap(), ["7 clock_changed"]);
        hub.check_clock_at(at(5_000, 50));
        assert_eq!(kept.0.lock().unwrap().len(), 2);
    }
}
