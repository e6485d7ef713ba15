//! Collects what changes for all who read, as long as there are any: renders each piece of news once.
//!
//! What is urgent goes out at once, though not more often than every [`BATCH`]; all else within
//! [`SOON`]. A round looks at the whole tree in short ([`Fleet`]), so that it also sees what no event
//! names, such as the rows of hosts above and below one that changed.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::select_all;
use serde::Serialize;
use tokio::sync::{
    broadcast::{
        self,
        error::{RecvError, TryRecvError},
    },
    watch,
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    DISABLED, INCIDENTS, LINGER, MAX_ITEMS, MAX_ROUND, SUPPRESSIONS, Source,
    item::{About, Item, Position},
    scope::Wanted,
};
use crate::{
    api::{
        Api,
        summary::{Counted, Fleet, ProbeRow, Row, Shown, Summary, key},
        views,
    },
    hub::{Change, Dirty, Entry, Feed},
    notify::{self, IncidentNews},
    tree::{Freshness, Instance, Presence, Probe, ProbeName, View},
};

/// Between two rounds, however much there is.
const BATCH: Duration = Duration::from_millis(100);
/// Between two rounds, however little there is.
const SOON: Duration = Duration::from_secs(1);
/// Between two counts or summaries.
const FRONT: Duration = Duration::from_millis(500);
/// A round is followed by a pause of so many times its length, so that news never take all of a processor.
const PAUSE: u32 = 5;
/// Entries of the log that one round takes.
const MAX_ENTRIES: usize = 1_000;
/// Probes of which is known what they said last.
const MAX_SAID: usize = 500_000;

/// What every page shows, as JSON; numbered, so that a reader knows what it has.
#[derive(Clone, Debug, Default)]
pub struct Front {
    pub counts: (u64, Arc<str>),
    /// Only while somebody wants it.
    pub summary: (u64, Arc<str>),
}

/// A probe that is gone.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct GoneProbe<'a> {
    /// The key of its host.
    host: String,
    name: &'a str,
}

/// A host that is gone.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct GoneHost<'a> {
    uuid: Uuid,
    key: String,
    name: &'a str,
}

/// A list that is to be fetched again.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Changed {
    /// `authority`, `orders`, `access`, `disabled`, `audit`, `incidents` or `suppressions`.
    what: &'static str,
}

/// What holds messages back is not as it was.
#[derive(Serialize, ToSchema)]
pub struct SuppressionsChanged {}

/// What was heard of notifications since the last round.
#[derive(Default)]
struct News {
    /// The last word on each incident.
    incidents: HashMap<Uuid, Arc<IncidentNews>>,
    suppressions: bool,
    /// There was more than we were told.
    is_lost: bool,
}

impl News {
    fn add(&mut self, change: notify::Change) {
        match change {
            notify::Change::Incident(incident) => {
                self.incidents.insert(incident.id, incident);
            }
            notify::Change::Suppressions => self.suppressions = true,
        }
    }
}

/// Tells that a list has changed.
pub fn changed(what: &'static str) -> Item {
    Item::new(About::Everyone, "changed", &Changed { what })
}

pub struct Collector {
    api: Arc<Api>,
    feed: Feed,
    /// Up to where everything was told.
    position: Position,
    /// The tree at that place, while rows are told.
    before: Option<Arc<Fleet>>,
    rows_wanted: Instant,
    /// What probes said last, as digests, by digests of their names: to tell apart who said something else
    /// and who only measured it.
    said: HashMap<u64, u64>,
    /// Without the time, for comparing.
    counts: String,
    summary: String,
    /// When they were looked at last.
    front_at: Option<Instant>,
    /// Something has happened since, and it was too early to look.
    front_is_due: bool,
    /// What is switched off on each host where anything is, as digests.
    disabled: HashMap<Uuid, u64>,
    sources: Vec<Source>,
    notified: broadcast::Receiver<notify::Change>,
    news: News,
}

/// Collects until nobody has read for [`LINGER`].
pub async fn collect(mut collector: Collector) {
    let api = collector.api.clone();
    let mut last = Instant::now();
    let mut read = Instant::now();
    loop {
        let begin = Instant::now();
        match tokio::task::spawn_blocking(move || collector.round()).await {
            Ok(done) => collector = done,
            Err(error) => {
                tracing::error!("news were not collected because of a mistake in wigo: {error}");
                api.live.forget();
                let why = "news were lost because of a mistake in wigo";
                api.live.send(vec![Item::reset(About::Everyone, why)], 0, Position::default());
                collector = Collector::new(api.clone());
            }
        }
        if !api.live.wanted().is_empty() {
            read = Instant::now();
        }
        if (read.elapsed() > LINGER || api.live.is_closed()) && api.live.end() {
            return;
        }
        let pause = BATCH.max(begin.elapsed() * PAUSE);
        collector.wait(last + pause).await;
        last = Instant::now();
    }
}

