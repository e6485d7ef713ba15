//! What escapes a probe: processes that left its group, found by whom they belong to, killed, reaped.
//!
//! The agent is made the reaper of its descendants, so whatever loses its parent becomes our child. A
//! run is known by a marker in the environment of everything it started, which survives `setsid` and
//! double forks. Nothing that belongs to a run which is still going on is touched, and no child in our
//! own process group, which is where children of other code are: code that starts processes in groups
//! of their own has to do so as a run.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions, getpgrp, getpid,
    kill_process_group, pidfd_open, pidfd_send_signal, set_child_subreaper, waitid, waitpid,
};

mod table;

use table::Process;

/// How often one sweep looks for what was started while it killed the rest.
const PASSES: u32 = 10;

/// One run, unique within this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunId(u64);

impl RunId {
    /// The variable that marks everything a run started.
    pub const VARIABLE: &'static str = "WIGO_PROBE_RUN";
}

#[derive(Debug)]
struct Run {
    /// Which family it belongs to.
    family: u64,
    /// When it began, in clock ticks since the machine started, as in `/proc/<pid>/stat`.
    began: u64,
    /// The leader of its group; `None` until it is started.
    leader: Option<Pid>,
    /// It was killed and does not die: nothing of it is spared any more.
    given_up: bool,
}

/// The runs that are going on in this process. Children belong to a process as a whole, so two agents
/// in one process must know of each other's.
static RUNS: LazyLock<Mutex<HashMap<RunId, Run>>> = LazyLock::new(Mutex::default);
/// What sweeps have killed and may not be gone yet. Held during a sweep: there is one at a time.
static KILLED: LazyLock<Mutex<HashSet<(Pid, u64)>>> = LazyLock::new(Mutex::default);
static NEXT_RUN: AtomicU64 = AtomicU64::new(0);
static NEXT_FAMILY: AtomicU64 = AtomicU64::new(0);

fn runs() -> MutexGuard<'static, HashMap<RunId, Run>> {
    RUNS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The runs of one agent, and the duty to clear up after those that ended.
#[derive(Debug)]
pub struct Family {
    id: u64,
    /// Something may have been left behind since the last sweep.
    unswept: AtomicBool,
    /// What is started from now on is killed at once. Changed and read while [`RUNS`] is locked.
    closed: AtomicBool,
}

impl Default for Family {
    fn default() -> Family {
        Family::new()
    }
}

impl Family {
    /// Makes this process the reaper of its descendants.
    pub fn new() -> Family {
        // Refused only by kernels older than 3.4: then what escapes is init's to reap.
        let _ = set_child_subreaper(Some(getpid()));
        let id = NEXT_FAMILY.fetch_add(1, Ordering::Relaxed);
        Family { id, unswept: AtomicBool::new(false), closed: AtomicBool::new(false) }
    }

    /// A run is about to be started.
    pub(crate) fn starting(&self) -> RunId {
        let id = RunId(NEXT_RUN.fetch_add(1, Ordering::Relaxed));
        let began = table::ticks_since_boot();
        runs().insert(id, Run { family: self.id, began, leader: None, given_up: false });
        id
    }

