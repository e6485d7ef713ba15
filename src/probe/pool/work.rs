//! What the threads of the pool do: wait for what is due, run it, tell what it said, clear up.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use tokio::sync::oneshot;

use super::{Awaited, Counters, LastRun, Off, Settings, Sink};
use crate::{
    probe::{
        answer::{self, About, Answer},
        catalog::{Catalog, Entry, Version},
        orphans::Family,
        run::{self, End, Ended, Order, Over, Undead},
        schedule::Schedule,
    },
    status::Status,
    tree::ProbeName,
};

/// How often the process table is searched for what escaped while probes run all the time.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// Wait before looking again for what was just killed, or could not be looked for.
const SWEEP_AGAIN: Duration = Duration::from_secs(1);
/// Wait before looking again for a process that did not die.
const UNDEAD_CHECK: Duration = Duration::from_secs(1);

pub(super) struct State {
    pub(super) schedule: Schedule,
    pub(super) catalog: Catalog,
    pub(super) settings: Arc<Settings>,
    pub(super) off: HashMap<ProbeName, (Off, Option<Version>)>,
    pub(super) last: HashMap<ProbeName, LastRun>,
    pub(super) asked: VecDeque<ProbeName>,
    pub(super) awaited: Vec<Waiter>,
    pub(super) undead: Vec<(ProbeName, Undead)>,
    undead_checked: Duration,
    pub(super) with_state_folder: HashSet<ProbeName>,
    pub(super) counters: Counters,
    pub(super) lead: Option<Lead>,
    /// When a sweep is due at the latest, and at the earliest.
    sweep_by: Duration,
    sweep_from: Duration,
    pub(super) stopping: bool,
    threads: usize,
    next_turn: u64,
}

/// Somebody who waits for a run to end.
pub(super) struct Waiter {
    probe: ProbeName,
    /// The run has started: what ended before is none of theirs.
    started: bool,
    tell: oneshot::Sender<Awaited>,
}

impl Waiter {
    pub(super) fn new(probe: ProbeName, tell: oneshot::Sender<Awaited>) -> Waiter {
        Waiter { probe, started: false, tell }
    }

    /// Nobody waits any more.
    pub(super) fn is_forgotten(&self) -> bool {
        self.tell.is_closed()
    }
}

/// Who sleeps until something is due. A thread that comes to rest and knows of something earlier takes
/// the lead over; the one before sleeps on, and follows when it wakes.
#[derive(Clone, Copy)]
pub(super) struct Lead {
    turn: u64,
    until: Duration,
}

pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) wake: Condvar,
    /// The last thread has ended.
    ended: Condvar,
    began: Instant,
    pub(super) seed: u64,
    pub(super) family: Family,
    pub(super) sink: Box<dyn Sink>,
}

/// A run that a thread has taken on.
struct Job {
    name: ProbeName,
    entry: Entry,
    settings: Arc<Settings>,
}

/// What a thread does next.
enum Task {
    Run(Job),
    Sweep { thorough: bool },
    Stop,
}

