//! What escapes a probe: processes that left its group, found by whom they belong to, killed, reaped.
//!
//! The agent is made the reaper of its descendants, so whatever loses its parent becomes our child. A
//! run is known by a marker in the environment of everything it started, which survives `setsid` and
//! double forks. Nothing that belongs to a run which is still going on is touched.

use std::{
    collections::HashMap,
    fs,
    sync::{
        LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, getpgrp, getpid, kill_process,
    kill_process_group, set_child_subreaper, waitid, waitpid,
};

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
}

/// The runs that are going on in this process. Children belong to a process as a whole, so two agents
/// in one process must know of each other's.
static RUNS: LazyLock<Mutex<HashMap<RunId, Run>>> = LazyLock::new(Mutex::default);
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
        Family { id, unswept: AtomicBool::new(false) }
    }

    /// A run is about to be started.
    pub(super) fn starting(&self) -> RunId {
        let id = RunId(NEXT_RUN.fetch_add(1, Ordering::Relaxed));
        let run = Run { family: self.id, began: ticks_since_boot(), leader: None };
        runs().insert(id, run);
        id
    }

    /// The run was started with this process as leader of its group.
    pub(super) fn started(&self, id: RunId, leader: Pid) {
        if let Some(run) = runs().get_mut(&id) {
            run.leader = Some(leader);
        }
    }

    /// The run is over and its leader reaped.
    pub(super) fn ended(&self, id: RunId) {
        runs().remove(&id);
        self.unswept.store(true, Ordering::Release);
    }

    /// Signals the groups of all runs of this family; those who run them reap.
    pub(super) fn signal_all(&self, signal: Signal) {
        let runs = runs();
        let ours = runs.values().filter(|run| run.family == self.id);
        for leader in ours.filter_map(|run| run.leader) {
            let _ = kill_process_group(leader, signal);
        }
    }

    /// What the environment of everything that this run starts contains.
    pub(super) fn marker(&self, id: RunId) -> String {
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
        if runs().is_empty() && !has_children() {
            self.unswept.store(false, Ordering::Release);
            return 0;
        }
        if !thorough && !runs().is_empty() {
            return 0;
        }
        self.unswept.store(false, Ordering::Release);
        let killed = children_in_process_table().into_iter().filter(clear).count();
        if killed > 0 {
            // They are zombies in a moment; the next sweep takes them.
            self.unswept.store(true, Ordering::Release);
        }
        killed
    }
}

/// Deals with one child of ours; true if it had to be killed.
fn clear(child: &ChildStat) -> bool {
    let runs = runs();
    let is_leader = runs.values().any(|run| run.leader == Some(child.pid));
    // What escapes a probe is in a group of its own. In ours are children that other code waits for.
    if is_leader || child.group == getpgrp() {
        return false;
    }
    let began_before = |run: &Run| child.began < run.began;
    if child.is_zombie {
        // A run that is just being started has a child that we do not know yet: not ours to reap.
        if runs.values().filter(|run| run.leader.is_none()).all(began_before) {
            let _ = waitpid(Some(child.pid), WaitOptions::NOHANG);
        }
        return false;
    }
    let of_active_group = runs.values().any(|run| run.leader == Some(child.group));
    let active = match marker_of(child.pid) {
        Some(found) => runs.keys().any(|id| marker(*id) == found),
        None => !runs.values().all(began_before),
    };
    if of_active_group || active {
        return false;
    }
    kill_process(child.pid, Signal::KILL).is_ok()
}

fn marker(id: RunId) -> String {
    format!("{}-{}", getpid().as_raw_nonzero(), id.0)
}

/// Whether this process has any child at all, running or waiting to be reaped.
fn has_children() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::All, options), Err(rustix::io::Errno::CHILD))
}

struct ChildStat {
    pid: Pid,
    group: Pid,
    is_zombie: bool,
    began: u64,
}

fn children_in_process_table() -> Vec<ChildStat> {
    let me = getpid();
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, may hold anything, a parenthesis too: fields count from the last one.
        let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<i32>().ok();
        if Pid::from_raw(number(1)?) != Some(me) {
            return None;
        }
        Some(ChildStat {
            pid: Pid::from_raw(pid)?,
            group: Pid::from_raw(number(2)?)?,
            is_zombie: fields.first() == Some(&"Z"),
            began: fields.get(19)?.parse().ok()?,
        })
    })
    .collect()
}

/// The run that a process belongs to, if it says so.
fn marker_of(pid: Pid) -> Option<String> {
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).ok()?;
    let prefix = format!("{}=", RunId::VARIABLE);
    let entry =
        environment.split(|byte| *byte == 0).find(|entry| entry.starts_with(prefix.as_bytes()))?;
    Some(String::from_utf8_lossy(&entry[prefix.len()..]).into_owned())
}

/// Time since the machine started in the unit of `/proc/<pid>/stat`: 1/100 s on every Linux that exists.
fn ticks_since_boot() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec as u64 * 100 + now.tv_nsec as u64 / 10_000_000
}
