//! A real `wigo` process: its files, its life, what it uses, and what it says over HTTP.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering::Relaxed},
    thread,
    time::{Duration, Instant, SystemTime},
};

use rustix::{
    process::{Pid, Signal, kill_process},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};
use serde_json::Value;
use uuid::Uuid;
use wigo::trust::{
    Ca, ClientKey,
    generate::{KeyKind, Plan, generate},
};

use crate::Outcome;

/// Ports that no outgoing connection takes, since they are below those that the kernel chooses from.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// For one answer over HTTP.
const HTTP_LIMIT: Duration = Duration::from_secs(30);
/// Clock ticks of `/proc/PID/stat`, the same on every Linux that users see.
const TICKS_PER_SECOND: u64 = 100;
/// A day, for certificates.
const DAY: Duration = Duration::from_secs(86_400);

/// Where an instance has its files, and its ports, which stay the same when it is started again.
pub struct Place {
    pub folder: PathBuf,
    pub http: u16,
    pub push: u16,
    pub ca: Ca,
}

/// What an instance does besides taking clients.
#[derive(Default)]
pub struct Duties<'a> {
    /// The master that it reports to.
    pub above: Option<&'a Place>,
    /// Ports on loopback that it asks.
    pub remotes: Vec<u16>,
}

/// A port that nobody listens on, and that was not given out before.
fn free_port() -> Outcome<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Where the search begins differs from run to run.
    let first = std::process::id() as u16 % PORTS.len() as u16;
    for _ in PORTS {
        let next = first + NEXT.fetch_add(1, Relaxed) % PORTS.len() as u16;
        let port = PORTS.start + next % PORTS.len() as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no port is free".into())
}

/// Writes a file that only we may read.
pub fn write(path: &Path, text: impl AsRef<[u8]>) -> Outcome {
    fs::write(path, text)?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o600))?)
}

impl Place {
    /// Makes the folder with an authority of its own, and a configuration.
    pub fn new(folder: PathBuf, name: &str, duties: &Duties<'_>) -> Outcome<Place> {
        fs::create_dir_all(folder.join("probes"))?;
        let now = SystemTime::now();
        let plan = Plan {
            hosts: vec!["127.0.0.1".into(), name.into()],
            authority: true,
            key: KeyKind::P256,
            not_before: now - DAY,
            not_after: now + 365 * DAY,
        };
        let made = generate(&plan)?;
        let (certificate, key) = (folder.join("ca.crt"), folder.join("ca.key"));
        write(&certificate, made.certificate_pem)?;
        write(&key, made.key_pem)?;
        let uuid = Uuid::new_v4();
        write(&folder.join("uuid"), uuid.to_string())?;
        write(&folder.join("allowed"), "")?;
        let (http, push) = (free_port()?, free_port()?);
        let ca = Ca::load(&certificate, &key, name)?;
        let place = Place { folder, http, push, ca };
        if let Some(above) = duties.above {
            above.admit(uuid, name, &place.folder.join("uuid.sig"))?;
        }
        write(&place.folder.join("wigo.conf"), place.configuration(name, duties))?;
        Ok(place)
    }

    fn configuration(&self, name: &str, duties: &Duties<'_>) -> String {
        let at = |file: &str| format!("{:?}", self.folder.join(file).display().to_string());
        let mut text = format!(
            "[Global]\nHostname = {name:?}\nProbesDirectory = {}\nProbesConfigDirectory = {}\n\
             UuidFile = {}\nDatabase = {}\nLogFile = {}\n\
             [Http]\nAddress = \"127.0.0.1\"\nPort = {}\n\
             [PushServer]\nEnabled = true\nAddress = \"127.0.0.1\"\nPort = {}\nSslCert = {}\n\
             SslKey = {}\nAllowedClientsFile = {}\n",
            at("probes"),
            at("conf.d"),
            at("uuid"),
            at("wigo.db"),
            at("wigo.log"),
            self.http,
            self.push,
            at("ca.crt"),
            at("ca.key"),
            at("allowed"),
        );
        if let Some(above) = duties.above {
            text += &above.client_section(&self.folder.join("uuid.sig"), None);
        }
        if !duties.remotes.is_empty() {
            let list = duties.remotes.iter().map(|port| format!("\"127.0.0.1:{port}\""));
            let list: Vec<String> = list.collect();
            text += &format!("[RemoteWigos]\nCheckInterval = 10\nList = [{}]\n", list.join(", "));
        }
        text
    }

    /// The configuration of a client of this master, whose certificate is at `signature`.
    pub fn client_section(&self, signature: &Path, interval_s: Option<u32>) -> String {
        let interval = interval_s.map(|seconds| format!("PushInterval = {seconds}\n"));
        format!(
            "[PushClient]\nEnabled = true\nAddress = \"127.0.0.1\"\nPort = {}\nSslCert = {:?}\n\
             UuidSig = {:?}\n{}",
            self.push,
            self.folder.join("ca.crt").display().to_string(),
            signature.display().to_string(),
            interval.unwrap_or_default(),
        )
    }

