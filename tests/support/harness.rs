//! Starts agents in folders of their own and waits for what they do.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::http::{self, Reply};

/// No condition takes this long; a machine that is very busy may come near.
pub const LIMIT: Duration = Duration::from_secs(60);
pub const POLL: Duration = Duration::from_millis(20);

/// Looks again and again until there is something; panics with `what` if there never is.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {} s in vain: {what}", LIMIT.as_secs());
        thread::sleep(POLL);
    }
}

/// Waits until a condition holds.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(what, || holds().then_some(()));
}

/// The files of one agent: configuration, probes, database. Gone when dropped.
pub struct Home {
    folder: TempDir,
    /// The configuration; its last section is `[Http]`, so that keys of it can be added at the end.
    pub config: String,
}

impl Home {
    pub fn new() -> Home {
        Home::named("testhost")
    }

    /// That of a host of this name.
    pub fn named(name: &str) -> Home {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().display();
        let config = format!(
            "[Global]\nHostname = \"{name}\"\nGroup = \"testers\"\nLogFile = \"{root}/wigo.log\"\n\
             ProbesDirectory = \"{root}/probes\"\nProbesConfigDirectory = \"{root}/conf.d\"\n\
             UuidFile = \"{root}/uuid\"\nDatabase = \"{root}/wigo.db\"\n\
             [Http]\nAddress = \"127.0.0.1\"\nPort = 0\n"
        );
        let home = Home { folder, config };
        for name in ["probes", "conf.d", "begun"] {
            make_folder(&home.path(name));
        }
        home
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn config_path(&self) -> PathBuf {
        self.path("wigo.conf")
    }

    /// Adds lines at the end of the configuration.
    pub fn add(&mut self, lines: &str) {
        self.config.push_str(lines);
        self.config.push('\n');
    }

    /// Replaces a part of the configuration and writes the file.
    pub fn change(&mut self, from: &str, to: &str) {
        assert!(self.config.contains(from), "no `{from}` in\n{}", self.config);
        self.config = self.config.replace(from, to);
        self.write_config();
    }

    pub fn write_config(&self) {
        fs::write(self.config_path(), &self.config).unwrap();
        fs::set_permissions(self.config_path(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// A probe that prints what [`Home::tell`] gave it last.
    pub fn puppet(&self, seconds: u32, name: &str, status: u32) {
        self.tell(name, status, "as told");
        self.probe(seconds, name, "cat \"$WIGO_PROBE_CONFIG_ROOT/$WIGO_PROBE_NAME.says\"");
    }

    /// What a puppet says from its next run on.
    pub fn tell(&self, puppet: &str, status: u32, message: &str) {
        let text = format!("{{\"Status\": {status}, \"Message\": \"{message}\"}}");
        let begun = self.path("begun").join(puppet);
        fs::write(&begun, text).unwrap();
        fs::rename(begun, self.path("conf.d").join(format!("{puppet}.says"))).unwrap();
    }

    /// The folder of an interval, made if it is missing.
    pub fn interval(&self, seconds: u32) -> PathBuf {
        let folder = self.path("probes").join(seconds.to_string());
        if !folder.exists() {
            make_folder(&folder);
        }
        folder
    }

    /// Puts a shell script in place, complete from the first moment on.
    pub fn probe(&self, seconds: u32, name: &str, script: &str) -> PathBuf {
        self.probe_file(seconds, name, format!("#!/bin/sh\n{script}\n").as_bytes(), 0o755)
    }

    pub fn probe_file(&self, seconds: u32, name: &str, content: &[u8], mode: u32) -> PathBuf {
        let begun = self.path("begun").join(name);
        fs::write(&begun, content).unwrap();
        fs::set_permissions(&begun, fs::Permissions::from_mode(mode)).unwrap();
        let place = self.interval(seconds).join(name);
        fs::rename(begun, &place).unwrap();
        place
    }

    /// `wigo` with this configuration and `arguments`, run to its end.
    pub fn wigo(&self, arguments: &[&str]) -> Output {
        self.write_config();
        let mut command = Command::new(env!("CARGO_BIN_EXE_wigo"));
        command.arg("--config").arg(self.config_path()).args(arguments);
        command.output().unwrap()
    }

    pub fn start(self) -> Agent {
        self.write_config();
        let process = Process::start(&self);
        Agent { process, home: self }
    }
}

pub fn make_folder(path: &Path) {
    fs::DirBuilder::new().mode(0o755).create(path).unwrap();
}

/// A script that answers in Wigo's own JSON.
pub fn says(status: u32, message: &str) -> String {
    format!("echo '{{\"Status\": {status}, \"Message\": \"{message}\"}}'")
}

pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A running `wigo` and what it wrote.
struct Process {
    child: Child,
    output: Arc<Mutex<String>>,
    address: SocketAddr,
}

impl Process {
    fn start(home: &Home) -> Process {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wigo"))
            .arg("--config")
            .arg(home.config_path())
            .env("AGENTS_OWN_SECRET", "not for probes")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = Arc::new(Mutex::new(String::new()));
        collect(child.stdout.take().unwrap(), output.clone());
        collect(child.stderr.take().unwrap(), output.clone());
        let address = wait_for("the agent says where it listens", || {
            let said = output.lock().unwrap().clone();
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the agent ended with {status}: {said}");
            }
            let (_, rest) = said.split_once("listening on http")?;
            let rest = rest.trim_start_matches('s').strip_prefix("://")?;
            rest.split_once('/')?.0.parse().ok()
        });
        Process { child, output, address }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The handle knows whether it has ended already: no other process is hit.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the agent had written:\n{}", self.output.lock().unwrap());
        }
    }
}

fn collect(stream: impl Read + Send + 'static, into: Arc<Mutex<String>>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let mut text = into.lock().unwrap();
            text.push_str(&String::from_utf8_lossy(&line));
            text.push('\n');
        }
    });
}

