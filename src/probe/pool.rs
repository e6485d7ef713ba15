//! The threads that run probes, over and over.
//!
//! A run belongs to one thread from start to end. Of the idle threads one, the leader, sleeps until the
//! next probe is due; it runs that probe itself and hands the lead on only if the run is not done
//! quickly, so that a quick probe costs three wake-ups in all. The number of threads is the number of
//! probes that may run at once.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rustix::process::Signal;

use super::{
    answer::{self, About, Answer},
    catalog::{Catalog, Entry, Version},
    environment::Environment,
    orphans::Family,
    run::{self, Ended, Order, Over, TERM_GRACE, Undead},
    schedule::Schedule,
};
use crate::{
    config::Config,
    tree::{ProbeName, ProbeResult},
};

/// Runs asked for out of turn that may wait; more are refused.
pub const MAX_ASKED: usize = 100;
/// A probe due sooner than this is not left to a leader that is about to run another one.
const SOON: Duration = Duration::from_millis(100);
/// How often the process table is searched for what escaped while probes run all the time.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// Wait before looking again for what was just killed.
const SWEEP_AGAIN: Duration = Duration::from_secs(1);
/// Between looks whether all runs have ended, at the stop.
const STOP_POLL: Duration = Duration::from_millis(5);
/// Folder for the states of probes, beside the database.
const STATE_FOLDER: &str = "probe-state";
/// Wait before looking again for a process that did not die.
const UNDEAD_CHECK: Duration = Duration::from_secs(1);

/// What the pool tells: a source's side of the hub.
pub trait Sink: Send + Sync + 'static {
    /// A run ended: everything it reported. `complete` is false if it failed, so that services it did
    /// not mention are unknown rather than gone.
    fn ran(&self, probe: &ProbeName, results: Vec<ProbeResult>, complete: bool);
    /// A probe will not run any more, and why.
    fn gone(&self, probe: &ProbeName, why: &str);
}

/// What is set from outside and may change while running.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub environment: Environment,
    /// Time limits in seconds, by name; only ever shorter than interval − 1.
    pub timeouts: BTreeMap<String, u32>,
}

impl Settings {
    /// What the configuration says about probes.
    pub fn of(config: &Config) -> Settings {
        let global = &config.global;
        let beside = global.database.parent().map(PathBuf::from).unwrap_or_default();
        Settings {
            environment: Environment {
                config_root: global.probes_config_directory.clone(),
                state_root: beside.join(STATE_FOLDER),
                extra: config.probes.environment.clone(),
            },
            timeouts: config.probe_timeouts.clone(),
        }
    }

    /// How long a probe may run: interval − 1 s, or less if configured.
    pub fn limit(&self, name: &ProbeName, interval: u32) -> Duration {
        let limit = self.timeouts.get(name.as_str()).copied().unwrap_or(u32::MAX);
        Duration::from_secs(u64::from(limit.min(interval.saturating_sub(1)).max(1)))
    }
}

/// How a probe's last run went.
#[derive(Clone, Debug)]
pub struct LastRun {
    pub ended: Timestamp,
    pub took: Duration,
    pub cpu: Duration,
    /// Bytes.
    pub peak_memory: u64,
    pub dialect: answer::Dialect,
}

/// Why a probe is not run although it lies in an interval folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Off {
    /// It ended with 12.
    Disabled,
    /// It ended with 13.
    Skipped,
}

/// A probe as `wigo probe list` shows it.
#[derive(Clone, Debug)]
pub struct Scheduled {
    pub name: ProbeName,
    pub entry: Entry,
    pub off: Option<Off>,
    pub next: Option<Timestamp>,
    pub last: Option<LastRun>,
    pub skipped_runs: u64,
}

/// Everything about the schedule at one moment.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    pub probes: Vec<Scheduled>,
    pub catalog: Catalog,
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    pub runs: u64,
    pub timeouts: u64,
    /// Points of a rhythm that passed without a run.
    pub skipped: u64,
    /// Latest start since the counters were last taken.
    pub worst_late: Duration,
    /// Processes that outlived their probe and were killed.
    pub escaped: u64,
    /// Probes that run now.
    pub running: usize,
    /// Processes that do not die of SIGKILL.
    pub undead: usize,
}

/// A run that cannot be had now.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("there is no probe `{0}` in an interval folder")]
    Unknown(ProbeName),
    #[error("{MAX_ASKED} runs wait already: try again later")]
    Full,
}

struct State {
    schedule: Schedule,
    catalog: Catalog,
    settings: Arc<Settings>,
    off: HashMap<ProbeName, (Off, Option<Version>)>,
    last: HashMap<ProbeName, LastRun>,
    asked: VecDeque<ProbeName>,
    undead: Vec<(ProbeName, Undead)>,
    undead_checked: Duration,
    with_state_folder: HashSet<ProbeName>,
    counters: Counters,
    has_leader: bool,
    /// When a sweep is due at the latest, and at the earliest.
    sweep_by: Duration,
    sweep_from: Duration,
    stopping: bool,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    began: Instant,
    seed: u64,
    family: Family,
    sink: Box<dyn Sink>,
}

