//! The turns of the desk: what happened since the last, what time has brought, what comes of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

use super::Desk;
use crate::{
    hub::Entry,
    notify::{
        Message, fact,
        policy::{Command, Effects, Fact, Policy, What},
        world::Around,
    },
    status::Status,
    store::{Commit, StoreError},
    task::Stop,
};

/// Entries that are judged in one turn.
const BATCH: usize = 512;
/// How long an entry is waited for to be on the disk before it is judged.
const PATIENCE: Duration = Duration::from_secs(2);
/// The pause after something could not be read or written.
const RETRY: Duration = Duration::from_secs(5);
/// Deadlines of the policy are never met more often than this.
const SHORTEST_TURN: Duration = Duration::from_millis(50);
/// Probes in error that a message names.
const MAX_IN_ERROR: usize = 200;

/// What was found in the journal.
struct Found {
    facts: Vec<Fact>,
    /// The entry up to which that is all.
    up_to: u64,
    more: bool,
}

/// What a turn came to.
#[derive(Default)]
struct Turn {
    /// The entry up to which all is judged.
    seen: u64,
    more: bool,
    /// When the policy has something to do.
    deadline: Option<Timestamp>,
    /// Something was found that is to be judged only after the network was looked at.
    ask_witnesses: bool,
    failed: bool,
}

