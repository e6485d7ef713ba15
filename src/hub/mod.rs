//! The hub owns the tree. Every change passes here: it reads the clocks, applies the event, numbers what
//! changed and hands it to the journal and to whoever passes it on.
//!
//! A lock, not a task: applying takes microseconds, and a probe thread that has a result would
//! otherwise have to wake another one for each. Nothing is done under the lock that could wait.

mod feed;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use uuid::Uuid;

pub use feed::{Change, Dirty, Feed};

use crate::tree::{
    Event, Freshness, Known, Now, Outcome, Parting, Probe, ProbeName, ProbeResult, Report,
    Transition, Tree, View, What,
};

/// The newest entries, kept in memory for those who pass them on: most are up to date, and need not
/// wait for the disk.
const RECENT_ENTRIES: usize = 1_024;
/// A difference between the clocks that is more than drift.
const CLOCK_JUMP: Duration = Duration::from_secs(5);
/// How far in the future the times of others may lie before they are taken for a clock that is wrong.
const MAX_AHEAD: SignedDuration = SignedDuration::from_mins(5);

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

/// An entry of another instance's journal, as it is told.
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

/// How far the journals have come: ours, and those of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The number of the next entry here.
    pub next_id: u64,
    /// How far in its journal each instance directly below has told.
    pub positions: HashMap<Uuid, u64>,
    /// The highest number that is known of each origin.
    pub told: HashMap<Uuid, u64>,
}

struct State {
    tree: Tree,
    ledger: Ledger,
    recent: VecDeque<Arc<Entry>>,
    feeds: Vec<Weak<feed::Shared>>,
    /// Wall time minus time since boot, as it was last; a jump means that the wall clock was set.
    clock_offset: Option<SignedDuration>,
}

type Clock = Box<dyn Fn() -> Now + Send + Sync>;

/// Owner of the tree.
pub struct Hub {
    state: Mutex<State>,
    journal: Box<dyn Journal>,
    clock: Clock,
    linked: Notify,
}

impl Hub {
    /// A hub for `tree`.
    pub fn new(tree: Tree, ledger: Ledger, journal: Box<dyn Journal>) -> Hub {
        Hub::with_clock(tree, ledger, journal, Box::new(now))
    }

