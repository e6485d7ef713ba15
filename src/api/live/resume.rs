//! Where a stream begins: for a reader that comes back, with what it has missed.

use std::collections::{HashMap, VecDeque};

use super::{
    collector::{changed, host, log},
    item::{About, Item, Position},
    scope::Scope,
};
use crate::{
    api::{
        Api,
        summary::{Counted, Fleet, ProbeRow, Shown, Summary},
    },
    store::LogQuery,
    tree::View,
};

/// What is gone that is remembered for readers that come back.
const MAX_GONE: usize = 1_000;
/// Rows, and entries of the log, that a reader that comes back is told one by one.
const MAX_MISSED: usize = 2_000;

/// What cannot be seen by looking at the tree: what is not there any more.
#[derive(Debug, Default)]
pub struct History {
    /// Since which revision it is complete; `None` while nobody collects.
    since: Option<u64>,
    gone: VecDeque<(u64, Item)>,
    /// The revision at which each list changed last.
    changed: HashMap<&'static str, u64>,
}

impl History {
    /// From this revision on it is complete.
    pub fn begin(&mut self, revision: u64) {
        self.since = Some(revision);
        self.gone.clear();
    }

    /// Nothing is known of what comes from now on.
    pub fn end(&mut self) {
        *self = History::default();
    }

    pub fn remember(&mut self, revision: u64, item: Item) {
        self.gone.push_back((revision, item));
        if self.gone.len() > MAX_GONE
            && let Some((dropped, _)) = self.gone.pop_front()
        {
            self.since = self.since.map(|since| since.max(dropped));
        }
    }

    pub fn note_changed(&mut self, what: &'static str, revision: u64) {
        self.changed.insert(what, revision);
    }

    /// What is gone since a revision; `None` if that is not known.
    pub fn gone_since(&self, revision: u64) -> Option<impl Iterator<Item = &Item>> {
        let since = self.since?;
        (since <= revision).then(|| {
            let later = self.gone.iter().filter(move |(at, _)| *at > revision);
            later.map(|(_, item)| item)
        })
    }

    /// Whether a list may have changed at a revision or later.
    pub fn has_changed(&self, what: &str, revision: u64) -> bool {
        let since = self.since.is_some_and(|since| since <= revision);
        !since || self.changed.get(what).is_some_and(|at| *at >= revision)
    }
}

/// The beginning of a stream.
#[derive(Debug)]
pub struct Start {
    /// Where the reader comes from: its place until it has got all that it has missed.
    pub from: Position,
    pub position: Position,
    /// The counts, as JSON.
    pub counts: String,
    /// The summary, where it is wanted.
    pub summary: Option<String>,
    /// What a reader that comes back has missed.
    pub missed: Vec<Item>,
}

/// Where a reader comes back to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Back {
    /// It is new.
    New,
    /// It knows all up to here.
    At(Position),
    /// It names a place that is none of ours.
    Elsewhere,
}

impl Start {
    /// Blocks.
    pub fn of(api: &Api, scope: &Scope, back: Back) -> Start {
        let journal = api.hub.newest_id();
        let tree = api.view();
        let fleet = api.fleets.of(&tree);
        let json = |text: serde_json::Result<String>| text.expect("views have text for keys");
        let summary = || Summary::of(api, &tree, &fleet, Shown::default());
        let position = Position { revision: tree.revision(), journal };
        let from = if let Back::At(known) = back { known } else { position };
        Start {
            from,
            position,
            counts: json(serde_json::to_string(&Counted::of(api, &tree, &fleet))),
            summary: (*scope == Scope::Overview).then(|| json(serde_json::to_string(&summary()))),
            missed: match back {
                Back::New => Vec::new(),
                Back::At(position) => missed(api, scope, &tree, &fleet, position, journal),
                Back::Elsewhere => {
                    vec![Item::reset(About::Everyone, "what came before is not known here")]
                }
            },
        }
    }
}

fn missed(
    api: &Api,
    scope: &Scope,
    tree: &View,
    fleet: &Fleet,
    known: Position,
    newest: u64,
) -> Vec<Item> {
    let mut items = Vec::new();
    {
        let history = api.live.history();
        let later = api.live.lists().filter(|name| history.has_changed(name, known.revision));
        items.extend(later.map(changed));
        if scope.has_rows() {
            let Some(gone) = history.gone_since(known.revision) else {
                return vec![Item::reset(About::Everyone, "it is not known what you have missed")];
            };
            items.extend(gone.filter(|item| scope.takes(&item.about)).cloned());
        }
    }
    if scope.has_rows() {
        rows_since(scope, tree, fleet, known.revision, &mut items);
    }
    let is_complete = !scope.has_logs() || entries(api, scope, known.journal, newest, &mut items);
    if !is_complete || items.len() > MAX_MISSED {
        return vec![Item::reset(About::Everyone, "you have missed more than is told one by one")];
    }
    items
}

/// Hosts and probes that are not as they were at a revision. Which probes of a host is not known, so they
/// are all told.
fn rows_since(scope: &Scope, tree: &View, fleet: &Fleet, revision: u64, items: &mut Vec<Item>) {
    for row in &fleet.rows {
        if items.len() > MAX_MISSED {
            return; // more than is told one by one
        }
        let Some(instance) =
            tree.get(row.uuid).filter(|one| one.revision > revision || row.changed_at > revision)
        else {
            continue;
        };
        let about = host(row, row.changed_at <= revision);
        if scope.takes(&about)
            && let Some(view) = fleet.host_row(tree, instance)
        {
            items.push(Item::new(about, "host", &view));
        }
        let group = row.digest.group.clone();
        let about = About::Probe { uuid: row.uuid, group, ran: false };
        if scope.takes(&about) {
            let probes = instance.host.probes.values();
            let row = |probe| ProbeRow::new(tree, instance, probe);
            items.extend(probes.map(|probe| Item::new(about.clone(), "probe", &row(probe))));
        }
    }
}

/// The entries of the log after one and up to another. Returns whether these are all.
fn entries(api: &Api, scope: &Scope, after: u64, newest: u64, items: &mut Vec<Item>) -> bool {
    let wanted = |item: &Item| scope.takes(&item.about);
    if let Some(found) = api.hub.entries_after(after, MAX_MISSED) {
        let found = found.iter().filter(|entry| entry.id <= newest);
        items.extend(found.map(|entry| log(entry)).filter(wanted));
        return true;
    }
    let query = LogQuery { after: Some(after), limit: MAX_MISSED, ..LogQuery::default() };
    let Ok(mut found) = api.store.logs(&query) else { return false };
    let is_complete = found.len() < MAX_MISSED;
    // The newest may not be on the disk yet; they are in memory then.
    let written = found.last().map_or(after, |entry| entry.id);
    let Some(rest) = api.hub.entries_after(written, MAX_MISSED) else { return false };
    found.extend(rest.iter().map(|entry| (**entry).clone()));
    let found = found.iter().filter(|entry| entry.id <= newest);
    items.extend(found.map(log).filter(wanted));
    is_complete
}
