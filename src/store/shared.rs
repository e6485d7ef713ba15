//! What the handles and the writer share: the queue, how things are, and the signals between them.

use std::{
    path::PathBuf,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    Health, MAX_WAITING_BYTES, MAX_WAITING_ENTRIES, MAX_WAITING_RESULTS, MAX_WAITING_STATE_BYTES,
    Note, RESULT_FLUSH, START_LOCK_TIME, Settings, StoreError,
    database::MAX_DATABASE_BYTES,
    queue::{Batch, Bounds, Queue},
    reader::Reader,
};
use crate::{hub::Changes, status::Status};

/// Notes kept for [`Health::notes`].
const MAX_NOTES: usize = 8;

/// Bounds and times; tests make them smaller.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub waiting: Bounds,
    pub database_bytes: u64,
    pub result_flush: Duration,
    /// The pause after a failure; doubled with each, up to the longest.
    pub first_retry: Duration,
    pub longest_retry: Duration,
    /// How long the start waits for a lock of another process.
    pub start_lock: Duration,
    /// A writer that is at one round for longer is told of.
    pub slow_round: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            waiting: Bounds {
                entries: MAX_WAITING_ENTRIES,
                entry_bytes: MAX_WAITING_BYTES,
                results: MAX_WAITING_RESULTS,
                state_bytes: MAX_WAITING_STATE_BYTES,
            },
            database_bytes: MAX_DATABASE_BYTES,
            result_flush: RESULT_FLUSH,
            first_retry: Duration::from_secs(1),
            longest_retry: Duration::from_secs(30),
            start_lock: START_LOCK_TIME,
            slow_round: Duration::from_secs(10),
        }
    }
}

pub(super) struct Shared {
    pub path: PathBuf,
    pub origin: Uuid,
    pub limits: Limits,
    /// From the limits; may change while running.
    pub database_bytes: AtomicU64,
    pub reader: Reader,
    /// The file was seen to hold a database that we can read.
    readable: AtomicBool,
    state: Mutex<State>,
    /// For the writer: there is something to do.
    work: Condvar,
    /// For those who wait for the writer: it has done something.
    done: Condvar,
    /// The id up to which all entries are on the disk.
    durable: watch::Sender<u64>,
}

struct State {
    queue: Queue,
    /// The counters of the queue are filled in when it is asked for.
    health: Health,
    keep_days: u32,
    /// The writer is to act now, even if it is pausing after a failure.
    hurry: bool,
    /// A reader found the file damaged.
    suspect: bool,
    stop: Option<Stop>,
    /// Since when the writer has been at its present round; `None` while it waits for work.
    busy_since: Option<Instant>,
    /// The writer is gone.
    ended: bool,
}

/// An order to stop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    /// Give up then.
    pub deadline: Instant,
    /// Say in the database that the stop was meant.
    pub clean: bool,
}

/// What the writer is to do next.
pub(super) struct Order {
    pub batch: Batch,
    /// Nothing waits after this batch.
    pub is_last: bool,
    pub keep_days: u32,
    pub suspect: bool,
    pub stop: Option<Stop>,
}

/// What handles do.
impl Shared {
    pub fn new(settings: Settings, limits: Limits) -> Shared {
        let Settings { path, origin, keep_days } = settings;
        let state = State {
            queue: Queue::new(limits.waiting),
            health: Health::default(),
            keep_days,
            hurry: false,
            suspect: false,
            stop: None,
            busy_since: None,
            ended: false,
        };
        Shared {
            reader: Reader::new(path.clone()),
            path,
            origin,
            database_bytes: AtomicU64::new(limits.database_bytes),
            limits,
            readable: AtomicBool::new(false),
            state: Mutex::new(state),
            work: Condvar::new(),
            done: Condvar::new(),
            durable: watch::channel(0).0,
        }
    }