impl Collector {
    /// What happens from now on will be told.
    pub fn new(api: Arc<Api>) -> Collector {
        let feed = api.hub.feed();
        let position = Position { revision: 0, journal: api.hub.newest_id() };
        Collector {
            sources: api.live.sources.clone(),
            disabled: disabled(&api.view()),
            notified: api.notifier.changes(),
            news: News::default(),
            api,
            feed,
            position,
            before: None,
            rows_wanted: Instant::now(),
            said: HashMap::new(),
            counts: String::new(),
            summary: String::new(),
            front_at: None,
            front_is_due: false,
        }
    }

    /// Waits until there is something to tell, and until `earliest`.
    async fn wait(&mut self, earliest: Instant) {
        let live = self.api.live.clone();
        // What was left out because it was too early has not to wait for the next change.
        let late = self.front_at.filter(|_| self.front_is_due);
        let soon = late.map_or(SOON, |at| FRONT.saturating_sub(at.elapsed()));
        tokio::select! {
            () = self.feed.urgent() => {}
            () = any(&mut self.sources) => {}
            told = heard(&mut self.notified) => match told {
                Some(change) => self.news.add(change),
                None => self.news.is_lost = true,
            },
            () = live.kicked.notified() => {}
            () = tokio::time::sleep(soon) => {}
        }
        tokio::time::sleep_until(earliest.into()).await;
    }

    fn round(mut self) -> Collector {
        let api = self.api.clone();
        let wanted = api.live.wanted();
        let journal = self.position.journal;
        let (dirty, tree) = (self.feed.take(), api.view());
        let mut items = Vec::new();
        if wanted.has_rows() {
            self.rows_wanted = Instant::now();
        }
        let fleet = api.fleets.of(&tree);
        let began = match self.rows_wanted.elapsed() <= LINGER {
            true => self.rows(&wanted, &tree, &fleet, &dirty, &mut items),
            false => {
                self.before = None;
                self.said = HashMap::new();
                api.live.forget();
                false
            }
        };
        let position = Position { revision: tree.revision(), journal };
        self.entries(&wanted, &mut items);
        for name in self.changed_lists(&tree, &dirty) {
            items.push(changed(name));
            api.live.note_changed(name, position.revision);
        }
        self.notifications(position.revision, &mut items);
        self.front(&wanted, &tree, &fleet);
        let before = self.position;
        self.position.revision = tree.revision();
        if items.len() > MAX_ROUND {
            items.retain(|item| item.about == About::Everyone);
            let why = "more has changed at once than is told one by one";
            items.push(Item::reset(About::Rows, why));
            items.push(Item::reset(About::Entries, why));
        }
        if !items.is_empty() || began {
            self.tell(items, before);
        }
        self
    }

    /// Sends items in parts of a bounded size. Only who has the last one knows all of them.
    fn tell(&self, mut items: Vec<Item>, before: Position) {
        while items.len() > MAX_ITEMS {
            let rest = items.split_off(MAX_ITEMS);
            self.api.live.send(items, self.position.revision, before);
            items = rest;
        }
        self.api.live.send(items, self.position.revision, self.position);
    }

    /// Rows that are not as they were. Returns whether this is where they begin to be told.
    fn rows(
        &mut self,
        wanted: &Wanted,
        tree: &View,
        fleet: &Arc<Fleet>,
        dirty: &Dirty,
        items: &mut Vec<Item>,
    ) -> bool {
        let Some(before) = self.before.replace(fleet.clone()) else {
            self.api.live.begin(fleet.revision);
            return true;
        };
        if dirty.all {
            let why = "more has changed at once than can be told";
            items.push(Item::reset(About::Rows, why));
            self.api.live.begin(fleet.revision);
            return false;
        }
        let first = items.len();
        gone_hosts(&before, fleet, items);
        for row in &fleet.rows {
            let is_other = row.changed_at > before.revision;
            if !is_other && !dirty.instances.contains_key(&row.uuid) {
                continue;
            }
            let Some(instance) = tree.get(row.uuid) else { continue };
            let about = host(row, !is_other);
            if wanted.takes(&about)
                && let Some(view) = fleet.host_row(tree, instance)
            {
                items.push(Item::new(about, "host", &view));
            }
            let was = before.row(row.uuid).map(|row| row.presence);
            self.probes_of(wanted, tree, instance, was.zip(Some(row.presence)), dirty, items);
        }
        for item in items[first..].iter().filter(|item| item.is_gone) {
            self.api.live.remember_gone(fleet.revision, item.clone());
        }
        false
    }

