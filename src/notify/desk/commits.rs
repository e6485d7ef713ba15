//! What was decided and is not on the disk yet, in order.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use uuid::Uuid;

use crate::{
    notify::Message,
    status::Status,
    store::{Commit, NotifyStore, StoreError},
};

/// Decisions, and as many moments, that wait while the database cannot be written; beyond this the oldest
/// are dropped…
const MAX_WAITING: usize = 20_000;
/// …and messages. A dropped one is not delivered, unless it was before.
const MAX_WAITING_MESSAGES: usize = 5_000;

/// The line of commits, and who writes them.
pub(super) struct Commits {
    store: NotifyStore,
    line: Mutex<Line>,
    /// Held by the one that writes.
    writing: Mutex<()>,
}

#[derive(Default)]
struct Line {
    process: i64,
    number: i64,
    waiting: VecDeque<Commit>,
    /// What is being written.
    under_way: Option<Commit>,
    /// Why the last attempt failed.
    problem: Option<String>,
    /// Dropped since the start.
    dropped: usize,
}

impl Commits {
    pub fn new(store: NotifyStore) -> Commits {
        let process = Uuid::new_v4().as_u64_pair().1.cast_signed();
        let line = Line { process, ..Line::default() };
        Commits { store, line: Mutex::new(line), writing: Mutex::default() }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing was decided yet; this is where the journal is read from.
    pub fn begin_at(&self, cursor: u64) {
        self.push(Commit { cursor, ..Commit::default() });
    }

    /// Puts a commit in line; its number is given here.
    pub fn push(&self, commit: Commit) {
        let mut line = self.line();
        line.number += 1;
        let (process, number) = (line.process, line.number);
        line.waiting.push_back(Commit { process, number, ..commit });
        // Only while the disk does not answer there is more than a few.
        if line.problem.is_some() || line.under_way.is_some() {
            line.bound();
        }
    }

    /// Whether something waits.
    pub fn is_empty(&self) -> bool {
        let line = self.line();
        line.waiting.is_empty() && line.under_way.is_none()
    }

    /// Messages that are not on the disk.
    pub fn messages(&self) -> Vec<Message> {
        let line = self.line();
        let all = line.under_way.iter().chain(&line.waiting);
        all.flat_map(|commit| commit.messages.iter().cloned()).collect()
    }

    /// Why nothing can be written, in a sentence, or what was lost; and how bad that is.
    pub fn trouble(&self) -> Option<(Status, String)> {
        let line = self.line();
        let waiting = line.waiting.len() + usize::from(line.under_way.is_some());
        match (&line.problem, line.dropped) {
            (Some(problem), _) => {
                let text = format!(
                    "notifications are not durable: they go out from memory and would be forgotten by a \
                     restart ({waiting} waiting to be written): {problem}"
                );
                Some((Status::CRIT, text))
            }
            (None, dropped @ 1..) => {
                let text = format!(
                    "{dropped} records of notifications were dropped while the database could not be \
                     written"
                );
                Some((Status::WARN, text))
            }
            (None, 0) => None,
        }
    }

    /// Writes all that waits in one transaction. Returns the messages that are on the disk now. If
    /// somebody else writes it is waited for; what was in line before this call is written after it.
    /// Blocks.
    pub fn write(&self) -> Result<Vec<Message>, StoreError> {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let commit = {
            let mut line = self.line();
            let Some(commit) = merge(std::mem::take(&mut line.waiting)) else {
                return Ok(Vec::new());
            };
            line.under_way = Some(commit.clone());
            commit
        };
        let written = self.store.commit(&commit);
        let mut line = self.line();
        line.under_way = None;
        match written {
            Ok(()) => {
                if line.problem.take().is_some() {
                    tracing::info!("notifications are on the disk again");
                }
                Ok(commit.messages)
            }
            Err(error) => {
                let problem = error.to_string();
                if line.problem.as_ref() != Some(&problem) {
                    tracing::warn!("notifications go out from memory: {problem}");
                }
                line.problem = Some(problem);
                line.waiting.push_front(commit);
                Err(error)
            }
        }
    }
}

impl Line {
    /// Drops the oldest of what is too much.
    fn bound(&mut self) {
        let mut whole = match merge(std::mem::take(&mut self.waiting)) {
            Some(whole) => whole,
            None => return,
        };
        let mut drop_from = |surplus: usize| self.dropped += surplus;
        let surplus = whole.decisions.len().saturating_sub(MAX_WAITING);
        whole.decisions.drain(..surplus);
        drop_from(surplus);
        let surplus = whole.moments.len().saturating_sub(MAX_WAITING);
        whole.moments.drain(..surplus);
        drop_from(surplus);
        let surplus = whole.messages.len().saturating_sub(MAX_WAITING_MESSAGES);
        whole.messages.drain(..surplus);
        drop_from(surplus);
        self.waiting.push_back(whole);
    }
}

/// One commit for all: of what comes several times, the last counts.
fn merge(commits: VecDeque<Commit>) -> Option<Commit> {
    let mut commits = commits.into_iter();
    let mut whole = commits.next()?;
    for next in commits {
        whole.number = next.number;
        whole.cursor = next.cursor;
        whole.changed.extend(next.changed);
        whole.incidents.extend(next.incidents);
        whole.moments.extend(next.moments);
        whole.decisions.extend(next.decisions);
        whole.messages.extend(next.messages);
    }
    let mut seen = HashSet::new();
    let last: BTreeMap<usize, _> = std::mem::take(&mut whole.changed)
        .into_iter()
        .enumerate()
        .rev()
        .filter(|(_, changed)| seen.insert((changed.kind, changed.key.clone())))
        .collect();
    whole.changed = last.into_values().collect();
    let mut seen = HashSet::new();
    let mut last: Vec<_> = std::mem::take(&mut whole.incidents)
        .into_iter()
        .rev()
        .filter(|incident| seen.insert(incident.id))
        .collect();
    last.reverse();
    whole.incidents = last;
    Some(whole)
}