    /// Signs a client, as if it had enrolled: its key is beside its certificate. Before the start.
    pub fn admit(&self, uuid: Uuid, name: &str, certificate: &Path) -> Outcome {
        self.sign(uuid, name, certificate)?;
        let list = self.folder.join("allowed");
        let text = fs::read_to_string(&list)?;
        write(&list, format!("{text}{uuid} {name}\n"))
    }

    /// Signs a client without allowing it.
    pub fn sign(&self, uuid: Uuid, name: &str, certificate: &Path) -> Outcome {
        let mut key = certificate.as_os_str().to_owned();
        key.push(".key");
        write(Path::new(&key), rcgen::KeyPair::generate()?.serialize_pem())?;
        let csr = ClientKey::load_or_make(Path::new(&key))?.csr(uuid, name);
        let signed = self.ca.sign_client(&csr, uuid, SystemTime::now())?;
        write(certificate, signed.certificate_pem)
    }

    /// Starts `wigo` here, on one core only if `core` says so, and waits until it listens.
    pub fn start(&self, core: Option<usize>) -> Outcome<Wigo> {
        let held = sched_getaffinity(None)?;
        if let Some(core) = core {
            // A child is where its parent is.
            pin(core)?;
        }
        let started = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_wigo"))
            .arg("--config")
            .arg(self.folder.join("wigo.conf"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        sched_setaffinity(None, &held)?;
        let mut child = child?;
        let output = child.stdout.take().ok_or("no output")?;
        let mut wigo = Wigo { child, http: Http::new(self.http), listening: Duration::ZERO };
        let mut lines = BufReader::new(output).lines();
        for line in lines.by_ref() {
            if line?.contains("taking push clients on") {
                wigo.listening = started.elapsed();
                // Read on, so that it can go on writing.
                thread::spawn(move || lines.for_each(drop));
                return Ok(wigo);
            }
        }
        Err("wigo ended, or said nothing of push clients".into())
    }
}

/// Keeps this thread, and what it starts, on one core.
pub fn pin(core: usize) -> Outcome {
    let mut only = CpuSet::new();
    only.set(core);
    Ok(sched_setaffinity(None, &only)?)
}

/// A running `wigo`. Killed when dropped.
pub struct Wigo {
    child: Child,
    pub http: Http,
    /// How long it took from the start until it took clients.
    pub listening: Duration,
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub cpu: Duration,
    pub rss_kib: u64,
}

impl Wigo {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn usage(&self) -> Outcome<Usage> {
        usage(self.pid())
    }

    /// Ends it at once, and waits until it is gone with its port and its lock.
    pub fn kill(&mut self) -> Outcome {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    pub fn signal(&self, signal: Signal) -> Outcome {
        let pid = Pid::from_raw(self.pid() as i32).ok_or("no process")?;
        Ok(kill_process(pid, signal)?)
    }
}

impl Drop for Wigo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn usage(pid: u32) -> Outcome<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap_or(0)..].split_whitespace().collect();
    let ticks = fields[12].parse::<u64>()? + fields[13].parse::<u64>()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    let rss_kib = rss.split_whitespace().next().unwrap_or("0").parse()?;
    Ok(Usage { cpu: Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND), rss_kib })
}

/// Asks an instance, over one connection.
#[derive(Clone)]
pub struct Http {
    agent: ureq::Agent,
    base: String,
}

/// How many there are: `GET /api/counts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub alive: u64,
    pub down: u64,
    pub probes: u64,
    pub stale: u64,
}

impl Http {
    fn new(port: u16) -> Http {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(HTTP_LIMIT))
            .http_status_as_error(false)
            .build();
        Http { agent: config.into(), base: format!("http://127.0.0.1:{port}") }
    }

    /// Status, tag and content of an answer. `held` is the tag of what we have.
    pub fn ask(&self, path: &str, held: Option<&str>) -> Outcome<(u16, String, String)> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(held) = held {
            request = request.header("If-None-Match", held);
        }
        // Compressed answers are another measurement.
        let mut response = request.header("Accept-Encoding", "identity").call()?;
        let tag = response.headers().get("ETag").and_then(|tag| tag.to_str().ok());
        let tag = tag.unwrap_or_default().to_owned();
        let text = response.body_mut().with_config().limit(1 << 30).read_to_string()?;
        Ok((response.status().as_u16(), tag, text))
    }

    pub fn get(&self, path: &str) -> Outcome<String> {
        Ok(self.ask(path, None)?.2)
    }

    pub fn counts(&self) -> Outcome<Counts> {
        let told: Value = serde_json::from_str(&self.get("/api/counts")?)?;
        let number = |name: &str| told[name].as_u64().unwrap_or(0);
        Ok(Counts {
            alive: number("Alive"),
            down: number("Down"),
            probes: number("Probes"),
            stale: number("Stale"),
        })
    }
}
