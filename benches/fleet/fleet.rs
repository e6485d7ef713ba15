//! Push clients in this process: the library's own, each with a tree of one host and its probes.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    fs,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::{runtime::Runtime, sync::watch, task::JoinHandle};
use uuid::Uuid;
use wigo::{
    app::VERSION,
    config::{self, PushClient},
    hub::{Changes, Entry, Hub, Journal, Ledger},
    json::Json,
    orders::NoOrders,
    push::client::{Clients, Past, Reporter, Tcp},
    status::Status,
    tree::{Event, Host, Instance, ProbeName, ProbeResult, Tree},
};

use crate::{
    Outcome,
    master::{Counts, Place, Wigo, write},
};

/// Probes of each client.
pub const PROBES: usize = 20;
/// How often each probe runs, in seconds.
const INTERVAL_S: u32 = 60;
/// Signs of life, in seconds.
const HEARTBEAT_S: u32 = 10;
/// Of 100 runs, so many change the status: 1 % of the results each 10 s.
const CHANGING_PERCENT: u64 = 6;
/// Entries of the journal that a client keeps.
const KEPT_ENTRIES: usize = 1_000;
/// Clients that are on their way to the master at once, in the beginning.
const CONNECTING: u64 = 300;
/// After so many clients it is looked how many have come.
const LOOK_AFTER: usize = 50;
/// For all clients to connect.
const CONNECT_LIMIT: Duration = Duration::from_secs(180);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The journal of a client, in memory.
#[derive(Clone, Default)]
struct Memory {
    kept: Arc<Mutex<VecDeque<Entry>>>,
    /// The newest id.
    newest: watch::Sender<u64>,
}

