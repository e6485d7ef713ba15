//! The thread that writes: one transaction for all that waits, then the next.
//!
//! After any failure the connection is closed and opened anew, since nothing on a handle whose sync
//! failed can be trusted; the batch goes back to memory and is tried again, with growing pauses.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rusqlite::TransactionBehavior;

use super::{
    Note, admission,
    database::{self, Begun, Database, Past, set_meta, write_batch},
    notify,
    queue::Batch,
    reserve::{RESERVE_BYTES, Reserve},
    retention::{self, Purged},
    shared::{Order, Shared, Stop},
    trouble::{Cause, Trouble},
};

/// Without anything to write, this often is noted that the process is alive.
const ALIVE_EVERY: Duration = Duration::from_secs(60);
/// How often old entries are looked for.
const PURGE_EVERY: Duration = Duration::from_secs(3600);
/// Old entries looked at in one go, so that new ones never wait for long.
const PURGE_STEP: usize = 1_000;
/// The same while space is short, since the log takes the pages that change…
const SHORT_PURGE_STEP: usize = 100;
/// …and how many such steps are taken before what waits is tried again.
const SHORT_PURGE_STEPS: usize = 100;
/// A transaction of more rows than this gets a large page cache and a longer log.
const LARGE_BATCH_ROWS: usize = 1_000;
/// The pause after a transaction when the next waits, for others who want to write: those who look every
/// millisecond find it.
const TURN_OF_OTHERS: Duration = Duration::from_millis(3);
/// The pause between attempts while the start waits for a lock.
const RETRY_AT_START: Duration = Duration::from_millis(50);
/// The pause between attempts while a stop waits for the disk.
const RETRY_AT_STOP: Duration = Duration::from_millis(100);
/// How much further than the monotonic clock the wall clock may have run since the start before entries
/// are not deleted by it any more: a clock set to next year must not take the history with it.
const MAX_CLOCK_LEAD: Duration = Duration::from_secs(24 * 3600);
const DAY_MS: i64 = 24 * 3600 * 1000;

pub(super) struct Writer {
    shared: Arc<Shared>,
    /// `None` after a failure.
    database: Option<Database>,
    /// The highest id ever used.
    highest: u64,
    /// There was no space for what waits.
    full: bool,
    reserve: Reserve,
    /// The file has to be looked over before anything is written.
    check: bool,
    /// What is wrong with the file, if it has to be set aside.
    damage: Option<String>,
    /// The pause after the last failure; `None` after a success.
    pause: Option<Duration>,
    /// This process has written to the database.
    has_committed: bool,
    /// `None` before the first and after a failure: to commit something is how to find out.
    last_commit: Option<Instant>,
    /// When old entries were last looked for, and with which number of days; `None` while there are more.
    purged: Option<(Instant, u32)>,
    /// How far they were looked at.
    purged_to: retention::Place,
    started: (Instant, Timestamp),
}

impl Writer {
    /// Opens the database and reads the past out of it. Where that fails, the past is unknown and the
    /// thread will try again.
    pub fn open(shared: Arc<Shared>) -> (Writer, Past) {
        let mut writer = Writer {
            reserve: Reserve::of(&shared.path),
            shared,
            database: None,
            highest: 0,
            full: false,
            check: false,
            damage: None,
            pause: None,
            has_committed: false,
            last_commit: None,
            purged: None,
            purged_to: retention::BEGINNING,
            started: (Instant::now(), Timestamp::now()),
        };
        let mut past = match writer.first_connect() {
            Ok(past) => past,
            Err(trouble) => {
                writer.failed(trouble);
                writer.shared.add_notes(vec![Note::warn(format!(
                    "the database `{}` could not be read at the start: every probe counts as seen \
                     for the first time, and whether the last stop was meant is not known",
                    writer.shared.path.display()
                ))]);
                Past::default()
            }
        };
        // Noted with the first commit, so that a start that gets no further does not give it out again.
        writer.highest = past.next_id(Timestamp::now()).saturating_sub(1);
        past.highest = Some(writer.highest);
        writer.shared.set_durable(writer.highest);
        (writer, past)
    }

    /// Connects, waiting for a lock of another process for a while.
    fn first_connect(&mut self) -> Result<Past, Trouble> {
        let deadline = Instant::now() + self.shared.limits.start_lock;
        loop {
            match self.connect() {
                Err(Trouble::Passing { sentence, cause: Cause::Locked })
                    if Instant::now() < deadline =>
                {
                    self.shared.set_problem(sentence);
                    // Most locks were waited for in there already, but not all of them.
                    thread::sleep(RETRY_AT_START);
                }
                outcome => {
                    self.shared.clear_problem();
                    return outcome;
                }
            }
        }
    }

