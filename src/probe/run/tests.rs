//! Real processes: scripts of `/bin/sh` that behave as badly as they can.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    sync::atomic::{AtomicUsize, Ordering},
};

use tempfile::TempDir;

use super::*;
use crate::{probe::environment::Environment, tree::ProbeName};

/// Nothing here takes nearly as long; a machine that is busy may.
const PATIENCE: Duration = Duration::from_secs(60);
/// For probes that must not run into their limit.
const LONG: Duration = Duration::from_secs(60);

struct Bench {
    folder: TempDir,
    family: Family,
}

impl Bench {
    fn new() -> Bench {
        Bench { folder: tempfile::tempdir().unwrap(), family: Family::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn order(&self, script: &str, limit: Duration) -> Order {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let program = self.path(&format!("probe{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let environment = vec![
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("HERE".into(), self.folder.path().into()),
        ];
        Order { program, environment, limit }
    }

    /// Runs a script that ends by itself.
    fn ended(&self, script: &str) -> Ended {
        let late = |ended: Ended| panic!("killed: {ended:?}");
        match run(&self.order(script, LONG), &self.family, || {}, late) {
            Over::Ended(ended) => ended,
            Over::Killed(_) => unreachable!("`late` is called before"),
        }
    }

    /// Runs a script that has to be killed, and clears up.
    fn killed(&self, script: &str, limit: Duration) -> Ended {
        let mut told = None;
        let over = run(&self.order(script, limit), &self.family, || {}, |e| told = Some(e));
        assert!(matches!(over, Over::Killed(None)), "{over:?}");
        self.family.sweep(true);
        told.unwrap()
    }

    /// The number of a process that a script wrote down, once it has.
    fn pid(&self, file: &str) -> i32 {
        wait_until(|| fs::read_to_string(self.path(file)).is_ok_and(|text| text.ends_with('\n')));
        fs::read_to_string(self.path(file)).unwrap().trim().parse().unwrap()
    }
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn is_alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn is_there(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn text(captured: &Captured) -> String {
    String::from_utf8_lossy(&captured.kept).into_owned()
}

fn code(ended: &Ended) -> Option<i32> {
    match ended.end {
        End::Exited(code) => Some(code),
        _ => None,
    }
}

#[test]
fn output_and_exit_code_are_kept() {
    let bench = Bench::new();
    for wanted in [0, 1, 12, 13, 255] {
        let ended = bench.ended(&format!("echo out; echo err >&2; exit {wanted}"));
        assert_eq!(code(&ended), Some(wanted));
        assert_eq!((text(&ended.stdout), text(&ended.stderr)), ("out\n".into(), "err\n".into()));
        assert!(!ended.left_open);
    }
}

#[test]
fn a_signal_that_is_not_ours_is_told() {
    for signal in ["TERM", "KILL", "SEGV"] {
        let ended = Bench::new().ended(&format!("kill -{signal} $$"));
        let number = match signal {
            "TERM" => 15,
            "KILL" => 9,
            _ => 11,
        };
        assert!(matches!(ended.end, End::Signaled(n) if n == number), "{ended:?}");
    }
}

#[test]
fn what_cannot_be_started_is_told() {
    let bench = Bench::new();
    let order = bench.order("", LONG);
    let start = |contents: &[u8], mode| {
        fs::write(&order.program, contents).unwrap();
        fs::set_permissions(&order.program, fs::Permissions::from_mode(mode)).unwrap();
        match run(&order, &bench.family, || {}, |_| {}) {
            Over::Ended(Ended { end: End::NotStarted(error), .. }) => error.kind(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(start(b"#!/no/such/interpreter\n", 0o755), io::ErrorKind::NotFound);
    assert_eq!(start(b"#!/bin/sh\n", 0o644), io::ErrorKind::PermissionDenied);
    start(b"\x7fELF and nothing", 0o755);
    start(b"", 0o755);
    let mut order = Order { program: bench.path("gone"), ..order.clone() };
    assert!(matches!(
        run(&order, &bench.family, || {}, |_| {}),
        Over::Ended(Ended { end: End::NotStarted(_), .. })
    ));
    order.environment.push(("BAD".into(), "a\0b".into()));
    assert!(matches!(
        run(&order, &bench.family, || {}, |_| {}),
        Over::Ended(Ended { end: End::NotStarted(_), .. })
    ));
}

#[test]
fn a_file_that_is_open_for_writing_is_tried_again() {
    let bench = Bench::new();
    let order = bench.order("echo done", LONG);
    let writer = fs::OpenOptions::new().append(true).open(&order.program).unwrap();
    let run_it = || match run(&order, &bench.family, || {}, |_| {}) {
        Over::Ended(ended) => ended,
        over => panic!("{over:?}"),
    };
    let busy = run_it();
    let End::NotStarted(error) = &busy.end else { panic!("{busy:?}") };
    assert_eq!(error.kind(), io::ErrorKind::ExecutableFileBusy);
    drop(writer);
    assert_eq!(text(&run_it().stdout), "done\n");
}

#[test]
fn the_first_bytes_of_a_fifo_are_not_waited_for() {
    let bench = Bench::new();
    let fifo = bench.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    assert!(head_of(&fifo, 10).is_err());
    assert!(head_of(bench.folder.path(), 10).is_err());
    assert_eq!(head_of(&bench.order("", LONG).program, 4).unwrap(), b"#!/b");
}

#[test]
fn output_beyond_what_is_kept_is_counted_and_does_no_harm() {
    let bench = Bench::new();
    // Standard error first and more than a pipe holds, while nobody has written to standard output.
    let ended = bench.ended(
        "head -c 300000 /dev/zero >&2; head -c 3000000 /dev/zero; echo err >&2; echo out; exit 3",
    );
    assert_eq!(code(&ended), Some(3));
    assert_eq!(ended.stdout.kept.len(), MAX_STDOUT);
    assert_eq!(ended.stdout.dropped, 3_000_004 - MAX_STDOUT as u64);
    assert_eq!(ended.stderr.kept.len(), MAX_STDERR);
    assert_eq!(ended.stderr.dropped, 300_004 - MAX_STDERR as u64);
}

#[test]
fn a_flood_is_cut_off() {
    let bench = Bench::new();
    for script in ["yes", "head -c 300000000 /dev/zero >&2", "yes >&2 & exec yes"] {
        let ended = bench.killed(script, LONG);
        assert!(matches!(ended.end, End::Flooded), "{script}: {:?}", ended.end);
        assert!(ended.stdout.kept.len() <= MAX_STDOUT && ended.stderr.kept.len() <= MAX_STDERR);
        let read = ended.stdout.kept.len() as u64
            + ended.stdout.dropped
            + ended.stderr.kept.len() as u64
            + ended.stderr.dropped;
        assert!(read > MAX_OUTPUT && read < MAX_OUTPUT + (2 << 20), "{script}: {read}");
    }
}

const SHORT: Duration = Duration::from_millis(300);

#[test]
fn what_ignores_sigterm_is_killed() {
    let bench = Bench::new();
    let ended = bench
        .killed("trap '' TERM; echo $$ >$HERE/pid; echo begun; while :; do sleep 1; done", SHORT);
    assert!(matches!(ended.end, End::TimedOut(limit) if limit == SHORT));
    assert!(!is_there(bench.pid("pid")));
}

#[test]
fn what_closes_its_output_and_sleeps_runs_into_its_limit() {
    let bench = Bench::new();
    let ended = bench.killed("echo said; exec >&- 2>&-; sleep 1000", SHORT);
    assert!(matches!(ended.end, End::TimedOut(_)));
    assert_eq!(text(&ended.stdout), "said\n");
}

#[test]
fn sigterm_comes_first() {
    let bench = Bench::new();
    let script = "trap 'echo asked >$HERE/asked; exit 0' TERM; while :; do sleep 0.01; done";
    bench.killed(script, SHORT);
    assert_eq!(fs::read_to_string(bench.path("asked")).unwrap(), "asked\n");
}

#[test]
fn the_limit_is_told_before_the_killing() {
    let bench = Bench::new();
    let order = bench.order("trap '' TERM; echo $$ >$HERE/pid; while :; do sleep 1; done", SHORT);
    let mut was_alive = false;
    run(&order, &bench.family, || {}, |_| was_alive = is_alive(bench.pid("pid")));
    assert!(was_alive);
    assert!(!is_there(bench.pid("pid")));
}

#[test]
fn slow_is_told_of_slow_runs_only() {
    let bench = Bench::new();
    let slow = AtomicUsize::new(0);
    let count = || {
        slow.fetch_add(1, Ordering::Relaxed);
    };
    // Ends only when it is known to be slow.
    let order = bench.order("until [ -e $HERE/slow ]; do sleep 0.01; done", LONG);
    run(&order, &bench.family, || fs::write(bench.path("slow"), "").unwrap(), |_| {});
    let order = bench.order("sleep 1000", SHORT);
    run(&order, &bench.family, count, |_| {});
    assert_eq!(slow.load(Ordering::Relaxed), 1);
}

#[test]
fn the_whole_group_is_killed() {
    let bench = Bench::new();
    let child = "sh -c 'trap \"\" TERM; echo $$ >$HERE/child; while :; do sleep 1; done' &";
    // The flood is what it is killed for, and begins when everything is in place.
    let ready = "while [ ! -s $HERE/child ]; do sleep 0.01; done; yes";
    bench.killed(&format!("{child}\n{ready}"), LONG);
    let child = bench.pid("child");
    wait_until(|| !is_alive(child));
}

#[test]
fn what_a_probe_leaves_in_its_group_goes_with_it() {
    let bench = Bench::new();
    let ended = bench.ended("sleep 1000 >/dev/null 2>&1 & echo $! >$HERE/pid; echo said; exit 4");
    assert_eq!((code(&ended), text(&ended.stdout)), (Some(4), "said\n".into()));
    assert!(!ended.left_open);
    let left = bench.pid("pid");
    wait_until(|| !is_alive(left));
}

#[test]
fn a_daemon_that_keeps_the_output_open_does_not_hold_the_run() {
    let bench = Bench::new();
    let ended = bench.ended(
        "setsid sh -c 'echo $$ >$HERE/pid; exec sleep 1000' &
         while [ ! -s $HERE/pid ]; do sleep 0.01; done; echo said",
    );
    assert_eq!((code(&ended), text(&ended.stdout)), (Some(0), "said\n".into()));
    assert!(ended.left_open);
    let daemon = bench.pid("pid");
    assert!(is_alive(daemon));
    wait_until(|| {
        bench.family.sweep(true);
        !is_there(daemon)
    });
}

#[test]
fn nothing_is_left_of_what_tries_hard_to_escape() {
    let bench = Bench::new();
    // Own session, double fork, own environment, a name that looks like fields, children of its own.
    bench.killed(
        "(setsid sh -c '(trap \"\" TERM HUP; echo $$ >$HERE/first
            sh -c \"echo \\$\\$ >$HERE/second; exec sleep 1000\"; sleep 1000) &') &
         env -i setsid sh -c \"echo \\$\\$ >$HERE/third; sleep 1000; sleep 1000\" &
         for file in first second third; do
            while [ ! -s $HERE/$file ]; do sleep 0.01; done
         done
         yes",
        LONG,
    );
    for file in ["second", "third"] {
        let pid = bench.pid(file);
        wait_until(|| {
            bench.family.sweep(true);
            !is_there(pid)
        });
    }
}

#[test]
fn the_surroundings_are_as_promised() {
    let bench = Bench::new();
    let ended = bench.ended(
        "pwd; cat; readlink /proc/self/fd/0; awk '{ print ($5 == $1) }' /proc/$$/stat
         echo $0 $#; ls -l /proc/self/fd",
    );
    let printed = text(&ended.stdout);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[..3], ["/", "/dev/null", "1"], "{printed}");
    assert!(lines[3].ends_with(" 0"), "no arguments: {printed}");
    assert!(lines[3].starts_with(bench.folder.path().to_str().unwrap()));
    // But for the folder that `ls` reads, and what whoever started the tests left open for everybody.
    let is_given = |number: &str| {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).map(str::trim);
        flags
            .and_then(|flags| u32::from_str_radix(flags, 8).ok())
            .is_some_and(|flags| flags & OFlags::CLOEXEC.bits() == 0)
    };
    let descriptors = lines[4..].iter().filter_map(|line| line.split_once(" -> ")).filter_map(
        |(left, target)| {
            let number = left.rsplit(' ').next()?;
            let is_standard = ["0", "1", "2"].contains(&number);
            (is_standard || !(target.starts_with("/proc/") || is_given(number))).then_some(number)
        },
    );
    assert_eq!(descriptors.collect::<Vec<_>>(), ["0", "1", "2"], "{printed}");
}

#[test]
fn the_environment_is_what_is_documented() {
    let bench = Bench::new();
    let environment = Environment {
        config_root: "/etc/wigo/conf.d".into(),
        state_root: bench.path("state"),
        extra: BTreeMap::from([
            ("MY_OWN".to_owned(), "a b'\"$(;\n".to_owned()),
            ("WIGO_PROBE_NAME".to_owned(), "forged".to_owned()),
        ]),
    };
    let name = ProbeName::new("a 'probe'").unwrap();
    environment.make_state_folder(&name).unwrap();
    let state = bench.path("state/a 'probe'");
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
    let order = Order {
        program: "/usr/bin/env".into(),
        environment: environment.of(&name, 60),
        limit: LONG,
    };
    let Over::Ended(ended) = run(&order, &bench.family, || {}, |_| {}) else { panic!() };
    let printed = text(&ended.stdout);
    let own = |name: &str, default: &str| std::env::var(name).unwrap_or(default.into());
    let mut wanted = vec![
        format!("HOME={}", own("HOME", "/")),
        format!("LANG={}", own("LANG", "C.UTF-8")),
        "MY_OWN=a b'\"$(;\n".to_owned(),
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        "WIGO_PROBE_CONFIG_ROOT=/etc/wigo/conf.d".to_owned(),
        "WIGO_PROBE_INTERVAL=60".to_owned(),
        "WIGO_PROBE_NAME=a 'probe'".to_owned(),
        format!("WIGO_PROBE_STATE={}", state.display()),
    ];
    wanted.extend(std::env::var("TZ").map(|zone| format!("TZ={zone}")));
    for line in &wanted {
        assert!(printed.contains(&format!("{line}\n")), "`{line}` is not in {printed}");
    }
    let names: BTreeMap<&str, ()> =
        printed.lines().filter_map(|line| Some((line.split_once('=')?.0, ()))).collect();
    let mut expected: BTreeMap<&str, ()> =
        wanted.iter().filter_map(|line| Some((line.split_once('=')?.0, ()))).collect();
    expected.insert(RunId::VARIABLE, ());
    assert_eq!(names, expected);
}

#[test]
fn time_and_memory_are_measured() {
    let bench = Bench::new();
    let ended = bench.ended("i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done");
    assert!(ended.cpu > Duration::ZERO);
    assert!(ended.took > Duration::ZERO);
    assert!((100 << 10..1 << 30).contains(&ended.peak_memory), "{}", ended.peak_memory);
}

#[test]
fn a_closed_family_starts_nothing_that_lives() {
    let bench = Bench::new();
    bench.family.close(Signal::TERM);
    let ended = bench.ended("sleep 1000");
    assert!(matches!(ended.end, End::Signaled(9)), "{ended:?}");
}

#[test]
fn runs_leave_no_descriptor_and_no_process_behind() {
    // In a process of its own: other tests open files too.
    const MARK: &str = "WIGO_TEST_OF_LEAKS";
    if std::env::var_os(MARK).is_none() {
        let name = "probe::run::tests::runs_leave_no_descriptor_and_no_process_behind";
        let child = Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--test-threads=1"])
            .env(MARK, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout).into_owned();
        assert!(child.status.success(), "{said}");
        assert!(said.contains("1 passed"), "{said}");
        return;
    }
    let bench = Bench::new();
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    let children = || {
        wait_until(|| {
            bench.family.sweep(true);
            !bench.family.is_unswept()
        });
        let me = std::process::id().to_string();
        let stats = fs::read_dir("/proc").unwrap().flatten();
        let stats = stats.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
        stats
            .filter(|stat| stat.rsplit(')').next().unwrap().split(' ').nth(2) == Some(me.as_str()))
            .count()
    };
    let quick = bench.order("exit 0", LONG);
    let daemon = bench.order("setsid sleep 1000 >/dev/null 2>&1 & exit 0", LONG);
    let missing = Order { program: bench.path("missing"), ..quick.clone() };
    let stuck = bench.order("sleep 1000", Duration::from_millis(20));
    run(&quick, &bench.family, || {}, |_| {});
    let before = descriptors();
    for round in 0..300 {
        run(&quick, &bench.family, || {}, |_| {});
        if round % 10 == 0 {
            run(&daemon, &bench.family, || {}, |_| {});
            run(&missing, &bench.family, || {}, |_| {});
            run(&stuck, &bench.family, || {}, |_| {});
        }
    }
    assert_eq!(descriptors(), before);
    wait_until(|| children() == 0);
}