impl Memory {
    fn kept(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for Memory {
    fn record(&self, changes: Changes) {
        let Some(newest) = changes.entries.last().map(|entry| entry.id) else { return };
        let mut kept = self.kept();
        kept.extend(changes.entries);
        let surplus = kept.len().saturating_sub(KEPT_ENTRIES);
        kept.drain(..surplus);
        self.newest.send_replace(newest);
    }
}

impl Past for Memory {
    fn after(&self, id: u64, limit: usize) -> Result<Vec<Entry>, String> {
        Ok(self.kept().iter().filter(|entry| entry.id > id).take(limit).cloned().collect())
    }

    fn before_newest(&self, count: usize) -> Result<u64, String> {
        Ok(self.kept().iter().rev().take(count).next_back().map_or(0, |entry| entry.id - 1))
    }

    fn durable(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}

/// What a run of a probe says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// The same as before.
    Same,
    /// Now and then another status.
    Changes,
    /// Other numbers each time, and now and then another status.
    News,
}

struct Client {
    name: String,
    hub: Arc<Hub>,
    clients: Clients,
    /// A bit for each probe that is not well.
    bad: AtomicU32,
}

/// Many clients of one master.
pub struct Fleet {
    clients: Arc<Vec<Client>>,
    runtime: Runtime,
    driver: Option<JoinHandle<()>>,
}

/// The name of a probe.
pub fn probe(number: usize) -> ProbeName {
    ProbeName::new(&format!("check_{number:02}")).expect("it is a name")
}

/// What a probe says, about as long as what real ones say.
pub fn result(probe: &ProbeName, is_bad: bool, news: Option<u64>) -> ProbeResult {
    let (status, word) = if is_bad { (Status::CRIT, "high") } else { (Status::OK, "good") };
    let number = news.unwrap_or(40) % 100;
    let metrics = format!(
        "[{{\"Tags\":{{\"disk\":\"sda1\",\"probe\":\"{probe}\"}},\"Value\":{number}}},\
         {{\"Tags\":{{\"disk\":\"sdb1\"}},\"Value\":{number}}}]"
    );
    ProbeResult {
        name: probe.clone(),
        version: "1.0.0".into(),
        value: Json::parse(&number.to_string()).unwrap_or_default(),
        message: format!("{probe} is {word}: {number} of 100 parts are used"),
        date: Timestamp::now(),
        metrics: Json::parse(&metrics).unwrap_or_default(),
        detail: Json::null(),
        status,
        exit_code: 0,
        interval: INTERVAL_S,
    }
}

/// The clients of a master, as they are named.
pub fn identities(count: usize) -> impl Iterator<Item = (Uuid, String)> {
    (0..count).map(|number| {
        let name = format!("host{number:05}");
        (Uuid::new_v5(&Uuid::NAMESPACE_DNS, name.as_bytes()), name)
    })
}

/// Signs that many clients and writes who is allowed. Before the master starts.
pub fn admit(place: &Place, count: usize) -> Outcome {
    let folder = place.folder.join("clients");
    fs::create_dir_all(&folder)?;
    let mut allowed = String::new();
    for (uuid, name) in identities(count) {
        place.sign(uuid, &name, &folder.join(&name))?;
        writeln!(allowed, "{uuid} {name}")?;
    }
    write(&place.folder.join("allowed"), allowed)
}

impl Fleet {
    /// Makes the clients, which have run their probes once; none connects yet.
    pub fn new(count: usize) -> Outcome<Fleet> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let clients = identities(count).map(|(uuid, name)| Client::new(uuid, name)).collect();
        Ok(Fleet { clients: Arc::new(clients), runtime, driver: None })
    }

    /// Connects all to the master, a few at a time, and waits until it has all of them. Returns how long
    /// it took.
    pub fn connect(&self, place: &Place, master: &Wigo) -> Outcome<Duration> {
        let settings = settings(place)?;
        let before = master.http.counts()?;
        let started = Instant::now();
        let _guard = self.runtime.enter();
        for (number, client) in self.clients.iter().enumerate() {
            // Asked for some of them: a few more at once do no harm.
            while number % LOOK_AFTER == 0
                && number as u64 > master.http.counts()?.alive - before.alive + CONNECTING
            {
                within(started, CONNECT_LIMIT, "the clients connected")?;
                thread::sleep(LOOK_EVERY);
            }
            client.clients.set(&client.settings(&settings, &place.folder));
        }
        self.wait(master, before, CONNECT_LIMIT)?;
        Ok(started.elapsed())
    }

    /// Waits until the master has the whole state of all.
    pub fn wait(&self, master: &Wigo, before: Counts, limit: Duration) -> Outcome<Counts> {
        let started = Instant::now();
        let alive = before.alive + self.clients.len() as u64;
        let probes = before.probes + (self.clients.len() * PROBES) as u64;
        loop {
            let counts = master.http.counts()?;
            if counts.alive >= alive && counts.probes >= probes && counts.stale <= before.stale {
                return Ok(counts);
            }
            within(started, limit, &format!("the master has all ({counts:?})"))?;
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Lets the probes run, evenly over their interval, until this is called again.
    pub fn run_probes(&mut self, says: Option<Says>) {
        if let Some(driver) = self.driver.take() {
            driver.abort();
        }
        if let Some(says) = says {
            self.driver = Some(self.runtime.spawn(drive(self.clients.clone(), says)));
        }
    }

    /// Changes the status of a probe of a client. Returns the path where its master shows it and the
    /// status that it has now.
    pub fn flip(&self, client: usize, number: usize) -> (String, u16) {
        let client = &self.clients[client % self.clients.len()];
        let is_bad = client.run(number % PROBES, true, None);
        let path = format!("/api/hosts/{}/probes/{}/status", client.name, probe(number % PROBES));
        (path, if is_bad { Status::CRIT.number() } else { Status::OK.number() })
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.run_probes(None);
    }
}

impl Client {
    fn new(uuid: Uuid, name: String) -> Client {
        let group = format!("group{:02}", uuid.as_u128() % 50);
        let tree = Tree::new(Instance::new(uuid, VERSION, Host::new(&name, group)));
        let journal = Memory::default();
        let ledger = Ledger { next_id: 1, ..Ledger::default() };
        let hub = Arc::new(Hub::new(tree, ledger, Box::new(journal.clone())));
        hub.handle(Event::Started { message: format!("{VERSION} started") });
        for number in 0..PROBES {
            let (instance, result) = (uuid, result(&probe(number), false, None));
            // As after a restart: these are no news.
            hub.handle(Event::Restored { instance, since: result.date, result });
        }
        let past = Arc::new(journal);
        let network = Arc::new(Tcp);
        let orders = Arc::new(NoOrders);
        let reporter = Reporter { uuid, version: VERSION, hub: hub.clone(), past, network, orders };
        let client = Client { name, hub, clients: Clients::new(reporter), bad: AtomicU32::new(0) };
        (0..PROBES).for_each(|number| _ = client.run(number, false, None));
        client
    }

    fn settings(&self, of_all: &PushClient, folder: &Path) -> PushClient {
        let uuid_sig = folder.join("clients").join(&self.name);
        PushClient { uuid_sig, ..of_all.clone() }
    }

    /// Runs a probe. Returns whether it is bad now.
    fn run(&self, number: usize, flips: bool, news: Option<u64>) -> bool {
        let bit = 1 << number;
        let before = match flips {
            true => self.bad.fetch_xor(bit, Relaxed),
            false => self.bad.load(Relaxed),
        };
        let is_bad = (before & bit != 0) != flips;
        let probe = probe(number);
        let results = vec![result(&probe, is_bad, news)];
        self.hub.handle(Event::Ran { probe, results, complete: true });
        is_bad
    }
}

/// How clients reach the master: read from a file, as it is for real.
fn settings(place: &Place) -> Outcome<PushClient> {
    let path = place.folder.join("clients.conf");
    write(&path, place.client_section(Path::new("/"), Some(HEARTBEAT_S)))?;
    Ok(config::load(&path)?.config.push_client)
}

/// Runs the probes of all clients, each once in its interval.
async fn drive(clients: Arc<Vec<Client>>, says: Says) {
    let (total, started) = (clients.len() * PROBES, tokio::time::Instant::now());
    let random = AtomicU64::new(0x9e37_79b9_7f4a_7c15);
    let mut done = 0;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let due = started.elapsed().as_secs_f64() / f64::from(INTERVAL_S) * total as f64;
        while done < due as usize {
            let (client, number) = (&clients[done % clients.len()], done / clients.len() % PROBES);
            let flips = says != Says::Same && next(&random) % 100 < CHANGING_PERCENT;
            client.run(number, flips, (says == Says::News).then(|| next(&random)));
            done += 1;
        }
    }
}

/// Numbers that only have to look random (xorshift).
fn next(state: &AtomicU64) -> u64 {
    let mut x = state.load(Relaxed);
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    state.store(x, Relaxed);
    x >> 11
}

/// An error once the limit has passed.
pub fn within(started: Instant, limit: Duration, what: &str) -> Outcome {
    match started.elapsed() < limit {
        true => Ok(()),
        false => Err(format!("{} s passed before {what}", limit.as_secs()).into()),
    }
}

/// Bytes of TCP payload that the connections of a port have taken and given, as the kernel counts them.
/// `None` without `ss`.
pub fn payload(port: u16) -> Option<(u64, u64)> {
    let output = Command::new("ss").args(["-tinHO", &format!("sport = :{port}")]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let sum = |name: &str| -> u64 {
        let words = text.split_whitespace().filter_map(|word| word.strip_prefix(name));
        words.filter_map(|number| number.parse::<u64>().ok()).sum()
    };
    Some((sum("bytes_received:"), sum("bytes_sent:")))
}