    /// A hub with other clocks than those of the machine.
    pub fn with_clock(tree: Tree, ledger: Ledger, journal: Box<dyn Journal>, clock: Clock) -> Hub {
        let state =
            State { tree, ledger, recent: VecDeque::new(), feeds: Vec::new(), clock_offset: None };
        Hub { state: Mutex::new(state), journal, clock, linked: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the clocks say that everything here goes by.
    pub fn now(&self) -> Now {
        (self.clock)()
    }

    /// Applies an event, now.
    pub fn handle(&self, event: Event) {
        self.handle_at(event, self.now());
    }

    /// Takes over what an instance directly below, which has a journal of its own, reports. Returns
    /// whether something is missing: then a full account is needed.
    pub fn report(&self, link: Uuid, report: Report) -> bool {
        self.handle_at(Event::Reported { link, report, narrate: false }, self.now())
    }

    fn handle_at(&self, event: Event, now: Now) -> bool {
        let mut state = self.state();
        let left = match &event {
            Event::Forgotten { uuid, .. } => Some(*uuid),
            Event::Parted { link, how: Parting::Goodbye } => Some(*link),
            _ => None,
        };
        if let Some(left) = left {
            state.ledger.positions.remove(&left);
        }
        let had_links = state.tree.has_links();
        let outcome = state.tree.apply(event, now);
        if !had_links && state.tree.has_links() {
            self.linked.notify_one();
        }
        let changes = state.changes(&outcome, now);
        let news = !changes.entries.is_empty();
        for gone in &changes.forgotten {
            state.ledger.told.remove(gone);
        }
        self.record(&mut state, changes);
        state.tell(&outcome, news);
        outcome.amiss
    }

    /// Takes over entries that `link`, an instance directly below, tells of its journal, up to its entry
    /// `position`. Each entry is taken once, whoever tells it.
    pub fn learn(&self, link: Uuid, told: Vec<Told>, position: u64) {
        let now = self.now();
        let mut state = self.state();
        let mut entries = Vec::new();
        for Told { origin, origin_id, mut transition } in told {
            if state.is_told(link, origin, origin_id) || !state.tree.may_tell(link, origin) {
                continue;
            }
            let highest = state.ledger.told.entry(origin).or_default();
            *highest = origin_id.max(*highest);
            let ahead = transition.at.duration_since(now.wall) > MAX_AHEAD;
            if ahead {
                transition.message =
                    format!("{} (said to be of {})", transition.message, transition.at);
                transition.at = now.wall;
            }
            entries.push(state.ledger.entry(origin, Some(origin_id), now.wall, transition));
        }
        let before = state.ledger.positions.insert(link, position);
        let position = (before != Some(position)).then_some((link, position));
        let news = !entries.is_empty();
        self.record(&mut state, Changes { entries, position, ..Changes::default() });
        state.tell(&Outcome::default(), news);
    }

    /// Waits until there is an instance directly below, which can fall silent. For one task at a time.
    pub async fn until_linked(&self) {
        while !self.state().tree.has_links() {
            self.linked.notified().await;
        }
    }

    /// How far in its journal, which ends with `newest` now, an instance directly below has told; `None`:
    /// nothing yet, or nothing of this journal, because it began anew.
    pub fn position(&self, link: Uuid, newest: u64) -> Option<u64> {
        let positions = &mut self.state().ledger.positions;
        if positions.get(&link).is_some_and(|position| *position > newest) {
            positions.remove(&link);
        }
        positions.get(&link).copied()
    }

    /// Still under the lock, so that entries reach the journal in the order of their ids.
    fn record(&self, state: &mut State, changes: Changes) {
        if changes.is_empty() {
            return;
        }
        state.remember(&changes.entries);
        self.journal.record(changes);
    }

    /// Compares the clocks; a jump of the wall clock becomes a transition. Called regularly.
    pub fn check_clock(&self) {
        self.check_clock_at(self.now());
    }

    fn check_clock_at(&self, now: Now) {
        let boot = SignedDuration::try_from(now.boot).unwrap_or_default();
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

    /// The tree as it is now, to be looked at for as long as needed.
    pub fn view(&self) -> View {
        self.state().tree.view()
    }

    /// What changes from now on, beginning with everything.
    pub fn feed(&self) -> Feed {
        let shared = Arc::new(feed::Shared::new());
        let mut state = self.state();
        state.feeds.retain(|feed| feed.strong_count() > 0);
        state.feeds.push(Arc::downgrade(&shared));
        Feed(shared)
    }

    /// The id of the newest journal entry; one less than that of the first if there is none.
    pub fn newest_id(&self) -> u64 {
        self.state().ledger.next_id.saturating_sub(1)
    }

    /// The id of the oldest entry that is still in memory; of the next one if none is.
    pub fn oldest_recent_id(&self) -> u64 {
        self.state().oldest_recent_id()
    }

    /// The newest entries, the newest first, at most `limit`: as far as they are still in memory.
    pub fn newest_entries(&self, limit: usize) -> Vec<Arc<Entry>> {
        self.state().recent.iter().rev().take(limit).cloned().collect()
    }

    /// At most `limit` entries that come after `id`, in order, if they are still in memory; `None` if
    /// some of them are in the database only.
    pub fn entries_after(&self, id: u64, limit: usize) -> Option<Vec<Arc<Entry>>> {
        let state = self.state();
        if state.oldest_recent_id() > id.saturating_add(1) {
            return None;
        }
        let start = state.recent.partition_point(|entry| entry.id <= id);
        Some(state.recent.range(start..).take(limit).cloned().collect())
    }
}

impl Ledger {
    /// Gives a transition the next number.
    fn entry(
        &mut self,
        origin: Uuid,
        origin_id: Option<u64>,
        learned: Timestamp,
        transition: Transition,
    ) -> Entry {
        let id = self.next_id;
        self.next_id += 1;
        Entry { id, origin, origin_id: origin_id.unwrap_or(id), learned, transition }
    }
}

impl State {
    /// What an outcome means for the database.
    fn changes(&mut self, outcome: &Outcome, now: Now) -> Changes {
        let mut changes = Changes::default();
        let me = self.tree.me().uuid;
        for touched in &outcome.touched {
            let uuid = touched.uuid;
            match &touched.what {
                What::Probe(name, Freshness::Gone) => changes.gone.push((uuid, name.clone())),
                What::Probe(name, freshness) if uuid == me || *freshness == Freshness::Status => {
                    let probe = self.tree.get(uuid).and_then(|host| host.host.probes.get(name));
                    changes.results.extend(probe.map(|probe| LastResult::of(uuid, probe)));
                }
                What::Probe(..) => {}
                What::Header | What::Whole if uuid == me => {}
                What::Header => changes.known.extend(self.tree.known(uuid)),
                What::Whole => {
                    changes.known.extend(self.tree.known(uuid));
                    let probes =
                        self.tree.get(uuid).into_iter().flat_map(|i| i.host.probes.values());
                    changes.results.extend(probes.map(|probe| LastResult::of(uuid, probe)));
                }
                What::Gone => changes.forgotten.push(uuid),
            }
        }
        let numbered = outcome.transitions.iter().cloned();
        changes.entries =
            numbered.map(|transition| self.ledger.entry(me, None, now.wall, transition)).collect();
        changes
    }

    /// Whether an entry is here already. What an instance tells of itself is measured by its own journal
    /// alone, so that nothing that others told of it can stand in its way.
    fn is_told(&self, link: Uuid, origin: Uuid, origin_id: u64) -> bool {
        let held = match link == origin {
            true => self.ledger.positions.get(&link),
            false => self.ledger.told.get(&origin),
        };
        held.is_some_and(|highest| *highest >= origin_id)
    }

    fn oldest_recent_id(&self) -> u64 {
        self.recent.front().map_or(self.ledger.next_id, |entry| entry.id)
    }

    fn remember(&mut self, entries: &[Entry]) {
        self.recent.extend(entries.iter().cloned().map(Arc::new));
        let surplus = self.recent.len().saturating_sub(RECENT_ENTRIES);
        self.recent.drain(..surplus);
    }

    /// Tells those who pass changes on; `news`: there are new entries.
    fn tell(&mut self, outcome: &Outcome, news: bool) {
        if outcome.touched.is_empty() && !news {
            return;
        }
        for feed in &self.feeds {
            if let Some(feed) = feed.upgrade() {
                feed.touched(&outcome.touched, news);
            }
        }
    }
}

impl LastResult {
    fn of(instance: Uuid, probe: &Probe) -> LastResult {
        LastResult { instance, result: Arc::clone(&probe.result), since: probe.since }
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
        tree::{Account, Contact, Header, Host, Instance, Kind, Presence},
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
        (
            Hub::new(
                Tree::new(me),
                Ledger { next_id: 7, ..Ledger::default() },
                Box::new(kept.clone()),
            ),
            kept,
        )
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
        assert_eq!(hub.entries_after(6, 1).unwrap()[0].id, 7);
        assert_eq!(hub.newest_id(), 9);
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

    fn told(origin: u128, origin_id: u64, second: i64) -> Told {
        let transition = Transition {
            kind: Kind::ProbeChanged,
            at: Timestamp::from_second(second).unwrap(),
            group: String::new(),
            host: "there".into(),
            probe: None,
            was: None,
            now: None,
            message: "news".into(),
        };
        Told { origin: Uuid::from_u128(origin), origin_id, transition }
    }

    fn link(hub: &Hub, number: u128, below: Option<u128>) {
        let link = Uuid::from_u128(number);
        let contact = Contact::Push { address: String::new(), encrypted: true };
        let limit = Duration::from_secs(10);
        hub.handle(Event::Linked { link, name: "there".into(), contact, limit, grace: limit });
        let account = |uuid: u128, parent| Account {
            uuid: Uuid::from_u128(uuid),
            header: Some(Header {
                parent,
                version: "v".into(),
                name: "there".into(),
                group: String::new(),
                labels: std::collections::BTreeMap::new(),
                presence: Presence::Alive,
                since: None,
                last_update: None,
                problem: None,
                disabled: Default::default(),
                remote_control: Default::default(),
            }),
            probes: vec![],
            complete: true,
            ran: vec![],
            gone: vec![],
        };
        let mut accounts = vec![account(number, None)];
        accounts.extend(below.map(|below| account(below, Some(link))));
        let report = Report { begins: true, ends: true, accounts, gone: vec![] };
        hub.handle(Event::Reported { link, report, narrate: false });
    }

    #[test]
    fn each_entry_is_taken_once_whoever_tells_it() {
        let (hub, _) = hub();
        link(&hub, 2, Some(9));
        link(&hub, 3, Some(9));
        let before = hub.newest_id();
        hub.learn(Uuid::from_u128(2), vec![told(9, 5, 1), told(9, 6, 2), told(2, 40, 3)], 42);
        assert_eq!(hub.newest_id(), before + 3);
        // Again after a break, and by another way.
        hub.learn(Uuid::from_u128(2), vec![told(9, 6, 2), told(2, 40, 3), told(2, 43, 4)], 43);
        hub.learn(Uuid::from_u128(3), vec![told(9, 5, 1), told(9, 6, 2), told(9, 7, 5)], 3);
        assert_eq!(hub.newest_id(), before + 5);
        assert_eq!(hub.position(Uuid::from_u128(2), 50), Some(43));
        let entries = hub.entries_after(before, 10).unwrap();
        let numbers: Vec<u64> = entries.iter().map(|entry| entry.origin_id).collect();
        assert_eq!(numbers, [5, 6, 40, 43, 7]);
        // Its journal was lost and begins anew.
        assert_eq!(hub.position(Uuid::from_u128(2), 7), None);
        hub.learn(Uuid::from_u128(2), vec![told(2, 7, 9)], 7);
        assert_eq!(hub.newest_id(), before + 6);
    }

    #[test]
    fn nobody_tells_the_journal_of_others_or_ours() {
        let (hub, _) = hub();
        link(&hub, 2, None);
        link(&hub, 3, None);
        let before = hub.newest_id();
        let lies = vec![told(3, 5, 1), told(1, 1_000_000, 1), told(77, 1, 1)];
        hub.learn(Uuid::from_u128(2), lies, 9);
        assert_eq!(hub.newest_id(), before);
        hub.learn(Uuid::from_u128(3), vec![told(3, 5, 1)], 5);
        assert_eq!(hub.newest_id(), before + 1);
    }

    #[test]
    fn a_time_from_the_future_becomes_now_and_is_said() {
        let (hub, _) = hub();
        link(&hub, 2, None);
        let before = hub.newest_id();
        hub.learn(Uuid::from_u128(2), vec![told(2, 1, 32_503_680_000)], 1);
        let entry = &hub.entries_after(before, 1).unwrap()[0];
        assert!(entry.transition.at <= entry.learned);
        assert!(entry.transition.message.contains("said to be of 3000-"));
    }
}
