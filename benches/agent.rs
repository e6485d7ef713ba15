//! What the agent costs, each figure beside what it is compared with, measured in the same run.
//!
//! `make bench` runs all; a word as argument (`spawn`, `idle`, `start`, `http`, `probe`) runs that part.
//! `WIGO_BENCH_SECONDS` shortens or lengthens the measured spans (60 by default).

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fs,
    hint::black_box,
    io::{BufRead, BufReader},
    os::unix::{fs::symlink, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use wait4::Wait4;
use wigo::{
    hub::{Hub, Ledger},
    probe::{
        catalog::Catalog,
        environment::Environment,
        pool::{Pool, Settings, Sink},
    },
    store::{self, Store},
    tree::{Event, Host, Instance, ProbeName, ProbeResult, Tree},
};

type Outcome = Result<(), Box<dyn Error>>;

const TRUE: &str = "/bin/true";
/// Memory made resident for the second half of the spawn figures, in bytes.
const BALLAST: usize = 512 << 20;
/// Spans that one minute is cut into, so that both sides see the same weather.
const ROUNDS: u32 = 6;

fn main() -> Outcome {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    type Part = fn() -> Outcome;
    let parts: [(&str, Part); 5] =
        [("spawn", spawn), ("idle", idle), ("start", start), ("http", http), ("probe", probe)];
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            part()?;
        }
    }
    Ok(())
}