impl Desk {
    /// Runs until it is told to stop.
    pub async fn run(self: Arc<Self>, mut stop: Stop) {
        let desk = self.clone();
        // It fails only while the runtime ends.
        let _ = tokio::task::spawn_blocking(move || desk.abandon_strays()).await;
        let mut durable = self.journal.durable();
        // What is not taken costs nothing.
        let feed = self.hub.feed();
        let mut deadline: Option<Instant> = Some(Instant::now());
        // When entries are judged that are not on the disk yet.
        let mut impatient: Option<Instant> = None;
        // The entries up to which a turn was begun, and came to its end.
        let (mut tried, mut seen) = (0, 0);
        let mut stuck: Option<JoinHandle<Turn>> = None;
        loop {
            let newest = self.hub.newest_id();
            if newest > seen.max(*durable.borrow()) {
                let patience = match self.journal.health().problem {
                    _ if newest <= tried => RETRY,
                    Some(_) => Duration::ZERO,
                    None => PATIENCE,
                };
                impatient.get_or_insert(Instant::now() + patience);
            }
            let until = |at: Option<Instant>| async move {
                match at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let unstuck = async {
                match &mut stuck {
                    Some(writing) => drop(writing.await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.wait() => return,
                Ok(()) = durable.changed() => {}
                // If it is on the disk already, the change of `durable` says so.
                () = feed.urgent() => continue,
                () = self.poke.notified() => {}
                () = until(deadline) => {}
                () = until(impatient) => {}
                () = unstuck => stuck = None,
            }
            let on_disk = *durable.borrow_and_update();
            let is_late = impatient.is_some_and(|at| at <= Instant::now());
            let up_to = if is_late { self.hub.newest_id() } else { on_disk };
            if is_late || on_disk >= self.hub.newest_id() {
                impatient = None;
            }
            let turn = self.turn(up_to, &mut stuck).await;
            seen = seen.max(turn.seen);
            if !turn.more {
                tried = tried.max(up_to);
            }
            deadline = self.next(&turn);
        }
    }

    /// One turn, and what has to be waited for in it. A disk that does not answer is left behind in
    /// `stuck`, and messages go out from memory.
    async fn turn(self: &Arc<Self>, up_to: u64, stuck: &mut Option<JoinHandle<Turn>>) -> Turn {
        let mut asked = false;
        loop {
            let (desk, write) = (self.clone(), stuck.is_none());
            let mut work = tokio::task::spawn_blocking(move || desk.take_turn(up_to, asked, write));
            let turn = match timeout(PATIENCE, &mut work).await {
                Ok(turn) => turn.unwrap_or_else(|error| {
                    tracing::error!("notifications: a mistake of wigo: {error}");
                    Turn { failed: true, ..Turn::default() }
                }),
                Err(_) => {
                    self.send_from_memory();
                    *stuck = Some(work);
                    return Turn::default();
                }
            };
            if !write || turn.failed {
                self.send_from_memory();
            }
            if !turn.ask_witnesses {
                return turn;
            }
            self.ask_witnesses().await;
            asked = true;
        }
    }

    fn next(&self, turn: &Turn) -> Option<Instant> {
        let now = Instant::now();
        if turn.more {
            return Some(now);
        }
        let retry = (turn.failed || !self.commits.is_empty()).then(|| now + RETRY);
        let deadline = turn.deadline.map(|at| {
            let wait = Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default();
            now + wait.max(SHORTEST_TURN)
        });
        retry.into_iter().chain(deadline).min()
    }

    /// Judges what happened up to an entry and what time has brought, and writes what comes of it.
    fn take_turn(&self, up_to: u64, asked: bool, write: bool) -> Turn {
        let mut turn = Turn::default();
        let found = self.find(up_to).unwrap_or_else(|error| {
            tracing::warn!("notifications: {error}");
            turn.failed = true;
            None
        });
        let has_down = |found: &Found| found.facts.iter().any(|fact| fact.what == What::HostDown);
        if !asked && found.as_ref().is_some_and(has_down) && !self.witnesses().targets.is_empty() {
            turn.ask_witnesses = true;
            return turn;
        }
        turn.more = found.as_ref().is_some_and(|found| found.more);
        turn.seen = match &found {
            Some(found) => found.up_to,
            None if turn.failed => 0,
            None => up_to,
        };
        match found {
            Some(found) => self.judge(&found),
            None => self.decide(|policy, around, now, out| policy.tick(around, now, out)),
        }
        if write && self.write().is_err() {
            turn.failed = true;
        }
        turn.deadline = self.brain().policy.deadline();
        turn
    }

    /// The next entries of the journal up to one; `None`: there are no new ones.
    fn find(&self, up_to: u64) -> Result<Option<Found>, StoreError> {
        let cursor = self.brain().cursor;
        if up_to <= cursor {
            return Ok(None);
        }
        let (entries, whole) = match self.hub.entries_after(cursor, BATCH) {
            Some(entries) => {
                let whole = entries.len() < BATCH;
                (entries, whole)
            }
            None => {
                let entries = self.journal.journal_after(cursor, BATCH)?;
                if entries.is_empty() {
                    // What is neither on the disk nor in memory cannot be judged; what is in memory can.
                    let up_to = self.hub.oldest_recent_id().saturating_sub(1).min(up_to);
                    tracing::error!(
                        "notifications: the entries {} to {up_to} of the log could not be read, and \
                         nobody is told of them",
                        cursor + 1
                    );
                    return Ok(Some(Found { facts: Vec::new(), up_to, more: true }));
                }
                (entries.into_iter().map(Arc::new).collect(), false)
            }
        };
        let entries: Vec<Arc<Entry>> =
            entries.into_iter().filter(|entry| entry.id <= up_to).collect();
        let last = entries.last().map(|entry| entry.id);
        // In the database there may be gaps, up to its end.
        let up_to = match last {
            Some(last) if !whole => last,
            _ => up_to,
        };
        let facts = entries.iter().filter_map(|entry| fact::fact(entry)).collect();
        Ok(Some(Found { facts, up_to, more: last.is_some() && !whole }))
    }

    fn judge(&self, found: &Found) {
        let around = Around::new(self.hub.view());
        let mut brain = self.brain();
        let mut out = Effects::default();
        // Another turn, which the disk has held up, may have found the same.
        let cursor = brain.cursor;
        let known = found.facts.partition_point(|fact| fact.entry <= cursor);
        brain.policy.handle(&found.facts[known..], &around, Timestamp::now(), &mut out);
        brain.cursor = brain.cursor.max(found.up_to);
        let cursor = brain.cursor;
        self.settle(&mut brain.policy, cursor, &around, out);
    }

    /// Has the policy decide something, and puts what comes of it in line to be written.
    pub(super) fn decide<T>(
        &self,
        decide: impl FnOnce(&mut Policy, &Around, Timestamp, &mut Effects) -> T,
    ) -> T {
        let around = Around::new(self.hub.view());
        let mut brain = self.brain();
        let mut out = Effects::default();
        let answer = decide(&mut brain.policy, &around, Timestamp::now(), &mut out);
        let cursor = brain.cursor;
        self.settle(&mut brain.policy, cursor, &around, out);
        answer
    }

    fn settle(&self, policy: &mut Policy, cursor: u64, around: &Around, out: Effects) {
        let Effects { mut messages, decisions, moments } = out;
        let incidents: Vec<_> = policy.changed_incidents().into_iter().cloned().collect();
        let changed = policy.take_changed();
        let suppressions =
            changed.iter().any(|changed| matches!(changed.kind, "suppression" | "window"));
        self.enrich(&mut messages, around);
        self.tell(&incidents, suppressions);
        let (process, number) = (0, 0);
        let commit =
            Commit { process, number, cursor, changed, incidents, moments, decisions, messages };
        // How far the journal was read is worth no transaction of its own: what meant nothing means nothing
        // when it is read again.
        if commit != (Commit { cursor, ..Commit::default() }) {
            self.commits.push(commit);
        }
    }

    /// Adds what the policy does not know: results as `/api` shows them.
    fn enrich(&self, messages: &mut [Message], around: &Around) {
        let mut in_error = BTreeMap::new();
        for message in messages {
            message.result = (self.show_result)(around.view(), &message.subject);
            let host = &message.subject.host;
            let names =
                in_error.entry(host.clone()).or_insert_with(|| names_in_error(around, host));
            message.probes_in_error.clone_from(names);
        }
    }

    /// Writes what was decided, and has it delivered. Blocks.
    pub(super) fn write(&self) -> Result<(), StoreError> {
        let messages = self.commits.write()?;
        if messages.is_empty() {
            return Ok(());
        }
        let made = self.delivery.on_disk(&messages);
        let noted = match made.is_empty() {
            true => Ok(()),
            false => self.store.attempted(&made),
        };
        // Whatever came of that, what is in the outbox is to be delivered.
        let copies = made.iter().filter_map(|attempt| Some(&*attempt.instead.as_ref()?.channel));
        self.delivery.wake(copies);
        if !self.delivery.wake(messages.iter().map(|message| &*message.channel)) {
            self.delivery.abandon_strays()?;
        }
        noted
    }

    fn send_from_memory(&self) {
        let messages = self.commits.messages();
        let left = self.delivery.send_loose(&messages);
        if left > 0 {
            tracing::error!("{left} messages wait until the database can be written again");
        }
    }

    /// Looks whether the network is there, and tells the policy if that is new.
    pub(super) async fn ask_witnesses(self: &Arc<Self>) {
        let blind = self.witnesses().are_all_gone().await;
        let desk = self.clone();
        let work = move || {
            if desk.brain().policy.is_blind() != blind {
                let command = Command::Blind { blind };
                desk.decide(|policy, around, now, out| policy.command(command, around, now, out));
                // The next turn writes it, and does not wait for the disk for ever.
                desk.poke.notify_one();
            }
        };
        // It fails only while the runtime ends.
        let _ = tokio::task::spawn_blocking(work).await;
    }

    /// Asks the witnesses again and again, until it is told to stop. Without any it sleeps.
    pub async fn watch_witnesses(self: Arc<Self>, mut stop: Stop) {
        loop {
            let witnesses = self.witnesses();
            let next = async {
                match witnesses.targets.is_empty() {
                    true => std::future::pending().await,
                    false => tokio::time::sleep(witnesses.interval).await,
                }
            };
            tokio::select! {
                () = stop.wait() => return,
                () = next => {}
                () = self.new_witnesses.notified() => {}
            }
            self.ask_witnesses().await;
        }
    }
}

/// The probes of a host that are not OK.
fn names_in_error(around: &Around, host: &str) -> Vec<String> {
    let probes = around.view().find(host).into_iter().flat_map(|found| &found.host.probes);
    let bad = probes.filter(|(_, probe)| probe.result.status > Status::OK);
    bad.take(MAX_IN_ERROR).map(|(name, _)| name.as_str().to_owned()).collect()
}
