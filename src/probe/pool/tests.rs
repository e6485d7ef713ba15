//! Real probes on real threads, told to a sink that writes down.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use tempfile::TempDir;

use super::*;
use crate::status::Status;

/// Nothing here takes nearly as long; a machine that is busy may.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, PartialEq)]
enum Told {
    Ran(String, Status, bool),
    Gone(String, String),
}

#[derive(Clone, Default)]
struct Notes {
    told: Arc<Mutex<Vec<Told>>>,
    panics: Arc<AtomicBool>,
}

impl Sink for Notes {
    fn ran(&self, probe: &ProbeName, results: Vec<ProbeResult>, complete: bool) {
        assert!(!self.panics.swap(false, Ordering::Relaxed), "on purpose");
        let ran = Told::Ran(probe.to_string(), results[0].status, complete);
        self.told.lock().unwrap().push(ran);
    }

    fn gone(&self, probe: &ProbeName, why: &str) {
        self.told.lock().unwrap().push(Told::Gone(probe.to_string(), why.into()));
    }
}

struct Bench {
    folder: TempDir,
    notes: Notes,
    pool: Pool,
}

fn name(name: &str) -> ProbeName {
    ProbeName::new(name).unwrap()
}

fn settings(folder: &Path) -> Settings {
    let environment = Environment {
        config_root: folder.join("conf.d"),
        state_root: folder.join("state"),
        extra: BTreeMap::from([("HERE".into(), folder.display().to_string())]),
    };
    Settings { environment, timeouts: BTreeMap::new() }
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain");
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl Bench {
    fn new(threads: usize) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let notes = Notes::default();
        let settings = settings(folder.path());
        let pool = Pool::start(threads, 1, settings, Box::new(notes.clone())).unwrap();
        Bench { folder, notes, pool }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, interval: u32, name: &str, script: &str) {
        let folder = self.path(&format!("probes/{interval}"));
        fs::create_dir_all(&folder).unwrap();
        // In one step, as a deployment does: a file that is being written cannot be run.
        let new = self.path("new");
        fs::write(&new, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(new, folder.join(name)).unwrap();
    }

    fn remove(&self, interval: u32, name: &str) {
        fs::remove_file(self.path(&format!("probes/{interval}/{name}"))).unwrap();
    }

    /// As the watch does.
    fn look(&self) {
        self.pool.set_catalog(Catalog::read(&self.path("probes")).unwrap());
    }

    /// Takes the catalog over and does not wait for the first runs.
    fn look_and_run(&self) {
        self.look();
        for probe in self.pool.overview().probes {
            self.pool.run_now(&probe.name).unwrap();
        }
    }

    fn told(&self) -> Vec<Told> {
        self.notes.told.lock().unwrap().clone()
    }

    fn count(&self, probe: &str) -> usize {
        let is_it = |told: &&Told| matches!(told, Told::Ran(name, ..) if name == probe);
        self.told().iter().filter(is_it).count()
    }

    fn wait_for(&self, wanted: Told) {
        wait_until(|| self.told().contains(&wanted));
    }

    /// How often a script has left a line in its file.
    fn lines(&self, file: &str) -> usize {
        fs::read_to_string(self.path(file)).unwrap_or_default().lines().count()
    }
}

fn ran(name: &str, status: i32) -> Told {
    let status = match status {
        100 => Status::OK,
        300 => Status::CRIT,
        _ => Status::ERROR,
    };
    Told::Ran(name.into(), status, status != Status::ERROR)
}

#[test]
fn probes_run_again_and_again_and_are_told() {
    let bench = Bench::new(2);
    bench.write(2, "fine", "echo '{\"Status\": 100, \"Message\": \"well\"}'");
    bench.write(2, "bad", "echo '{\"Status\": 300}'");
    bench.write(2, "broken", "exit 77");
    bench.look();
    wait_until(|| ["fine", "bad", "broken"].iter().all(|name| bench.count(name) >= 2));
    for (name, status) in [("fine", 100), ("bad", 300), ("broken", 500)] {
        assert!(bench.told().contains(&ran(name, status)), "{:?}", bench.told());
    }
    let overview = bench.pool.overview();
    assert_eq!(overview.probes.len(), 3);
    assert!(overview.probes.iter().all(|probe| probe.next.is_some() && probe.off.is_none()));
    assert!(overview.probes.iter().all(|probe| probe.last.is_some()));
    assert!(bench.pool.take_counters().runs >= 6);
    assert!(bench.path("state/fine").is_dir());
}

#[test]
fn a_slow_probe_is_begun_again_though_nothing_else_is_due_for_long() {
    // Its thread is not the one that sleeps until the next is due when it ends.
    let bench = Bench::new(3);
    bench.write(2, "slow", "sleep 0.3; echo '{\"Status\": 100}'");
    bench.write(86_400, "rare", "echo '{\"Status\": 100}'");
    bench.look();
    wait_until(|| bench.count("slow") >= 3 && bench.count("rare") == 1);
}

#[test]
fn exit_12_and_13_switch_off_until_the_file_or_the_settings_change() {
    let bench = Bench::new(2);
    bench.write(2, "disabled", "echo >>$HERE/ran12; exit 12");
    bench.write(2, "skipped", "echo >>$HERE/ran13; exit 13");
    bench.look_and_run();
    let gone = |name: &'static str, code: &'static str| move |told: &Told| matches!(told, Told::Gone(who, why) if who == name && why.contains(code));
    wait_until(|| bench.told().iter().any(gone("disabled", "exit 12")));
    wait_until(|| bench.told().iter().any(gone("skipped", "exit 13")));
    let offs: Vec<_> = bench.pool.overview().probes.iter().map(|probe| probe.off).collect();
    assert_eq!(offs, [Some(Off::Disabled), Some(Off::Skipped)]);
    assert!(matches!(bench.pool.run_now(&name("disabled")), Err(Refusal::Off(_))));
    // The same catalog again changes nothing; another file does.
    bench.look();
    assert_eq!(bench.pool.overview().probes[0].off, Some(Off::Disabled));
    bench.write(2, "disabled", "echo '{\"Status\": 100}'");
    bench.look();
    bench.wait_for(ran("disabled", 100));
    assert_eq!((bench.lines("ran12"), bench.lines("ran13")), (1, 1));
    assert_eq!(bench.pool.overview().probes[1].off, Some(Off::Skipped));
    bench.pool.set_settings(settings(bench.folder.path()));
    wait_until(|| bench.lines("ran13") == 2);
    let is_gone = gone("skipped", "exit 13");
    wait_until(|| bench.told().iter().filter(|told| is_gone(told)).count() == 2);
}

/// Says that it has begun and then waits for a file before it ends with `end`.
fn waiting(end: &str) -> String {
    format!("echo >>$HERE/begun; until [ -e $HERE/go ]; do sleep 0.01; done; {end}")
}

#[test]
fn a_probe_removed_while_running_is_told_as_gone_and_nothing_after() {
    for end in ["echo '{\"Status\": 100}'", "exit 12", "exit 77"] {
        let bench = Bench::new(2);
        bench.write(60, "a", &waiting(end));
        bench.look_and_run();
        wait_until(|| bench.lines("begun") == 1);
        bench.remove(60, "a");
        bench.look();
        fs::write(bench.path("go"), "").unwrap();
        wait_until(|| bench.pool.take_counters().running == 0);
        assert_eq!(bench.told(), [Told::Gone("a".into(), "removed".into())]);
        assert!(bench.pool.overview().probes.is_empty());
    }
}

#[test]
fn what_a_replaced_file_says_does_not_switch_off_the_new_one() {
    let bench = Bench::new(2);
    bench.write(60, "a", &waiting("exit 12"));
    bench.look_and_run();
    wait_until(|| bench.lines("begun") == 1);
    bench.write(60, "a", "echo '{\"Status\": 100}'");
    bench.look();
    fs::write(bench.path("go"), "").unwrap();
    wait_until(|| bench.pool.take_counters().running == 0);
    assert_eq!(bench.pool.overview().probes[0].off, None);
    bench.pool.run_now(&name("a")).unwrap();
    bench.wait_for(ran("a", 100));
}

#[test]
fn removed_and_added_again_while_running_is_never_run_twice_at_once() {
    let bench = Bench::new(4);
    bench.write(60, "a", &waiting("echo '{\"Status\": 100}'"));
    bench.write(2, "clock", "echo '{\"Status\": 100}'");
    bench.look();
    wait_until(|| bench.lines("begun") == 1);
    bench.remove(60, "a");
    bench.look();
    bench.write(60, "a", &waiting("echo '{\"Status\": 100}'"));
    bench.look();
    bench.pool.run_now(&name("a")).unwrap();
    let before = bench.count("clock");
    wait_until(|| bench.count("clock") >= before + 2);
    assert_eq!(bench.lines("begun"), 1);
    fs::write(bench.path("go"), "").unwrap();
    wait_until(|| bench.lines("begun") >= 2);
}

#[test]
fn run_now_runs_now() {
    let bench = Bench::new(1);
    bench.write(86_400, "a", "echo >>$HERE/ran; echo '{\"Status\": 100}'");
    bench.look();
    wait_until(|| bench.count("a") == 1);
    let next = bench.pool.overview().probes[0].next.unwrap();
    for round in 2..5 {
        bench.pool.run_now(&name("a")).unwrap();
        wait_until(|| bench.count("a") == round);
    }
    let moved = bench.pool.overview().probes[0].next.unwrap().duration_since(next);
    assert!(moved.as_secs().abs() < 3_600, "the rhythm stays: {moved:?}");
    assert!(matches!(bench.pool.run_now(&name("b")), Err(Refusal::Unknown(_))));
}

#[test]
fn runs_asked_for_are_bounded_and_counted_once() {
    let bench = Bench::new(1);
    bench.write(86_400, "busy", &waiting(":"));
    for number in 0..=MAX_ASKED {
        bench.write(86_400, &format!("p{number}"), ":");
    }
    bench.look();
    wait_until(|| bench.told().len() > MAX_ASKED || bench.lines("begun") == 1);
    bench.pool.run_now(&name("busy")).unwrap();
    wait_until(|| bench.lines("begun") >= 1);
    // The only thread is held by `busy`, for the first or the second time.
    wait_until(|| bench.pool.take_counters().running == 1 && bench.lines("begun") >= 1);
    for number in 0..MAX_ASKED {
        for _ in 0..2 {
            let asked = bench.pool.run_now(&name(&format!("p{number}")));
            assert!(asked.is_ok() || number == MAX_ASKED - 1, "{number}: {asked:?}");
        }
    }
    let refused = (0..=MAX_ASKED).any(|number| {
        matches!(bench.pool.run_now(&name(&format!("p{number}"))), Err(Refusal::Full))
    });
    assert!(refused);
    fs::write(bench.path("go"), "").unwrap();
}

#[test]
fn a_refused_probe_says_so_at_each_interval() {
    let bench = Bench::new(1);
    bench.write(2, "open", "echo >>$HERE/ran");
    let path = bench.path("probes/2/open");
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    bench.look();
    wait_until(|| bench.count("open") >= 2);
    assert!(bench.told().iter().all(|told| *told == ran("open", 500)));
    assert_eq!(bench.lines("ran"), 0);
}

#[test]
fn a_probe_that_is_mended_runs_at_once_and_one_that_is_not_executable_any_more_says_so() {
    let bench = Bench::new(1);
    bench.write(3600, "a", "exit 0");
    let file = bench.path("probes/3600/a");
    let set = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    set(0o757);
    bench.look_and_run();
    // Its first run and the one that was asked for; the next is an hour away.
    wait_until(|| bench.told() == [ran("a", 500), ran("a", 500)]);
    set(0o755);
    bench.look();
    wait_until(|| bench.told().last() == Some(&ran("a", 100)));
    set(0o644);
    bench.look();
    let gone = Told::Gone("a".into(), "it is not executable (chmod +x)".into());
    wait_until(|| bench.told().last() == Some(&gone));
}

#[test]
fn a_file_that_others_may_write_since_the_last_look_is_not_run() {
    let bench = Bench::new(1);
    bench.write(2, "a", "echo >>$HERE/ran");
    let catalog = Catalog::read(&bench.path("probes")).unwrap();
    fs::set_permissions(bench.path("probes/2/a"), fs::Permissions::from_mode(0o777)).unwrap();
    bench.pool.set_catalog(catalog);
    bench.wait_for(ran("a", 500));
    assert_eq!(bench.lines("ran"), 0);
}

#[test]
fn a_probe_that_was_moved_since_the_last_look_is_no_error() {
    let bench = Bench::new(1);
    bench.write(3_600, "moved", "echo fine");
    bench.look_and_run();
    bench.wait_for(ran("moved", 100));
    bench.remove(3_600, "moved");
    let told = bench.pool.run_and_wait(&name("moved")).unwrap();
    // Whoever waits for what it says is let go.
    assert!(told.blocking_recv().is_err());
    assert!(!bench.told().contains(&ran("moved", 500)));
}

#[test]
fn no_more_run_at_once_than_there_are_threads() {
    let bench = Bench::new(2);
    for number in 0..6 {
        let script =
            "echo >>$HERE/begun; until [ -e $HERE/go ]; do sleep 0.01; done; echo >>$HERE/over";
        bench.write(86_400, &format!("p{number}"), script);
    }
    bench.write(86_400, "none", ":");
    bench.look();
    wait_until(|| bench.lines("begun") == 2 && bench.pool.take_counters().running == 2);
    wait_until(|| {
        bench.pool.nudge();
        let overview = bench.pool.overview();
        let due = overview.probes.iter().filter_map(|probe| probe.next);
        due.filter(|due| *due <= Timestamp::now()).count() >= 2 || bench.count("none") == 1
    });
    assert_eq!(bench.lines("begun"), 2);
    fs::write(bench.path("go"), "").unwrap();
    wait_until(|| bench.lines("over") == 6 && bench.count("none") == 1);
}

#[test]
fn a_timeout_is_told_while_the_probe_still_lives() {
    let bench = Bench::new(2);
    let script = "trap '' TERM; echo $$ >$HERE/pid; while :; do sleep 0.05; done";
    bench.write(2, "stubborn", script);
    let alive = |file: &str| {
        let pid = fs::read_to_string(bench.path(file)).unwrap_or_default();
        bench.path("pid").exists() && Path::new(&format!("/proc/{}", pid.trim())).exists()
    };
    bench.look_and_run();
    bench.wait_for(ran("stubborn", 500));
    bench.remove(2, "stubborn");
    bench.look();
    wait_until(|| bench.pool.take_counters().running == 0);
    assert!(bench.pool.take_counters().timeouts >= 1);
    assert!(!alive("pid"));
}

#[test]
fn what_escaped_is_swept_away_without_another_run() {
    let bench = Bench::new(2);
    let script = "setsid sh -c 'echo $$ >$HERE/pid; exec sleep 1000' >/dev/null 2>&1 &
        until [ -s $HERE/pid ]; do sleep 0.01; done; echo '{\"Status\": 100}'";
    bench.write(86_400, "a", script);
    bench.look();
    bench.wait_for(ran("a", 100));
    let pid = fs::read_to_string(bench.path("pid")).unwrap();
    wait_until(|| !Path::new(&format!("/proc/{}", pid.trim())).exists());
    assert_eq!(bench.count("a"), 1);
}

#[test]
fn the_stop_ends_what_runs_and_tells_nothing_of_it() {
    for trap in ["", "trap '' TERM;", "trap 'exit 12' TERM;", "trap 'exit 3' TERM;"] {
        let bench = Bench::new(3);
        for number in 0..3 {
            let script = format!("{trap} echo $$ >>$HERE/pids; while :; do sleep 0.05; done");
            bench.write(60, &format!("p{number}"), &script);
        }
        bench.look_and_run();
        wait_until(|| bench.lines("pids") == 3);
        bench.pool.stop();
        for pid in fs::read_to_string(bench.path("pids")).unwrap().lines() {
            assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{trap}: {pid}");
        }
        assert_eq!(bench.told(), []);
        // Again does no harm, and nothing starts any more.
        bench.pool.stop();
        assert_eq!(bench.lines("pids"), 3);
    }
}

#[test]
fn a_stop_before_anything_ran_comes_back() {
    for threads in [1, 8] {
        Bench::new(threads).pool.stop();
    }
    let bench = Bench::new(2);
    bench.look_at_nothing();
    drop(bench.pool);
    assert_eq!(bench.notes.told.lock().unwrap().len(), 0);
}

impl Bench {
    fn look_at_nothing(&self) {
        self.pool.set_catalog(Catalog::default());
    }
}

#[test]
fn a_defect_in_what_is_told_costs_neither_thread_nor_rhythm() {
    let bench = Bench::new(1);
    bench.notes.panics.store(true, Ordering::Relaxed);
    bench.write(2, "a", "echo '{\"Status\": 100}'");
    bench.look_and_run();
    wait_until(|| bench.count("a") >= 1);
    assert!(!bench.notes.panics.load(Ordering::Relaxed));
    bench.pool.stop();
    assert_eq!(bench.pool.take_counters().running, 0);
}

#[test]
fn limits_are_one_second_less_than_the_interval_or_shorter() {
    let mut settings = settings(Path::new("/x"));
    settings.timeouts = BTreeMap::from([("a".into(), 5), ("b".into(), 500), ("c".into(), 0)]);
    let limit = |probe: &str, interval| settings.limit(&name(probe), interval).as_secs();
    assert_eq!((limit("a", 60), limit("b", 60), limit("c", 60), limit("d", 60)), (5, 59, 1, 59));
    assert_eq!((limit("d", 2), limit("a", 2)), (1, 1));
}
