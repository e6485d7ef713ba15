use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command},
    time::{Duration, Instant},
};

use super::*;

/// A run as `run` makes one, of a shell script.
struct Leader {
    id: RunId,
    child: Child,
}

fn start(family: &Family, script: &str) -> Leader {
    let id = family.starting();
    let child = Command::new("/bin/sh")
        .args(["-c", script])
        .env(RunId::VARIABLE, family.marker(id))
        .process_group(0)
        .spawn()
        .unwrap();
    family.started(id, Pid::from_child(&child));
    Leader { id, child }
}

impl Leader {
    fn end(mut self, family: &Family) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        // It may take a moment to die, which must not be waited for with all runs locked.
        let pidfd = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty()).unwrap();
        let mut fds = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, None).unwrap();
        family.reap(self.id, || self.child.wait()).unwrap();
    }
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn is_there(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn read_pid(path: &Path) -> u32 {
    let mut pid = None;
    wait_until(|| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        pid = text.strip_suffix('\n').and_then(|text| text.parse().ok());
        pid.is_some()
    });
    pid.unwrap()
}

/// A daemon in a session of its own that writes its number to `file`.
fn daemon(file: &Path) -> String {
    format!("setsid sh -c 'echo $$ >{}; exec sleep 1000' & sleep 1000", file.display())
}

#[test]
fn what_escaped_an_ended_run_is_killed_and_what_belongs_to_another_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (Family::new(), Family::new());
    let files = ["ended", "active"].map(|name| folder.path().join(name));
    let ended = start(&first, &daemon(&files[0]));
    let active = start(&second, &daemon(&files[1]));
    let (left, spared) = (read_pid(&files[0]), read_pid(&files[1]));
    let leader = active.child.id();
    ended.end(&first);
    assert!(first.is_unswept());
    wait_until(|| {
        first.sweep(true);
        second.sweep(true);
        !is_there(left)
    });
    assert!(is_there(spared) && is_there(leader));
    active.end(&second);
    wait_until(|| {
        first.sweep(true);
        !is_there(spared)
    });
}

#[test]
fn a_process_is_counted_as_killed_once() {
    let folder = tempfile::tempdir().unwrap();
    let family = Family::new();
    let file = folder.path().join("pid");
    let run = start(&family, &daemon(&file));
    let left = read_pid(&file);
    let process = table::process(Pid::from_raw(left as i32).unwrap()).unwrap();
    run.end(&family);
    wait_until(|| {
        family.sweep(true);
        !is_there(left)
    });
    assert!(!kill(&process), "it is gone");
}

#[test]
fn who_got_the_number_of_a_process_is_not_killed_in_its_place() {
    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    let mut process = table::process(Pid::from_child(&child)).unwrap();
    process.began -= 1;
    assert!(!kill(&process));
    assert!(child.try_wait().unwrap().is_none());
    process.began += 1;
    assert!(kill(&process));
    child.wait().unwrap();
}

#[test]
fn children_of_other_code_are_left_to_it() {
    let family = Family::new();
    let mut alive = Command::new("sleep").arg("1000").spawn().unwrap();
    let mut dead = Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
    let pid = Pid::from_child(&dead);
    wait_until(|| table::process(pid).is_some_and(|process| process.is_zombie));
    start(&family, "exit 0").end(&family);
    for _ in 0..3 {
        family.sweep(true);
    }
    assert!(alive.try_wait().unwrap().is_none());
    assert_eq!(dead.wait().unwrap().code(), Some(7));
    alive.kill().unwrap();
    alive.wait().unwrap();
}

#[test]
fn a_run_that_is_given_up_protects_nothing_but_its_leader() {
    let folder = tempfile::tempdir().unwrap();
    let family = Family::new();
    let file = folder.path().join("pid");
    let run = start(&family, &daemon(&file));
    let escaped = read_pid(&file);
    family.sweep(true);
    assert!(is_there(escaped));
    family.give_up(run.id);
    wait_until(|| {
        family.sweep(true);
        !is_there(escaped)
    });
    assert!(is_there(run.child.id()));
    run.end(&family);
}

#[test]
fn a_sweep_that_must_wait_for_other_runs_stays_due() {
    let (busy, done) = (Family::new(), Family::new());
    let run = start(&busy, "sleep 1000");
    start(&done, "exit 0").end(&done);
    assert_eq!(done.sweep(false), 0);
    assert!(done.is_unswept());
    run.end(&busy);
}

#[test]
fn a_family_that_is_dropped_leaves_no_run_in_the_list() {
    let family = Family::new();
    let (id, other) = (family.starting(), Family::new());
    let kept = other.starting();
    drop(family);
    assert!(!runs().contains_key(&id));
    assert!(runs().contains_key(&kept));
}

#[test]
fn only_our_own_markers_count() {
    assert!(is_ours(&marker(RunId(3))));
    assert!(!is_ours("1-3"));
    assert!(!is_ours(""));
}