    /// The probes of an instance; `presence` is what it was and what it is.
    fn probes_of(
        &mut self,
        wanted: &Wanted,
        tree: &View,
        instance: &Instance,
        presence: Option<(Presence, Presence)>,
        dirty: &Dirty,
        items: &mut Vec<Item>,
    ) {
        let uuid = instance.uuid;
        let group = || instance.host.group.as_str().into();
        let about = |ran| About::Probe { uuid, group: group(), ran };
        let nothing = Change::default();
        let change = dirty.instances.get(&uuid).unwrap_or(&nothing);
        if change.whole {
            let about = About::Instance { uuid, group: group() };
            let item = Item::reset(about, "this host is heard by another way now");
            // Who comes back later has to hear of it too, as of what is gone.
            items.push(Item { is_gone: true, ..item });
            return;
        }
        let is_shown = wanted.takes(&about(true));
        let is_told = is_shown || wanted.takes(&about(false));
        let mut tell = |probe: &Probe, ran| {
            let row = ProbeRow::new(tree, instance, probe);
            items.push(Item::new(about(ran), "probe", &row));
        };
        if is_shown && presence.is_some_and(|(was, is)| was != is) {
            // All of them are stale now, or are not any more.
            instance.host.probes.values().for_each(|probe| tell(probe, true));
        }
        for (name, freshness) in &change.probes {
            let Some(probe) = instance.host.probes.get(name) else { continue };
            let says_other = match freshness {
                Freshness::Ran => false,
                _ => is_told && self.says_other(uuid, probe),
            };
            if is_shown || says_other {
                tell(probe, !says_other);
            }
        }
        let is_gone = |name: &&ProbeName| !instance.host.probes.contains_key(*name);
        for name in change.probes.keys().filter(is_gone) {
            let gone = GoneProbe { host: key(tree, instance), name: name.as_str() };
            items.push(Item::gone(about(false), "probe_gone", &gone));
        }
    }

    /// Whether a probe says something else than when it was looked at last.
    fn says_other(&mut self, uuid: Uuid, probe: &Probe) -> bool {
        let digest = |what: &dyn Fn(&mut DefaultHasher)| {
            let mut hasher = DefaultHasher::new();
            what(&mut hasher);
            hasher.finish()
        };
        let result = &probe.result;
        let name = digest(&|hasher| (uuid, &result.name).hash(hasher));
        let said = digest(&|hasher| (result.status, &result.message, probe.stale).hash(hasher));
        // Names come and go. What is forgotten is told once more than needed.
        if self.said.len() >= MAX_SAID {
            self.said.clear();
        }
        self.said.insert(name, said) != Some(said)
    }