    /// No code panics while it holds the lock, so a poisoned state is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn record(&self, changes: Changes) {
        let mut state = self.lock();
        state.queue.record(changes);
        let wake = state.queue.is_pressing();
        drop(state);
        if wake {
            self.work.notify_one();
        }
    }

    pub fn set_keep_days(&self, days: u32) {
        self.lock().keep_days = days;
    }

    pub fn health(&self) -> Health {
        let state = self.lock();
        let busy = state
            .busy_since
            .map(|since| since.elapsed())
            .filter(|busy| *busy > self.limits.slow_round);
        let slow = busy.map(|busy| {
            format!(
                "the disk has not answered for {} s while the database `{}` was written; entries \
                 wait in memory until it does",
                busy.as_secs(),
                self.path.display()
            )
        });
        Health {
            problem: state.health.problem.clone().or(slow),
            waiting: state.queue.waiting(),
            lost: state.queue.lost(),
            ..state.health.clone()
        }
    }

    pub fn pressure(&self) -> f64 {
        self.lock().queue.pressure()
    }

    pub fn durable(&self) -> watch::Receiver<u64> {
        self.durable.subscribe()
    }

    /// All entries up to this id are on the disk.
    pub fn set_durable(&self, id: u64) {
        self.durable.send_if_modified(|held| std::mem::replace(held, id) != id);
    }

    pub fn take_lost(&self) -> u64 {
        self.lock().queue.take_lost()
    }

    pub fn ask<T>(
        &self,
        what: &'static str,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        if !self.readable.load(Ordering::Acquire) {
            return Err(StoreError::Unavailable {
                path: self.path.clone(),
                problem: self.lock().health.problem.clone().unwrap_or_default(),
            });
        }
        let answer = self.reader.ask(what, question);
        if answer.as_ref().is_err_and(is_damage) {
            let mut state = self.lock();
            (state.suspect, state.hurry) = (true, true);
            self.work.notify_one();
        }
        answer
    }

    pub fn flush(&self, most: Duration) -> Result<(), StoreError> {
        let mut state = self.lock();
        let mark = state.queue.handed();
        if state.queue.is_written(mark) {
            return Ok(());
        }
        state.queue.want(mark);
        state.hurry = true;
        self.work.notify_one();
        let (state, _) = self
            .done
            .wait_timeout_while(state, most, |state| !state.queue.is_written(mark) && !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        if state.queue.is_written(mark) { Ok(()) } else { Err(self.not_written(&state)) }
    }

    pub fn close(&self, grace: Duration) -> Result<(), StoreError> {
        let mut state = self.lock();
        let mark = state.queue.handed();
        if !state.ended {
            state.stop = Some(Stop { deadline: Instant::now() + grace, clean: true });
            state.hurry = true;
            self.work.notify_one();
        }
        let (state, _) = self
            .done
            .wait_timeout_while(state, grace, |state| !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        if state.ended && state.health.problem.is_none() && state.queue.is_written(mark) {
            return Ok(());
        }
        Err(self.not_written(&state))
    }

    /// Nobody holds the store any more: the writer may go as soon as it has written what waits.
    pub fn abandon(&self) {
        let mut state = self.lock();
        if state.stop.is_none() {
            state.stop = Some(Stop { deadline: Instant::now(), clean: false });
        }
        state.hurry = true;
        self.work.notify_one();
    }

    fn not_written(&self, state: &State) -> StoreError {
        let problem = state.health.problem.clone();
        StoreError::NotWritten {
            path: self.path.clone(),
            waiting: state.queue.waiting(),
            problem: problem.unwrap_or_else(|| "the disk is too slow".into()),
        }
    }
}

/// What the writer does.
impl Shared {
    /// Waits for something to do, at most for `patience`. While it pauses after a failure, new entries
    /// are no reason to act.
    pub fn next(&self, patience: Duration, pausing: bool) -> Order {
        let idle = |state: &mut State| !state.hurry && (pausing || !state.queue.is_pressing());
        let mut state = self.lock();
        state.busy_since = None;
        let (mut state, _) = self
            .work
            .wait_timeout_while(state, patience, idle)
            .unwrap_or_else(PoisonError::into_inner);
        state.hurry = false;
        state.busy_since = Some(Instant::now());
        Order {
            batch: state.queue.take(),
            is_last: state.queue.is_empty(),
            keep_days: state.keep_days,
            suspect: std::mem::take(&mut state.suspect),
            stop: state.stop,
        }
    }

    /// The batch is on the disk.
    pub fn written(&self, batch: &Batch, at: Timestamp, bytes: u64) {
        let mut state = self.lock();
        state.queue.written(batch);
        let problem = state.health.problem.take();
        state.health.commits += 1;
        state.health.last_commit = Some(at);
        state.health.bytes = bytes;
        self.done.notify_all();
        drop(state);
        if problem.is_some() {
            tracing::info!("the database `{}` is written again", self.path.display());
        }
    }

    /// There was nothing in the batch.
    pub fn nothing_to_write(&self, batch: &Batch) {
        self.lock().queue.written(batch);
        self.done.notify_all();
    }

    pub fn put_back(&self, batch: Batch) {
        self.lock().queue.put_back(batch);
    }

    pub fn set_problem(&self, problem: String) {
        let before = self.lock().health.problem.replace(problem.clone());
        if before.as_ref() != Some(&problem) {
            tracing::warn!("{problem}");
        }
    }

    /// What was wrong is over, though nothing was written yet.
    pub fn clear_problem(&self) {
        self.lock().health.problem = None;
    }

    pub fn add_notes(&self, notes: Vec<Note>) {
        // Not under the lock: who hands in must not wait for the log either.
        for Note { status, text } in &notes {
            match *status >= Status::WARN {
                true => tracing::warn!("{text}"),
                false => tracing::info!("{text}"),
            }
        }
        let kept = &mut self.lock().health.notes;
        kept.extend(notes);
        let surplus = kept.len().saturating_sub(MAX_NOTES);
        kept.drain(..surplus);
    }

    pub fn set_readable(&self) {
        self.readable.store(true, Ordering::Release);
    }

    pub fn ended(&self) {
        self.lock().ended = true;
        self.done.notify_all();
    }
}

fn is_damage(error: &StoreError) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    let StoreError::Query { source, .. } = error else { return false };
    matches!(source.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}