fn span() -> Duration {
    let seconds = std::env::var("WIGO_BENCH_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(60))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

// ---------------------------------------------------------------- probe runs per second

/// Counts results on their way to the hub.
struct Counting {
    hub: Arc<Hub>,
    runs: Arc<AtomicU64>,
}

impl Sink for Counting {
    fn ran(&self, probe: &ProbeName, results: Vec<ProbeResult>, complete: bool) {
        self.hub.handle(Event::Ran { probe: probe.clone(), results, complete });
        self.runs.fetch_add(1, Ordering::Relaxed);
    }
    fn gone(&self, _: &ProbeName, _: &str) {}
}

fn spawn() -> Outcome {
    let folder = tempfile::tempdir()?;
    let probes = folder.path().join("probes/3600");
    fs::create_dir_all(&probes)?;
    let names: Vec<ProbeName> =
        (0..30).map(|n| ProbeName::new(&format!("true{n}"))).collect::<Result<_, _>>()?;
    for name in &names {
        symlink(TRUE, probes.join(name.as_str()))?;
    }
    let uuid = uuid::Uuid::new_v4();
    let settings =
        store::Settings { path: folder.path().join("wigo.db"), origin: uuid, keep_days: 30 };
    let opened = Store::open(settings);
    let tree = Tree::new(Instance::new(uuid, "bench", Host::new("bench", "")));
    let ledger = Ledger { next_id: opened.next_id, ..Ledger::default() };
    let hub = Arc::new(Hub::new(tree, ledger, Box::new(opened.store.clone())));
    let runs = Arc::new(AtomicU64::new(0));
    let cores = thread::available_parallelism()?.get();
    let environment = Environment {
        config_root: folder.path().into(),
        state_root: folder.path().join("state"),
        extra: BTreeMap::new(),
    };
    let settings = Settings { environment, timeouts: BTreeMap::new() };
    let sink = Box::new(Counting { hub, runs: runs.clone() });
    let pool = Arc::new(Pool::start(2 * cores, 0, settings, sink)?);
    pool.set_catalog(Catalog::read(&folder.path().join("probes"))?);

    println!("probe runs per second, {TRUE}, {cores} cores");
    let small = compare("  empty process", cores, &pool, &names, &runs);
    let mut ballast = vec![0u8; BALLAST];
    ballast.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    black_box(&ballast);
    let big = compare("  512 MiB resident", cores, &pool, &names, &runs);
    drop(black_box(ballast));
    println!("  cost of a run with 512 MiB resident / empty: {:.2} (at most 1.2)\n", small / big);
    pool.stop();
    opened.store.close(Duration::from_secs(10))?;
    Ok(())
}

/// Runs both sides in turn; returns the runs per second of the whole path.
fn compare(
    what: &str,
    cores: usize,
    pool: &Arc<Pool>,
    names: &[ProbeName],
    runs: &Arc<AtomicU64>,
) -> f64 {
    let (mut bare, mut whole, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let round = span() / ROUNDS;
    for _ in 0..ROUNDS {
        // As many at once as the agent runs.
        let (one, two) = (bare_loop(2 * cores, round), whole_path(pool, names, runs, round));
        bare.push(one);
        whole.push(two);
        ratios.push(two / one);
    }
    let whole = median(whole);
    println!(
        "{what}: bare posix_spawn+wait in {} loops {:.0}/s, whole path {whole:.0}/s, ratio {:.2} (at least 0.7)",
        2 * cores,
        median(bare),
        median(ratios)
    );
    whole
}

fn bare_loop(threads: usize, span: Duration) -> f64 {
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // The standard library spawns by posix_spawn; nothing is redirected or read.
                    let ended = Command::new(TRUE).spawn().and_then(|mut child| child.wait());
                    if ended.is_ok() {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        thread::sleep(span);
        stop.store(true, Ordering::Relaxed);
    });
    count.into_inner() as f64 / started.elapsed().as_secs_f64()
}

fn whole_path(pool: &Pool, names: &[ProbeName], runs: &AtomicU64, span: Duration) -> f64 {
    let (before, started) = (runs.load(Ordering::Relaxed), Instant::now());
    // Keeps the list of runs that were asked for full.
    for name in names.iter().cycle() {
        if started.elapsed() > span {
            break;
        }
        if pool.run_now(name).is_err() {
            thread::sleep(Duration::from_millis(5));
        }
    }
    (runs.load(Ordering::Relaxed) - before) as f64 / started.elapsed().as_secs_f64()
}

// ---------------------------------------------------------------- the real agent

struct Agent {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Agent {
    /// A real agent with 30 probes a minute: the built-in ones, as links, as they are installed.
    fn start() -> Result<Agent, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let (examples, minute) =
            (folder.path().join("probes/examples"), folder.path().join("probes/60"));
        fs::create_dir_all(&examples)?;
        fs::create_dir_all(&minute)?;
        fs::copy(binary("wigo-probe"), examples.join("wigo-probe"))?;
        let builtin = [
            "hardware_load_average",
            "hardware_memory",
            "hardware_disks",
            "check_uptime",
            "ifstat",
            "iostat",
        ];
        for number in 0..30 {
            let of = builtin[number % builtin.len()];
            let example = examples.join(of);
            if !example.exists() {
                symlink("wigo-probe", &example)?;
            }
            symlink(format!("../examples/{of}"), minute.join(format!("{of}_{number}")))?;
        }
        let at = |name: &str| folder.path().join(name).display().to_string();
        let config = format!(
            "[Global]\nProbesDirectory = {:?}\nProbesConfigDirectory = {:?}\nUuidFile = {:?}\n\
             Database = {:?}\nLogFile = {:?}\n[Http]\nAddress = \"127.0.0.1\"\nPort = 0\n",
            at("probes"),
            at("conf.d"),
            at("uuid"),
            at("wigo.db"),
            at("wigo.log")
        );
        fs::write(folder.path().join("wigo.conf"), config)?;
        let (child, address) = run_agent(folder.path())?;
        Ok(Agent { child, address, _folder: folder })
    }

    fn usage(&self) -> Result<Usage, Box<dyn Error>> {
        let proc = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = fs::read_to_string(proc.join("status"))?;
        let stat = fs::read_to_string(proc.join("stat"))?;
        let fields: Vec<&str> = stat[stat.rfind(')').unwrap_or(0)..].split_whitespace().collect();
        let ticks: u64 = fields[12].parse::<u64>()? + fields[13].parse::<u64>()?;
        let (mut switches, mut nanoseconds) = (0, 0);
        for task in fs::read_dir(proc.join("task"))? {
            let task = task?.path();
            switches +=
                field(&fs::read_to_string(task.join("status"))?, "voluntary_ctxt_switches:");
            let times = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
            nanoseconds +=
                times.split(' ').next().and_then(|time| time.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Usage {
            rss: field(&status, "VmRSS:"),
            peak: field(&status, "VmHWM:"),
            switches,
            nanoseconds,
            ticks,
        })
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Usage {
    /// KiB
    rss: u64,
    /// KiB
    peak: u64,
    switches: u64,
    nanoseconds: u64,
    ticks: u64,
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or("");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn binary(name: &str) -> PathBuf {
    match name {
        "wigo" => env!("CARGO_BIN_EXE_wigo").into(),
        _ => env!("CARGO_BIN_EXE_wigo-probe").into(),
    }
}

fn run_agent(folder: &Path) -> Result<(Child, String), Box<dyn Error>> {
    let mut child = Command::new(binary("wigo"))
        .arg("--config")
        .arg(folder.join("wigo.conf"))
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
    for line in lines {
        if let Some((_, url)) = line?.split_once("listening on http://") {
            return Ok((child, url.trim_end_matches('/').to_owned()));
        }
    }
    Err("the agent said nothing of listening".into())
}

fn get(address: &str, path: &str) -> Result<String, Box<dyn Error>> {
    Ok(ureq::get(format!("http://{address}{path}")).call()?.body_mut().read_to_string()?)
}

fn idle() -> Outcome {
    let agent = Agent::start()?;
    // All probes have run once, the opening is over.
    thread::sleep(Duration::from_secs(15));
    let (before, started) = (agent.usage()?, Instant::now());
    thread::sleep(span());
    let after = agent.usage()?;
    let seconds = started.elapsed().as_secs_f64();
    let names: BTreeSet<String> = serde_json::from_str(&get(
        &agent.address,
        &format!("/api/hosts/{}/probes", host(&agent)?),
    )?)?;
    println!("idle agent, {} probes a minute, over {seconds:.0} s", names.len() - 1);
    println!(
        "  resident memory {:.1} MiB, peak {:.1} MiB (at most 10)",
        after.rss as f64 / 1024.0,
        after.peak as f64 / 1024.0
    );
    println!(
        "  CPU of the agent itself {:.3} % of a core (at most 0.05); in clock ticks {}",
        (after.nanoseconds - before.nanoseconds) as f64 / 1e7 / seconds,
        after.ticks - before.ticks
    );
    println!(
        "  wake-ups {:.2} a second, of all its threads (at most 2)\n",
        (after.switches - before.switches) as f64 / seconds
    );
    Ok(())
}

fn host(agent: &Agent) -> Result<String, Box<dyn Error>> {
    let hosts: Vec<String> = serde_json::from_str(&get(&agent.address, "/api/hosts")?)?;
    Ok(hosts[0].clone())
}

fn start() -> Outcome {
    let agent = Agent::start()?;
    let folder = agent._folder.path().to_owned();
    let mut times = Vec::new();
    thread::sleep(Duration::from_secs(5));
    // The same folder again and again: a start with a database that has something in it.
    let mut agent = agent;
    for _ in 0..20 {
        agent.child.kill()?;
        agent.child.wait()?;
        let began = Instant::now();
        let (child, address) = run_agent(&folder)?;
        get(&address, "/api")?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        agent.child = child;
    }
    let worst = times.iter().copied().fold(0.0, f64::max);
    println!(
        "start to first /api answer: median {:.1} ms, worst of 20 {worst:.1} ms (at most 50)\n",
        median(times)
    );
    Ok(())
}

fn http() -> Outcome {
    if Command::new("wrk").arg("-v").output().is_err() {
        println!("http: skipped, there is no `wrk` (Debian package wrk)\n");
        return Ok(());
    }
    let agent = Agent::start()?;
    thread::sleep(Duration::from_secs(12));
    println!("HTTP, 1 host x 30 probes, wrk on the same cores, 16 connections");
    for path in ["/api", "/api/status"] {
        let bytes = get(&agent.address, path)?.len();
        let output = Command::new("wrk")
            .args(["-t1", "-c16", "-d10s", "--latency", &format!("http://{}{path}", agent.address)])
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let value = |name: &str| {
            let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or("");
            line.split_whitespace().last().unwrap_or("?").to_owned()
        };
        println!(
            "  GET {path} ({bytes} bytes): {} requests/s, p50 {}, p99 {}",
            value("Requests/sec"),
            value("50%"),
            value("99%")
        );
    }
    let usage = agent.usage()?;
    println!("  resident memory afterwards {:.1} MiB\n", usage.rss as f64 / 1024.0);
    Ok(())
}

fn probe() -> Outcome {
    const RUNS: u32 = 200;
    let python = ["/usr/bin/python3", "/usr/local/bin/python3"]
        .into_iter()
        .find(|path| Path::new(path).exists());
    let Some(python) = python else {
        println!("probe: skipped, there is no Python 3\n");
        return Ok(());
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/load_average.py");
    let mut sides: Vec<(&str, Command)> = Vec::new();
    let mut ours = Command::new(binary("wigo-probe"));
    ours.arg("hardware_load_average");
    sides.push(("wigo-probe", ours));
    let mut theirs = Command::new(python);
    theirs.arg(script);
    sides.push(("Python", theirs));
    sides.push((TRUE, Command::new(TRUE)));
    let mut costs = Vec::new();
    for (_, command) in &mut sides {
        let mut cpu = Duration::ZERO;
        for _ in 0..RUNS {
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
            let used = child.wait4()?.rusage;
            cpu += used.utime + used.stime;
        }
        costs.push(cpu.as_secs_f64() * 1e3 / f64::from(RUNS));
    }
    println!("CPU of one run of hardware_load_average, mean of {RUNS}");
    println!(
        "  wigo-probe {:.2} ms, Python {:.2} ms, {TRUE} {:.2} ms: Python / wigo-probe {:.1} (at least 10)\n",
        costs[0],
        costs[1],
        costs[2],
        costs[1] / costs[0]
    );
    Ok(())
}