    /// The lists that are not as they were.
    fn changed_lists(&mut self, tree: &View, dirty: &Dirty) -> Vec<&'static str> {
        let mut lists = Vec::new();
        for (name, receiver) in &mut self.sources {
            if receiver.has_changed().unwrap_or(false) {
                receiver.mark_unchanged();
                lists.push(*name);
            }
        }
        let before = self.disabled.clone();
        if dirty.all {
            self.disabled = disabled(tree);
        }
        for (uuid, _) in dirty.instances.iter().filter(|(_, change)| change.header) {
            match tree.get(*uuid).and_then(disabled_on) {
                Some(digest) => self.disabled.insert(*uuid, digest),
                None => self.disabled.remove(uuid),
            };
        }
        if self.disabled != before {
            lists.push(DISABLED);
        }
        lists
    }

    /// New entries of the log.
    fn entries(&mut self, wanted: &Wanted, items: &mut Vec<Item>) {
        let api = &self.api;
        let after = self.position.journal;
        let Some(entries) = api.hub.entries_after(after, MAX_ENTRIES) else {
            self.position.journal = api.hub.newest_id();
            let why = "more was written to the log at once than can be told";
            items.push(Item::reset(About::Entries, why));
            return;
        };
        let Some(last) = entries.last() else { return };
        self.position.journal = last.id;
        if entries.len() == MAX_ENTRIES {
            api.live.kicked.notify_one();
        }
        if wanted.has_logs() {
            items.extend(entries.iter().map(|e| log(e)).filter(|item| wanted.takes(&item.about)));
        }
    }

    /// Incidents that are not as they were, and whether anything else is held back.
    fn notifications(&mut self, revision: u64, items: &mut Vec<Item>) {
        loop {
            match self.notified.try_recv() {
                Ok(change) => self.news.add(change),
                Err(TryRecvError::Lagged(_)) => self.news.is_lost = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        let News { incidents, suppressions, is_lost } = std::mem::take(&mut self.news);
        let live = &self.api.live;
        if is_lost || !incidents.is_empty() {
            live.note_changed(INCIDENTS, revision);
        }
        if is_lost {
            // Who shows them fetches them again.
            items.push(changed(INCIDENTS));
        }
        let told = incidents.values().map(|incident| views::IncidentChange::new(incident));
        items.extend(told.map(|told| Item::new(About::Everyone, "incident", &told)));
        if is_lost || suppressions {
            live.note_changed(SUPPRESSIONS, revision);
            items.push(Item::new(About::Everyone, SUPPRESSIONS, &SuppressionsChanged {}));
        }
    }

    /// What every page shows, if it is another.
    fn front(&mut self, wanted: &Wanted, tree: &View, fleet: &Fleet) {
        self.front_is_due = self.front_at.is_some_and(|at| at.elapsed() < FRONT);
        if self.front_is_due {
            return;
        }
        self.front_at = Some(Instant::now());
        let mut counted = Counted::of(&self.api, tree, fleet);
        let now = std::mem::take(&mut counted.now);
        let plain = json(&counted);
        let counts = (plain != self.counts).then(|| {
            self.counts = plain;
            counted.now = now;
            json(&counted)
        });
        let mut told = None;
        if wanted.has_overview() {
            let mut summary = Summary::of(&self.api, tree, fleet, Shown::default());
            let (now, revision) = (summary.now, summary.revision);
            (summary.now, summary.revision) = (0.0, 0);
            let plain = json(&summary);
            if plain != self.summary {
                self.summary = plain;
                (summary.now, summary.revision) = (now, revision);
                told = Some(json(&summary));
            }
        }
        if counts.is_none() && told.is_none() {
            return;
        }
        self.api.live.front.send_modify(|front| {
            if let Some(counts) = counts {
                front.counts = (front.counts.0 + 1, counts.into());
            }
            if let Some(summary) = told {
                front.summary = (front.summary.0 + 1, summary.into());
            }
        });
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("views have text for keys")
}

/// The row of a host.
pub fn host(row: &Row, heard: bool) -> About {
    About::Host { uuid: row.uuid, parent: row.parent, group: row.digest.group.clone(), heard }
}

/// An entry of the log.
pub fn log(entry: &Entry) -> Item {
    let transition = &entry.transition;
    let about = About::Log {
        id: entry.id,
        host: transition.host.clone(),
        group: transition.group.clone(),
        probe: transition.probe.as_ref().map(ToString::to_string).unwrap_or_default(),
    };
    Item::new(about, "log", &views::LogEntry::new(entry))
}

/// Instances that are in one look and not in the next.
fn gone_hosts(before: &Fleet, now: &Fleet, items: &mut Vec<Item>) {
    let mut present = now.rows.iter().peekable();
    for row in &before.rows {
        while present.peek().is_some_and(|held| held.uuid < row.uuid) {
            present.next();
        }
        if present.peek().is_some_and(|held| held.uuid == row.uuid) {
            continue;
        }
        let (uuid, name) = (row.uuid, &*row.digest.name);
        // Nothing leads to it any more, so any key would do.
        let gone = GoneHost { uuid, key: name.to_owned(), name };
        items.push(Item::gone(host(row, false), "host_gone", &gone));
    }
}

/// What is switched off on each host where anything is, as digests.
fn disabled(tree: &View) -> HashMap<Uuid, u64> {
    tree.all().filter_map(|instance| Some((instance.uuid, disabled_on(instance)?))).collect()
}

fn disabled_on(instance: &Instance) -> Option<u64> {
    let records = Some(&instance.host.disabled).filter(|records| !records.is_empty())?;
    let mut hasher = DefaultHasher::new();
    records.hash(&mut hasher);
    Some(hasher.finish())
}

/// Waits for news of notifications; `None`: some were lost.
async fn heard(notified: &mut broadcast::Receiver<notify::Change>) -> Option<notify::Change> {
    match notified.recv().await {
        Ok(change) => Some(change),
        Err(RecvError::Lagged(_)) => None,
        // Whoever told them is gone, and so is this process soon.
        Err(RecvError::Closed) => std::future::pending().await,
    }
}

/// Waits until one of the sources has counted up.
async fn any(sources: &mut Vec<Source>) {
    // One whose owner is gone will never count again.
    sources.retain(|(_, receiver)| receiver.has_changed().is_ok());
    if sources.is_empty() {
        return std::future::pending().await;
    }
    let waiting = sources.iter().map(|(_, receiver)| Box::pin(counted(receiver.clone())));
    select_all(waiting).await;
}

/// A copy waits, so that what is not looked at yet stays marked as new.
async fn counted(mut receiver: watch::Receiver<u64>) {
    if receiver.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