    /// Starts the thread.
    pub fn start(self) {
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name("store".into()).spawn(move || self.run());
        if let Err(error) = thread {
            shared.set_problem(format!(
                "cannot start the thread that writes the database `{}`: {error}; nothing is stored \
                 until wigo is started again",
                shared.path.display()
            ));
            shared.ended();
        }
    }

    fn run(self) {
        // Said last, when the file is closed; also when this thread panics, so that nobody waits in vain.
        let _ended = Ended(Arc::clone(&self.shared));
        let mut writer = self;
        writer.work();
    }

    fn work(&mut self) {
        let mut patience = self.pause.unwrap_or_default();
        loop {
            let order = self.shared.next(patience, self.pause.is_some());
            let (stop, is_last) = (order.stop, order.is_last);
            patience = match self.round(order) {
                Ok(more) => {
                    self.pause = None;
                    if stop.is_some() && is_last {
                        return;
                    }
                    if !is_last {
                        thread::sleep(TURN_OF_OTHERS);
                    }
                    if more || !is_last { Duration::ZERO } else { self.shared.limits.result_flush }
                }
                Err(trouble) => match (self.failed(trouble), stop) {
                    (_, Some(stop)) if Instant::now() >= stop.deadline => return,
                    (pause, Some(_)) => pause.min(RETRY_AT_STOP),
                    (pause, None) => pause,
                },
            };
        }
    }

    /// One round: makes sure of the database and of room in it, writes what waits, deletes some old
    /// entries if it is time. Returns whether there is more to delete.
    fn round(&mut self, order: Order) -> Result<bool, Trouble> {
        let Order { batch, is_last, keep_days, suspect, stop } = order;
        // To say that the stop was meant is the last thing to do.
        let write_stop = stop.filter(|_| is_last);
        self.check |= suspect;
        let outcome = self
            .prepare()
            .and_then(|()| self.make_room(keep_days))
            .and_then(|()| self.write(&batch, write_stop));
        if let Err(trouble) = outcome {
            self.shared.put_back(batch);
            return Err(trouble);
        }
        if stop.is_some() {
            return Ok(false);
        }
        if is_last {
            self.database_mut().set_bulk(false)?;
        }
        self.reserve.keep();
        self.purge(keep_days)
    }

    /// Sees to it that there is a database, in its place and whole.
    fn prepare(&mut self) -> Result<(), Trouble> {
        if self.database.as_ref().is_some_and(|database| !database.is_in_place()) {
            self.database = None;
            self.shared.add_notes(vec![Note::warn(format!(
                "the database `{}` was removed or replaced while it was in use; what it held is gone \
                 from here, new entries go to the file that is there now",
                self.shared.path.display()
            ))]);
        }
        if self.database.is_none() {
            self.connect()?;
        }
        if let Some(database) = self.database.as_ref().filter(|_| self.check) {
            database.check()?;
            self.check = false;
        }
        Ok(())
    }

    fn connect(&mut self) -> Result<Past, Trouble> {
        let shared = &self.shared;
        shared.reader.forget();
        let max_bytes = shared.database_bytes.load(Ordering::Relaxed);
        let damage = self.damage.as_deref();
        let begin = || database::begin(&shared.path, shared.origin, max_bytes, damage);
        let Begun { database, past, notes } = match begin() {
            Err(trouble) if trouble.is(Cause::Full) && self.reserve.release() => begin()?,
            outcome => outcome?,
        };
        self.reserve = Reserve::of(&shared.path);
        // A question may have opened the file that was just replaced.
        shared.reader.forget();
        shared.add_notes(notes);
        shared.set_readable();
        self.highest = self.highest.max(past.highest.unwrap_or(0));
        (self.database, self.damage) = (Some(database), None);
        // What a process leaves that did not come to its end may be half written.
        let unclean = past.last_seen.is_some_and(|last| !last.clean);
        self.check |= unclean && !self.has_committed;
        Ok(past)
    }

    /// Commits the batch, if there is anything to say.
    fn write(&mut self, batch: &Batch, stop: Option<Stop>) -> Result<(), Trouble> {
        let clean = stop.is_some_and(|stop| stop.clean);
        let due = self.last_commit.is_none_or(|last| last.elapsed() >= ALIVE_EVERY);
        let abandoned = stop.is_some_and(|stop| !stop.clean);
        if batch.is_empty() && !clean && (!due || abandoned) {
            self.shared.nothing_to_write(batch);
            return Ok(());
        }
        let database = self.database.as_mut().expect("`prepare` has just opened it");
        if batch.rows() > LARGE_BATCH_ROWS {
            database.set_bulk(true)?;
        }
        let highest = batch.entries.iter().map(|entry| entry.id).fold(self.highest, u64::max);
        let now = Timestamp::now();
        let mut commit = || -> rusqlite::Result<()> {
            let transaction =
                database.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            write_batch(&transaction, batch)?;
            set_meta(&transaction, "highest_id", highest.cast_signed())?;
            set_meta(&transaction, "alive_at", now.as_millisecond())?;
            set_meta(&transaction, "clean_stop", i64::from(clean))?;
            transaction.commit()
        };
        commit().map_err(|error| database.trouble("write to", &error))?;
        (self.highest, self.full) = (highest, false);
        self.shared.set_durable(highest);
        (self.has_committed, self.last_commit) = (true, Some(Instant::now()));
        self.shared.written(batch, now, database.bytes());
        Ok(())
    }