impl Shared {
    pub(super) fn new(state: State, seed: u64, sink: Box<dyn Sink>) -> Shared {
        Shared {
            state: Mutex::new(state),
            wake: Condvar::new(),
            ended: Condvar::new(),
            began: Instant::now(),
            seed,
            family: Family::new(),
            sink,
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time of the schedule.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn reschedule(&self, state: &mut State) {
        let State { schedule, catalog, off, .. } = state;
        let active = catalog
            .entries
            .iter()
            .filter(|(name, _)| !off.contains_key(*name))
            .map(|(name, entry)| (name, Duration::from_secs(entry.interval.into())));
        schedule.set(active, self.seed, self.now());
    }

    /// The life of a thread.
    pub(super) fn work(&self) {
        self.state().threads += 1;
        loop {
            match self.next_task() {
                Task::Stop => break,
                Task::Sweep { thorough } => {
                    let killed = self.family.sweep(thorough);
                    self.swept(&mut self.state(), killed, thorough);
                }
                Task::Run(job) => {
                    // A defect of ours must not cost the thread, and the probe its rhythm.
                    if catch_unwind(AssertUnwindSafe(|| self.run(&job))).is_err() {
                        tracing::error!("the run of `{}` broke off: please report this", job.name);
                    }
                    let mut state = self.state();
                    state.counters.running -= 1;
                    state.tell_waiters(&job.name, None);
                    // Never a second copy while the first is not dead.
                    if state.undead.iter().all(|(undead, _)| *undead != job.name) {
                        state.schedule.finished(&job.name, self.now());
                    }
                }
            }
        }
        self.state().threads -= 1;
        self.ended.notify_all();
    }

    /// Waits until all threads have ended, but not longer than `limit`. Returns how many have not.
    pub(super) fn wait_for_end(&self, limit: Duration) -> usize {
        let waited = self.ended.wait_timeout_while(self.state(), limit, |state| state.threads > 0);
        waited.unwrap_or_else(PoisonError::into_inner).0.threads
    }

    /// Waits for something to do.
    fn next_task(&self) -> Task {
        let mut state = self.state();
        loop {
            if state.stopping {
                return Task::Stop;
            }
            let now = self.now();
            if let Some(task) = self.take(&mut state, now) {
                return task;
            }
            let until = self.next_wake(&state);
            if state.lead.is_some_and(|lead| lead.until <= until) {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let turn = state.next_turn;
            state.next_turn += 1;
            state.lead = Some(Lead { turn, until });
            let waited = self.wake.wait_timeout(state, until.saturating_sub(now));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if state.lead.is_some_and(|lead| lead.turn == turn) {
                state.lead = None;
            }
        }
    }

    /// When there is something to do, if nothing happens before.
    fn next_wake(&self, state: &State) -> Duration {
        let sweep = self.family.is_unswept().then_some(match state.counters.running {
            0 => state.sweep_from,
            _ => state.sweep_by,
        });
        let undead = (!state.undead.is_empty()).then(|| state.undead_checked + UNDEAD_CHECK);
        state.schedule.next().into_iter().chain(sweep).chain(undead).min().unwrap_or(Duration::MAX)
    }

    /// The next task, if there is one now.
    fn take(&self, state: &mut State, now: Duration) -> Option<Task> {
        if !state.undead.is_empty() && now >= state.undead_checked + UNDEAD_CHECK {
            state.undead_checked = now;
            let buried = state.bury(&self.family);
            buried.iter().for_each(|name| state.schedule.finished(name, now));
        }
        if self.family.is_unswept() {
            let thorough = now >= state.sweep_by;
            if thorough || (state.counters.running == 0 && now >= state.sweep_from) {
                // Nobody else meanwhile.
                state.sweep_from = now + SWEEP_AGAIN;
                state.sweep_by = state.sweep_by.max(now + SWEEP_AGAIN);
                return Some(Task::Sweep { thorough });
            }
        }
        let name = match state.take_asked() {
            Some(name) => name,
            None => {
                let due = state.schedule.take(now)?;
                state.counters.worst_late = state.counters.worst_late.max(due.late);
                due.name
            }
        };
        let entry = state.catalog.entries.get(&name)?.clone();
        state.counters.runs += 1;
        state.counters.running += 1;
        for waiter in state.awaited.iter_mut().filter(|waiter| waiter.probe == name) {
            waiter.started = true;
        }
        // What is due as well is for somebody else. What comes soon waits for this run, which hands the
        // lead on if it is not quick: that costs it a moment and saves a wake-up.
        let due = state.schedule.next().is_some_and(|next| next <= now);
        if !state.asked.is_empty() || (due && state.lead.is_none()) {
            self.wake.notify_one();
        }
        Some(Task::Run(Job { name, entry, settings: state.settings.clone() }))
    }

    fn run(&self, job: &Job) {
        let Job { name, entry, settings } = job;
        let about = |date| About { name, interval: entry.interval, date };
        let checked = match &entry.refused {
            Some(why) => Err(why.clone()),
            None => Version::check(&entry.path),
        };
        if let Err(why) = checked {
            // It was moved or removed a moment ago, which the next look at the folders tells: an error now
            // would be a false alarm for each probe that gets another interval.
            let is_gone = |error: std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
            if entry.path.symlink_metadata().is_err_and(is_gone) {
                return;
            }
            return self.tell(job, answer::refused(&about(Timestamp::now()), &why), None);
        }
        self.make_state_folder(name, settings);
        let order = Order {
            program: entry.path.clone(),
            environment: settings.environment.of(name, entry.interval),
            limit: settings.limit(name, entry.interval),
        };
        let tell = |ended: Ended| {
            if matches!(ended.end, End::TimedOut(_)) {
                self.state().counters.timeouts += 1;
            }
            let answer = answer::understand(&about(Timestamp::now()), &order.program, &ended);
            self.tell(job, answer, Some(&ended));
        };
        match run::run(&order, &self.family, || self.hand_on_the_lead(), tell) {
            Over::Ended(ended) => tell(ended),
            Over::Killed(undead) => {
                // A run that had to be killed is the likeliest to have left something behind.
                let killed = self.family.sweep(true);
                let mut state = self.state();
                state.undead.extend(undead.map(|undead| (name.clone(), undead)));
                self.swept(&mut state, killed, true);
            }
        }
    }

    /// This thread is busy for longer: somebody else has to wait for what is due next.
    fn hand_on_the_lead(&self) {
        let without = self.state().lead.is_none();
        if without {
            self.wake.notify_one();
        }
    }

    fn make_state_folder(&self, name: &ProbeName, settings: &Settings) {
        if !self.state().with_state_folder.insert(name.clone()) {
            return;
        }
        if let Err(error) = settings.environment.make_state_folder(name) {
            let folder = settings.environment.state_root.display();
            tracing::warn!("no folder for the state of `{name}` below `{folder}`: {error}");
        }
    }

    /// Hands on what a run said. The state is held while the hub is told, so that nothing is said after
    /// the probe is gone.
    fn tell(&self, job: &Job, answer: Answer, ended: Option<&Ended>) {
        let mut state = self.state();
        let Some(current) = state.catalog.entries.get(&job.name) else { return };
        let is_same_file = current.version == job.entry.version;
        if state.stopping {
            return;
        }
        let off = match answer {
            Answer::Disabled => Off::Disabled,
            Answer::Skipped => Off::Skipped,
            Answer::Results { dialect, results, .. } => {
                if let (Some(ended), Some(result)) = (ended, results.first()) {
                    let last = LastRun {
                        ended: result.date,
                        took: ended.took,
                        cpu: ended.cpu,
                        peak_memory: ended.peak_memory,
                        dialect,
                    };
                    state.last.insert(job.name.clone(), last);
                }
                // A probe that says itself that it could not read everything leaves its services open.
                let whole = results.first().is_some_and(|own| own.status != Status::ERROR);
                let complete = dialect != answer::Dialect::Failure && whole;
                self.sink.ran(&job.name, results, complete);
                return state.tell_waiters(&job.name, Some(Awaited::Said));
            }
        };
        // What was said by another file or under other settings than now does not count any more.
        if !is_same_file || !Arc::ptr_eq(&state.settings, &job.settings) {
            return;
        }
        state.off.insert(job.name.clone(), (off, job.entry.version));
        self.reschedule(&mut state);
        let why = match off {
            Off::Disabled => "disabled by its configuration (exit 12)",
            Off::Skipped => "does not apply to this host (exit 13)",
        };
        self.sink.gone(&job.name, why);
        state.tell_waiters(&job.name, Some(Awaited::Off(off)));
    }

    fn swept(&self, state: &mut State, killed: usize, thorough: bool) {
        let (now, again) = (self.now(), self.family.is_unswept());
        state.counters.escaped += killed as u64;
        // What was found may not be all, or other runs may be in the way; if there was nothing, the
        // next run's end may sweep at once.
        state.sweep_from = if again { now + SWEEP_AGAIN } else { now };
        if thorough || !again {
            state.sweep_by = now + SWEEP_EVERY;
        }
    }
}

impl State {
    pub(super) fn new(settings: Settings) -> State {
        State {
            schedule: Schedule::default(),
            catalog: Catalog::default(),
            settings: Arc::new(settings),
            off: HashMap::new(),
            last: HashMap::new(),
            asked: VecDeque::new(),
            awaited: Vec::new(),
            undead: Vec::new(),
            undead_checked: Duration::ZERO,
            with_state_folder: HashSet::new(),
            counters: Counters::default(),
            lead: None,
            sweep_by: SWEEP_EVERY,
            sweep_from: Duration::ZERO,
            stopping: false,
            threads: 0,
            next_turn: 0,
        }
    }

    fn take_asked(&mut self) -> Option<ProbeName> {
        let State { asked, schedule, .. } = self;
        asked.retain(|name| schedule.contains(name));
        let index = asked.iter().position(|name| schedule.take_now(name))?;
        asked.remove(index)
    }

    /// Tells those who wait for the run of this probe; `None`: that there is nothing to tell.
    fn tell_waiters(&mut self, name: &ProbeName, what: Option<Awaited>) {
        let done = |waiter: &mut Waiter| waiter.started && waiter.probe == *name;
        for waiter in self.awaited.extract_if(.., done) {
            if let Some(what) = what {
                // They may not wait any more.
                let _ = waiter.tell.send(what);
            }
        }
    }

    /// Forgets the processes that died at last; returns whose they were.
    fn bury(&mut self, family: &Family) -> Vec<ProbeName> {
        let mut buried = Vec::new();
        self.undead.retain_mut(|(name, undead)| {
            let gone = undead.is_gone(family);
            if gone {
                buried.push(name.clone());
            }
            !gone
        });
        buried
    }
}
