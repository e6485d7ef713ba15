//! The threads that run probes, over and over.
//!
//! A run belongs to one thread from start to end. Of the idle threads one, the leader, sleeps until the
//! next probe is due; it runs that probe itself and hands the lead on only if the run is not done
//! quickly, so that a quick probe costs three wake-ups in all. The number of threads is the number of
//! probes that may run at once. What they do is in [`work`]; this is the handle to them.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use jiff::Timestamp;
use rustix::process::Signal;

use super::{
    answer,
    catalog::{Catalog, Entry},
    environment::Environment,
    run::TERM_GRACE,
};
use crate::{
    config::Config,
    tree::{ProbeName, ProbeResult},
};

mod work;

use tokio::sync::oneshot;
use work::{Shared, State};

/// Runs asked for out of turn that may wait; more are refused.
pub const MAX_ASKED: usize = 100;
/// Who wait for the end of a run; more are refused.
pub const MAX_AWAITED: usize = 100;
/// How long the stop waits for threads after SIGKILL; one that is stuck in starting a program from a dead
/// file system may never end.
const STOP_LIMIT: Duration = Duration::from_secs(3);
/// Folder for the states of probes, beside the database.
const STATE_FOLDER: &str = "probe-state";

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

/// What came of a run that somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// It said something, which the sink has by now.
    Said,
    /// The probe says that it is switched off.
    Off(Off),
}

/// A run that cannot be had now.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("there is no probe `{0}` in an interval folder")]
    Unknown(ProbeName),
    #[error(
        "the probe `{0}` switched itself off (exit 12 or 13): change its file or reload the \
         configuration"
    )]
    Off(ProbeName),
    #[error("{MAX_ASKED} runs wait already: try again later")]
    Full,
}

/// The threads, and the handle to them.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Pool {
    /// Starts `threads` threads. `seed` tells hosts apart in the opening spread.
    pub fn start(
        threads: usize,
        seed: u64,
        settings: Settings,
        sink: Box<dyn Sink>,
    ) -> std::io::Result<Pool> {
        let threads = threads.max(1);
        let shared = Arc::new(Shared::new(State::new(settings), seed, sink));
        let spawn = |number: usize| {
            let shared = shared.clone();
            let name = format!("probe-{number}");
            std::thread::Builder::new().name(name).spawn(move || shared.work())
        };
        let pool = Pool { shared: shared.clone(), threads: Mutex::default() };
        for number in 0..threads {
            match spawn(number) {
                Ok(thread) => pool.threads().push(thread),
                Err(error) => {
                    pool.stop();
                    return Err(error);
                }
            }
        }
        Ok(pool)
    }

    /// Takes over what was found on disk. Probes that are not there any more are reported as gone; one
    /// whose file was changed, refused or mended is run at once, so that its result fits what is there.
    pub fn set_catalog(&self, catalog: Catalog) {
        let mut state = self.shared.state();
        let before = std::mem::replace(&mut state.catalog, catalog);
        let State { off, catalog, asked, .. } = &mut *state;
        let mut gone = Vec::new();
        for (name, entry) in before.entries {
            match catalog.entries.get(&name) {
                Some(now) if (&now.refused, now.version) == (&entry.refused, entry.version) => {}
                Some(_) if asked.len() < MAX_ASKED && !asked.contains(&name) => {
                    asked.push_back(name);
                }
                Some(_) => {}
                None => {
                    let not_run = catalog.not_run.iter().find(|other| other.path == entry.path);
                    let why = not_run.map_or("removed", |not_run| not_run.why.as_str());
                    gone.push((name, why.to_owned()));
                }
            }
        }
        // A probe that was switched off gets another chance when its file changes.
        off.retain(|name, (_, version)| {
            catalog.entries.get(name).is_some_and(|entry| entry.version == *version)
        });
        self.shared.reschedule(&mut state);
        for (name, why) in gone {
            state.last.remove(&name);
            self.shared.sink.gone(&name, &why);
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
            return Err(match state.off.contains_key(name) {
                true => Refusal::Off(name.clone()),
                false => Refusal::Unknown(name.clone()),
            });
        }
        if state.asked.contains(name) {
            return Ok(());
        }
        if state.asked.len() >= MAX_ASKED {
            return Err(Refusal::Full);
        }
        state.asked.push_back(name.clone());
        drop(state);
        self.shared.wake.notify_one();
        Ok(())
    }

    /// The same, and tells what comes of the next run that starts after this was called. One that cannot
    /// end any more, since the probe is gone, is not told of.
    pub fn run_and_wait(&self, name: &ProbeName) -> Result<oneshot::Receiver<Awaited>, Refusal> {
        let (waiter, told) = oneshot::channel();
        {
            let mut state = self.shared.state();
            state.awaited.retain(|awaited| !awaited.is_forgotten());
            if state.awaited.len() >= MAX_AWAITED {
                return Err(Refusal::Full);
            }
            state.awaited.push(work::Waiter::new(name.clone(), waiter));
        }
        self.run_now(name).map(|()| told)
    }

    /// Wakes a thread if all that could take the next run are stuck with another one. Called regularly
    /// by somebody who cannot be stuck.
    pub fn nudge(&self) {
        let state = self.shared.state();
        let due = state.schedule.next().is_some_and(|due| due < self.shared.now());
        if due && state.lead.is_none() {
            drop(state);
            self.shared.wake.notify_one();
        }
    }

    /// The counters; the worst lateness starts again from zero.
    pub fn take_counters(&self) -> Counters {
        let mut state = self.shared.state();
        let counters = counters(&state);
        state.counters.worst_late = Duration::ZERO;
        counters
    }

    /// What the catalog says of a probe.
    pub fn entry(&self, name: &ProbeName) -> Option<Entry> {
        self.shared.state().catalog.entries.get(name).cloned()
    }

    /// The counters as they are.
    pub fn counters(&self) -> Counters {
        counters(&self.shared.state())
    }

    /// How many runs asked for out of turn wait, of [`MAX_ASKED`].
    pub fn asked(&self) -> usize {
        self.shared.state().asked.len()
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
    /// then killed, and not reported. A thread that cannot be stopped is left behind.
    pub fn stop(&self) {
        self.shared.state().stopping = true;
        self.shared.wake.notify_all();
        self.shared.family.close(Signal::TERM);
        self.shared.wait_for_end(TERM_GRACE);
        self.shared.family.close(Signal::KILL);
        let stuck = self.shared.wait_for_end(STOP_LIMIT);
        if stuck > 0 {
            tracing::warn!(
                "{stuck} threads that start or end a probe are stuck: is a network file system away?"
            );
        }
        for thread in self.threads().drain(..).filter(|_| stuck == 0) {
            let _ = thread.join();
        }
        self.shared.family.sweep(true);
    }

    fn threads(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn counters(state: &State) -> Counters {
    let (undead, skipped) = (state.undead.len(), state.schedule.skipped());
    Counters { undead, skipped, ..state.counters }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests;