    /// Deletes some of what is older than `keep_days`, if it is time. Returns whether there may be more.
    fn purge(&mut self, keep_days: u32) -> Result<bool, Trouble> {
        let fresh = |(at, days): (Instant, u32)| days == keep_days && at.elapsed() < PURGE_EVERY;
        if self.purged.is_some_and(fresh) {
            return Ok(false);
        }
        self.purge_step(keep_days, PURGE_STEP)?;
        Ok(self.purged.is_none())
    }

    /// After there was no space: deletes old entries before what waits is tried again.
    fn make_room(&mut self, keep_days: u32) -> Result<(), Trouble> {
        if !self.full {
            return Ok(());
        }
        let max_bytes = self.shared.database_bytes.load(Ordering::Relaxed);
        self.database().set_limit(max_bytes.saturating_add(RESERVE_BYTES))?;
        for _ in 0..SHORT_PURGE_STEPS {
            let step = self.purge_step(keep_days, SHORT_PURGE_STEP);
            // Only where there is something to delete: to write on would use it up for nothing.
            let helps = match &step {
                Ok(deleted) => *deleted > 0,
                Err(trouble) => trouble.is(Cause::Full),
            };
            if helps {
                self.reserve.release();
            }
            step?;
            if self.purged.is_some() {
                break;
            }
        }
        self.database().empty_log();
        self.database().set_limit(max_bytes)
    }

    fn database(&self) -> &Database {
        self.database.as_ref().expect("`prepare` has just opened it")
    }

    fn database_mut(&mut self) -> &mut Database {
        self.database.as_mut().expect("`prepare` has just opened it")
    }

    /// Looks at the next few old entries; `purged` says whether they were the last. Returns how many
    /// were deleted.
    fn purge_step(&mut self, keep_days: u32, step: usize) -> Result<usize, Trouble> {
        let database = self.database();
        if self.purged_to == retention::BEGINNING {
            admission::purge_tokens(&database.connection, Timestamp::now())
                .map_err(|error| database.trouble("delete old tokens from", &error))?;
        }
        let cutoff = self.cutoff(keep_days);
        let Purged { deleted, next } = retention::purge(
            &database.connection,
            cutoff,
            self.purged_to,
            step,
            self.shared.origin,
        )
        .map_err(|error| database.trouble("delete old entries from", &error))?;
        let more = notify::purge(&database.connection, cutoff, step)
            .map_err(|error| database.trouble("delete old notifications from", &error))?;
        self.purged = (next.is_none() && !more).then(|| (Instant::now(), keep_days));
        // While there are more of those, the last step is taken again instead of all of them.
        let stay = if more { self.purged_to } else { retention::BEGINNING };
        self.purged_to = next.unwrap_or(stay);
        Ok(deleted)
    }

    /// What was learned before this goes, in Unix milliseconds.
    fn cutoff(&self, keep_days: u32) -> i64 {
        if keep_days == 0 {
            return i64::MAX;
        }
        let (instant, wall) = self.started;
        let lead = i64::try_from((instant.elapsed() + MAX_CLOCK_LEAD).as_millis());
        let latest = wall.as_millisecond().saturating_add(lead.unwrap_or(i64::MAX));
        Timestamp::now().as_millisecond().min(latest) - i64::from(keep_days) * DAY_MS
    }

    /// Takes note of a failure and returns how long to pause.
    fn failed(&mut self, trouble: Trouble) -> Duration {
        (self.database, self.last_commit) = (None, None);
        let limits = &self.shared.limits;
        let before = self.pause;
        let pause = before.map_or(limits.first_retry, |pause| pause * 2).min(limits.longest_retry);
        self.pause = Some(pause);
        match trouble {
            Trouble::Damaged(why) => {
                self.shared.set_problem(format!(
                    "the database `{}` is damaged ({why}); it will be set aside and a new one begun",
                    self.shared.path.display()
                ));
                self.damage = Some(why);
                self.check = false;
                // At once, unless the new one is damaged as well.
                before.map_or(Duration::ZERO, |_| pause)
            }
            Trouble::Passing { sentence, cause } => {
                self.check |= cause == Cause::Disk;
                self.full |= cause == Cause::Full;
                self.shared.set_problem(sentence);
                pause
            }
        }
    }
}

/// Tells those who wait that the writer is gone.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.set_problem(
                "the thread that writes the database ended by a mistake in wigo; nothing is stored \
                 until wigo is started again"
                    .into(),
            );
        }
        self.0.ended();
    }
}
