//! The process table, as far as it matters for finding what escaped a probe.

use std::fs;

use rustix::process::Pid;

use super::RunId;

/// A process at the moment when it was looked at.
pub(super) struct Process {
    pub(super) pid: Pid,
    pub(super) parent: Pid,
    pub(super) group: Pid,
    pub(super) is_zombie: bool,
    /// When it was started, in clock ticks since the machine started.
    pub(super) began: u64,
}

impl Process {
    /// What tells it from others that have the same number before or after it.
    pub(super) fn identity(&self) -> (Pid, u64) {
        (self.pid, self.began)
    }
}

/// All processes that have a parent.
pub(super) fn processes() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| process(Pid::from_raw(pid)?))
}

/// One process, if there is one of this number.
pub(super) fn process(pid: Pid) -> Option<Process> {
    // Bytes, since the name may be anything.
    let stat = fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    parse(pid, &String::from_utf8_lossy(&stat))
}

/// Reads a line of `/proc/<pid>/stat`.
fn parse(pid: Pid, stat: &str) -> Option<Process> {
    // The name, in parentheses, may hold anything, a parenthesis too: fields count from the last one.
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_whitespace().collect();
    let number = |index: usize| Pid::from_raw(fields.get(index)?.parse().ok()?);
    Some(Process {
        pid,
        parent: number(1)?,
        group: number(2)?,
        // One whose first thread has ended looks like a zombie, and the others live on.
        is_zombie: matches!(fields.first(), Some(&"Z" | &"X"))
            && !fields.get(17)?.parse::<u32>().is_ok_and(|threads| threads > 1),
        began: fields.get(19)?.parse().ok()?,
    })
}

/// The run that a process belongs to, if it says so.
pub(super) fn marker_of(pid: Pid) -> Option<String> {
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).ok()?;
    let prefix = format!("{}=", RunId::VARIABLE);
    let entry =
        environment.split(|byte| *byte == 0).find(|entry| entry.starts_with(prefix.as_bytes()))?;
    Some(String::from_utf8_lossy(&entry[prefix.len()..]).into_owned())
}

/// Time since the machine started in the unit of `/proc/<pid>/stat`: 1/100 s on every Linux that exists.
pub(super) fn ticks_since_boot() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec as u64 * 100 + now.tv_nsec as u64 / 10_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let rest = "S 7 8 8 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0";
        for name in ["sh", "a) Z 1 1 (b", "\u{fffd} \n"] {
            let pid = Pid::from_raw(9).unwrap();
            let process = parse(pid, &format!("9 ({name}) {rest}")).unwrap();
            assert_eq!((process.parent.as_raw_nonzero().get(), process.began), (7, 4242), "{name}");
            assert_eq!(process.group.as_raw_nonzero().get(), 8);
            assert!(!process.is_zombie);
        }
        assert!(parse(Pid::from_raw(9).unwrap(), "9 (sh").is_none());
    }

    #[test]
    fn this_process_is_in_the_table() {
        let me = rustix::process::getpid();
        let found = processes().find(|process| process.pid == me).unwrap();
        assert_eq!(Some(found.parent), rustix::process::getppid());
        assert!(found.began <= ticks_since_boot());
    }
}