/// The threads, and the handle to them.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What a thread does next.
enum Task {
    Run { name: ProbeName, entry: Entry, settings: Arc<Settings> },
    Sweep { thorough: bool },
    Stop,
}

impl Pool {
    /// Starts `threads` threads. `seed` tells hosts apart in the opening spread.
    pub fn start(
        threads: usize,
        seed: u64,
        settings: Settings,
        sink: Box<dyn Sink>,
    ) -> std::io::Result<Pool> {
        let state = State {
            schedule: Schedule::default(),
            catalog: Catalog::default(),
            settings: Arc::new(settings),
            off: HashMap::new(),
            last: HashMap::new(),
            asked: VecDeque::new(),
            undead: Vec::new(),
            undead_checked: Duration::ZERO,
            with_state_folder: HashSet::new(),
            counters: Counters::default(),
            has_leader: false,
            sweep_by: SWEEP_EVERY,
            sweep_from: Duration::ZERO,
            stopping: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            wake: Condvar::new(),
            began: Instant::now(),
            seed,
            family: Family::new(),
            sink,
        });
        let spawn = |number: usize| {
            let shared = shared.clone();
            let name = format!("probe-{number}");
            std::thread::Builder::new().name(name).spawn(move || shared.work())
        };
        let threads = (0..threads.max(1)).map(spawn).collect::<Result<_, _>>()?;
        Ok(Pool { shared, threads: Mutex::new(threads) })
    }

    /// Takes over what was found on disk. Probes that are not there any more are reported as gone.
    pub fn set_catalog(&self, catalog: Catalog) {
        let mut state = self.shared.state();
        let before = std::mem::replace(&mut state.catalog, catalog);
        let gone: Vec<ProbeName> = before
            .entries
            .into_keys()
            .filter(|name| !state.catalog.entries.contains_key(name))
            .collect();
        let State { off, catalog, .. } = &mut *state;
        // A probe that was switched off gets another chance when its file changes.
        off.retain(|name, (_, version)| {
            catalog.entries.get(name).is_some_and(|entry| entry.version == *version)
        });
        self.shared.reschedule(&mut state);
        for name in gone {
            state.last.remove(&name);
            self.shared.sink.gone(&name, "removed");
        }
        drop(state);
        self.shared.wake.notify_all();
    }

    /// Other settings from the next run on. Probes that switched themselves off get another chance,
    /// since their configuration may have changed too.
    pub fn set_settings(&self, settings: Settings) {
        let mut state = self.shared.state();
        state.settings = Arc::new(settings);
        state.with_state_folder.clear();
        state.off.clear();
        self.shared.reschedule(&mut state);
        drop(state);
        self.shared.wake.notify_all();
    }

    /// Runs a probe as soon as a thread is free, out of turn; its rhythm stays as it is.
    pub fn run_now(&self, name: &ProbeName) -> Result<(), Refusal> {
        let mut state = self.shared.state();
        if !state.schedule.contains(name) {
            return Err(Refusal::Unknown(name.clone()));
        }
        if state.asked.len() >= MAX_ASKED {
            return Err(Refusal::Full);
        }
        state.asked.push_back(name.clone());
        drop(state);
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Wakes a thread if all that could take the next run are stuck with another one. Called regularly
    /// by somebody who cannot be stuck.
    pub fn nudge(&self) {
        let state = self.shared.state();
        let due = state.schedule.next().is_some_and(|due| due < self.shared.now());
        if due && !state.has_leader {
            drop(state);
            self.shared.wake.notify_one();
        }
    }

    /// The counters; the worst lateness starts again from zero.
    pub fn take_counters(&self) -> Counters {
        let mut state = self.shared.state();
        let mut counters = state.counters;
        counters.undead = state.undead.len();
        counters.skipped = state.schedule.skipped();
        state.counters.worst_late = Duration::ZERO;
        counters
    }

    /// The schedule as it is now.
    pub fn overview(&self) -> Overview {
        let state = self.shared.state();
        let (now, wall) = (self.shared.now(), Timestamp::now());
        let probes = state.catalog.entries.iter().map(|(name, entry)| {
            let slot = state.schedule.of(name);
            Scheduled {
                name: name.clone(),
                entry: entry.clone(),
                off: state.off.get(name).map(|(off, _)| *off),
                next: slot.and_then(|(due, _)| wall.checked_add(due.saturating_sub(now)).ok()),
                last: state.last.get(name).cloned(),
                skipped_runs: slot.map_or(0, |(_, skipped)| skipped),
            }
        });
        Overview { probes: probes.collect(), catalog: state.catalog.clone() }
    }

    /// Ends all runs and threads; returns when they are gone. A run that is going on is asked to end,
    /// then killed, and not reported.
    pub fn stop(&self) {
        self.shared.state().stopping = true;
        self.shared.wake.notify_all();
        self.shared.family.signal_all(Signal::TERM);
        let asked = Instant::now();
        while self.shared.state().counters.running > 0 && asked.elapsed() < TERM_GRACE {
            std::thread::sleep(STOP_POLL);
        }
        self.shared.family.signal_all(Signal::KILL);
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            let _ = thread.join();
        }
        self.shared.family.sweep(true);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn reschedule(&self, state: &mut State) {
        let State { schedule, catalog, off, .. } = state;
        let active = catalog
            .entries
            .iter()
            .filter(|(name, _)| !off.contains_key(*name))
            .map(|(name, entry)| (name, Duration::from_secs(entry.interval.into())));
        schedule.set(active, self.seed, self.now());
    }

    fn work(&self) {
        loop {
            match self.next_task() {
                Task::Stop => return,
                Task::Sweep { thorough } => {
                    let killed = self.family.sweep(thorough);
                    self.state().swept(killed, self.now());
                }
                Task::Run { name, entry, settings } => {
                    self.run(&name, &entry, &settings);
                    let mut state = self.state();
                    state.counters.running -= 1;
                    // Never a second copy while the first is not dead.
                    if state.undead.iter().all(|(undead, _)| *undead != name) {
                        state.schedule.finished(&name, self.now());
                    }
                }
            }
        }
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
            if state.has_leader {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let sweep = self.family.is_unswept().then_some(match state.counters.running {
                0 => state.sweep_from,
                _ => state.sweep_by,
            });
            let undead = (!state.undead.is_empty()).then(|| state.undead_checked + UNDEAD_CHECK);
            let until = state.schedule.next().into_iter().chain(sweep).chain(undead).min();
            let pause = until.map_or(SWEEP_EVERY * 6, |until| until.saturating_sub(now));
            state.has_leader = true;
            let waited = self.wake.wait_timeout(state, pause);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.has_leader = false;
        }
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
                (state.sweep_from, state.sweep_by) = (now + SWEEP_AGAIN, now + SWEEP_EVERY);
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
        // Somebody else must wait for what comes next if that is soon.
        if !state.asked.is_empty() || state.schedule.next().is_some_and(|next| next < now + SOON) {
            self.wake.notify_one();
        }
        Some(Task::Run { name, entry, settings: state.settings.clone() })
    }

    fn run(&self, name: &ProbeName, entry: &Entry, settings: &Settings) {
        let about = |date| About { name, interval: entry.interval, date };
        let checked = match &entry.refused {
            Some(why) => Err(why.clone()),
            None => Version::check(&entry.path),
        };
        if let Err(why) = checked {
            let answer = answer::refused(&about(Timestamp::now()), &why);
            return self.tell(name, answer, None, entry);
        }
        self.make_state_folder(name, settings);
        let order = Order {
            program: entry.path.clone(),
            environment: settings.environment.of(name, entry.interval),
            limit: settings.limit(name, entry.interval),
        };
        let tell = |ended: Ended| {
            let answer = answer::understand(&about(Timestamp::now()), &order.program, &ended);
            self.tell(name, answer, Some(&ended), entry);
        };
        match run::run(&order, &self.family, || self.wake.notify_one(), tell) {
            Over::Ended(ended) => tell(ended),
            Over::Killed(undead) => {
                // A run that had to be killed is the likeliest to have left something behind.
                let killed = self.family.sweep(true);
                let mut state = self.state();
                state.counters.timeouts += 1;
                state.swept(killed, self.now());
                state.undead.extend(undead.map(|undead| (name.clone(), undead)));
            }
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

    /// Hands on what a run said.
    fn tell(&self, name: &ProbeName, answer: Answer, ended: Option<&Ended>, entry: &Entry) {
        let off = match answer {
            Answer::Disabled => Off::Disabled,
            Answer::Skipped => Off::Skipped,
            Answer::Results { dialect, results, .. } => {
                // Held while the hub is told, so that nothing is said after the probe is gone.
                let mut state = self.state();
                if state.stopping || !state.catalog.entries.contains_key(name) {
                    return;
                }
                if let (Some(ended), Some(result)) = (ended, results.first()) {
                    let last = LastRun {
                        ended: result.date,
                        took: ended.took,
                        cpu: ended.cpu,
                        peak_memory: ended.peak_memory,
                        dialect,
                    };
                    state.last.insert(name.clone(), last);
                }
                let complete = dialect != answer::Dialect::Failure;
                return self.sink.ran(name, results, complete);
            }
        };
        let mut state = self.state();
        state.off.insert(name.clone(), (off, entry.version));
        self.reschedule(&mut state);
        let why = match off {
            Off::Disabled => "disabled by its configuration (exit 12)",
            Off::Skipped => "does not apply to this host (exit 13)",
        };
        self.sink.gone(name, why);
    }
}

impl State {
    fn swept(&mut self, killed: usize, now: Duration) {
        self.counters.escaped += killed as u64;
        // What was found may not be all; when nothing was, the next run's end may sweep at once.
        self.sweep_from = if killed > 0 { now + SWEEP_AGAIN } else { now };
    }

    fn take_asked(&mut self) -> Option<ProbeName> {
        let State { asked, schedule, .. } = self;
        asked.retain(|name| schedule.contains(name));
        let index = asked.iter().position(|name| schedule.take_now(name))?;
        asked.remove(index)
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

#[cfg(test)]
mod tests;