/// An agent that runs, with its files.
pub struct Agent {
    // Dropped in this order: nothing writes to the folder any more when it is removed.
    process: Process,
    pub home: Home,
}

impl Agent {
    pub fn address(&self) -> SocketAddr {
        self.process.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// All that it has written since it was started.
    pub fn log(&self) -> String {
        self.process.output.lock().unwrap().clone()
    }

    pub fn wait_log(&self, part: &str) {
        wait_until(&format!("the log says `{part}`"), || self.log().contains(part));
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.process.child)
    }

    pub fn get(&self, path: &str) -> Reply {
        http::get(self.address(), path, &[])
    }

    /// What is answered with 200, as JSON.
    pub fn json(&self, path: &str) -> Value {
        let reply = self.get(path);
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.json()
    }

    /// The result of a probe, if there is one.
    pub fn probe(&self, name: &str) -> Option<Value> {
        let found = &self.json("/api")["LocalHost"]["Probes"][name];
        (!found.is_null()).then(|| found.clone())
    }

    /// Waits for the result of a probe that satisfies `wanted`.
    pub fn wait_probe(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = None;
        let deadline = Instant::now() + LIMIT;
        loop {
            let seen = self.probe(name);
            if let Some(seen) = seen.as_ref().filter(|seen| wanted(seen)) {
                return seen.clone();
            }
            last = seen.or(last);
            assert!(Instant::now() < deadline, "waited in vain for `{name}`; last was {last:?}");
            thread::sleep(POLL);
        }
    }

    /// Waits for a probe to have this status.
    pub fn wait_status(&self, name: &str, status: u32) -> Value {
        self.wait_probe(name, |probe| probe["Status"] == status)
    }

    pub fn wait_gone(&self, name: &str) {
        wait_until(&format!("`{name}` is gone"), || self.probe(name).is_none());
    }

    /// Waits until a probe has been run once more than now, whatever it says.
    pub fn wait_rerun(&self, name: &str) -> Value {
        let before = self.wait_probe(name, |_| true)["ProbeDate"].clone();
        self.wait_probe(name, |probe| probe["ProbeDate"] != before)
    }

    /// All of the log that this test can have made, the oldest entry first.
    pub fn logs(&self) -> Vec<Value> {
        let logs = self.json("/api/logs?after=0&limit=10000");
        logs.as_array().unwrap().clone()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Asks it to read its configuration again.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    fn wait_end(&mut self) -> ExitStatus {
        wait_for("the agent ends", || self.process.child.try_wait().unwrap())
    }

    /// Ends it as an init system does.
    pub fn stop(mut self) -> Home {
        self.end(Signal::TERM);
        self.home
    }

    /// Sends `signal` and expects a clean end.
    pub fn end(&mut self, signal: Signal) {
        self.signal(signal);
        let status = self.wait_end();
        assert_eq!(status.code(), Some(0), "{status}");
    }

    /// Ends it as the kernel does when memory is short.
    pub fn kill(mut self) -> Home {
        self.signal(Signal::KILL);
        self.wait_end();
        self.home
    }

    pub fn restart(self) -> Agent {
        self.stop().start()
    }

    /// `wigocli` that asks this agent.
    pub fn wigocli(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wigocli"));
        command.args(["--url", &self.url()]).args(arguments).env("NO_COLOR", "1");
        command.output().unwrap()
    }

    /// Open file descriptors.
    pub fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.pid().as_raw_nonzero());
        fs::read_dir(folder).unwrap().count()
    }

    /// The most memory that was ever resident, in KiB.
    pub fn peak_kib(&self) -> u64 {
        let status = format!("/proc/{}/status", self.pid().as_raw_nonzero());
        let status = fs::read_to_string(status).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Processes that a probe of this agent started and that still are, zombies included.
    pub fn offspring(&self) -> Vec<String> {
        let me = self.pid().as_raw_nonzero().to_string();
        let marker = format!("WIGO_PROBE_RUN={me}-");
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let found = processes.filter_map(|process| {
            let folder = process.path();
            let stat = fs::read_to_string(folder.join("stat")).ok()?;
            let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_whitespace().collect();
            let environment = fs::read(folder.join("environ")).unwrap_or_default();
            let is_marked = environment
                .split(|byte| *byte == 0)
                .any(|variable| variable.starts_with(marker.as_bytes()));
            (fields.get(1) == Some(&me.as_str()) || is_marked).then_some(stat)
        });
        found.collect()
    }
}

/// Both streams of a finished command, for messages.
pub fn text_of(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