    /// The run was started with this process as leader of its group.
    pub(crate) fn started(&self, id: RunId, leader: Pid) {
        let mut runs = runs();
        if let Some(run) = runs.get_mut(&id) {
            run.leader = Some(leader);
        }
        if self.closed.load(Ordering::Relaxed) {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }

    /// The run is over, or never began.
    pub(crate) fn ended(&self, id: RunId) {
        runs().remove(&id);
        self.unswept.store(true, Ordering::Release);
    }

    /// The run is over: reaps its dead leader by `reap` and forgets it in one step, so that nobody
    /// signals who gets its number next.
    pub(crate) fn reap<T>(&self, id: RunId, reap: impl FnOnce() -> T) -> T {
        let mut runs = runs();
        let reaped = reap();
        runs.remove(&id);
        drop(runs);
        self.unswept.store(true, Ordering::Release);
        reaped
    }

    /// As [`reap`](Self::reap), for a leader that may not be dead yet: `reap` tells.
    pub(super) fn try_reap(&self, id: RunId, reap: impl FnOnce() -> bool) -> bool {
        let mut runs = runs();
        let gone = reap();
        if gone {
            runs.remove(&id);
            self.unswept.store(true, Ordering::Release);
        }
        gone
    }

    /// The run was killed and its leader does not die: the rest of it is swept away nevertheless.
    pub(crate) fn give_up(&self, id: RunId) {
        if let Some(run) = runs().get_mut(&id) {
            run.given_up = true;
        }
        self.unswept.store(true, Ordering::Release);
    }

    /// Signals the groups of all runs of this family; those who run them reap. What is started from
    /// now on is killed as soon as it is known.
    pub(super) fn close(&self, signal: Signal) {
        let runs = runs();
        self.closed.store(true, Ordering::Relaxed);
        let ours = runs.values().filter(|run| run.family == self.id);
        for leader in ours.filter_map(|run| run.leader) {
            let _ = kill_process_group(leader, signal);
        }
    }

    /// Kills all runs of this family and what they left behind.
    pub fn end(&self) {
        self.close(Signal::KILL);
        self.sweep(true);
    }

    /// What the environment of everything that this run starts contains.
    pub(crate) fn marker(&self, id: RunId) -> String {
        marker(id)
    }

    /// Whether a sweep is due.
    pub fn is_unswept(&self) -> bool {
        self.unswept.load(Ordering::Acquire)
    }

    /// Kills and reaps what runs that ended left behind. Returns how many processes were killed.
    ///
    /// Costs one system call when no run is going on and nothing was left. Otherwise `thorough`
    /// decides whether the process table is read at once or the sweep stays due.
    pub fn sweep(&self, thorough: bool) -> usize {
        // Before looking: a run that ends while we look makes the next sweep due.
        self.unswept.store(false, Ordering::Release);
        let idle = runs().is_empty();
        if idle && !has_children() {
            return 0;
        }
        if !idle && !thorough {
            self.unswept.store(true, Ordering::Release);
            return 0;
        }
        let mut known = KILLED.lock().unwrap_or_else(PoisonError::into_inner);
        let mut killed = 0;
        for _ in 0..PASSES {
            let found = pass(&mut known);
            killed += found;
            if found == 0 {
                break;
            }
        }
        if killed > 0 {
            // They are zombies in a moment; the next sweep takes them.
            self.unswept.store(true, Ordering::Release);
        }
        killed
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        // Processes that never died have nobody left who asks for them.
        runs().retain(|_, run| run.family != self.id);
    }
}

/// Looks at everything below us once. Returns how many were killed that no pass had killed before.
fn pass(known: &mut HashSet<(Pid, u64)>) -> usize {
    let me = getpid();
    let mut by_parent: HashMap<Pid, Vec<Process>> = HashMap::new();
    let mut alive = HashSet::new();
    for process in table::processes() {
        alive.insert(process.identity());
        by_parent.entry(process.parent).or_default().push(process);
    }
    known.retain(|identity| alive.contains(identity));
    let mut killed = 0;
    let mut next: Vec<(Process, bool)> = Vec::new();
    let mut children = |parent: Pid, doomed: bool| {
        by_parent.remove(&parent).unwrap_or_default().into_iter().map(move |child| (child, doomed))
    };
    next.extend(children(me, false));
    while let Some((process, parent_doomed)) = next.pop() {
        if process.is_zombie {
            if process.parent == me {
                reap_zombie(&process);
            }
            continue;
        }
        let doomed = is_doomed(&process, process.parent == me, parent_doomed);
        if doomed && !known.contains(&process.identity()) && kill(&process) {
            known.insert(process.identity());
            killed += 1;
        }
        next.extend(children(process.pid, doomed));
    }
    killed
}

/// Whether a process was left behind by a run that ended. Without a marker (its environment was made
/// anew) a process shares its parent's fate; a child of ours was left behind unless it may belong to
/// a run which is going on or to other code.
fn is_doomed(process: &Process, is_child: bool, parent_doomed: bool) -> bool {
    let runs = runs();
    let mut active = runs.iter().filter(|(_, run)| !run.given_up);
    if runs.values().any(|run| run.leader == Some(process.pid)) {
        return false;
    }
    if let Some(found) = table::marker_of(process.pid).filter(|found| is_ours(found)) {
        return !active.any(|(id, _)| marker(*id) == found);
    }
    match is_child {
        false => parent_doomed,
        true => {
            process.group != getpgrp()
                && active
                    .all(|(_, run)| run.leader != Some(process.group) && process.began < run.began)
        }
    }
}

/// Reaps a child of ours that nobody else waits for.
fn reap_zombie(process: &Process) {
    let runs = runs();
    // A run that is just being started has a child that we do not know yet.
    let awaited = runs.values().any(|run| match run.leader {
        Some(leader) => leader == process.pid,
        None => process.began >= run.began,
    });
    if !awaited && process.group != getpgrp() {
        let _ = waitpid(Some(process.pid), WaitOptions::NOHANG);
    }
}

/// Kills this process and no other that got its number since; true if it was alive.
fn kill(process: &Process) -> bool {
    let Ok(pidfd) = pidfd_open(process.pid, PidfdFlags::empty()) else { return false };
    let is_same = table::process(process.pid)
        .is_some_and(|now| now.identity() == process.identity() && !now.is_zombie);
    is_same && pidfd_send_signal(pidfd, Signal::KILL).is_ok()
}

fn marker(id: RunId) -> String {
    format!("{}{}", marker_prefix(), id.0)
}

fn marker_prefix() -> String {
    format!("{}-", getpid().as_raw_nonzero())
}

/// Whether a marker was made by this process, and not by an agent that we are ourselves a probe of.
fn is_ours(marker: &str) -> bool {
    marker.starts_with(&marker_prefix())
}

/// Whether this process has any child at all, running or waiting to be reaped.
fn has_children() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::All, options), Err(rustix::io::Errno::CHILD))
}

#[cfg(test)]
mod tests;
