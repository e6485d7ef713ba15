//! How many files may be open: many for the agent, what is usual for its probes.

use std::sync::OnceLock;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

/// The soft limit of open files that this process was started with, if it was raised since.
static FILE_LIMIT_OF_PROBES: OnceLock<Rlimit> = OnceLock::new();

/// Raises the limit of open files for ourselves; probes keep the one they would have had, since some
/// programs walk through all descriptors that they may have.
pub fn raise_file_limit(wanted: u64) {
    let before = rustix::process::getrlimit(Resource::Nofile);
    let target = before.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    if before.current.is_some_and(|current| current < target)
        && rustix::process::setrlimit(
            Resource::Nofile,
            Rlimit { current: Some(target), maximum: before.maximum },
        )
        .is_ok()
    {
        let _ = FILE_LIMIT_OF_PROBES.set(before);
    }
}

/// Gives a probe that was just started the limit that it would have had.
pub(super) fn restore_file_limit(pid: Pid) {
    if let Some(limit) = FILE_LIMIT_OF_PROBES.get() {
        let _ = prlimit(Some(pid), Resource::Nofile, *limit);
    }
}
