//! The agent watches itself, and says what it finds as a probe called `wigo`.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Surroundings, Trouble};
use crate::{
    hub::Hub,
    json::{Json, number},
    notify::Desk,
    probe::{
        catalog::SELF_PROBE,
        pool::{Counters, Pool},
    },
    push::client::Clients,
    status::Status,
    store::{Health, Store},
    tree::{Event, ProbeName, ProbeResult},
};

/// Between two looks.
const TICK: Duration = Duration::from_secs(15);
/// A result is given at least this often, though nothing has changed.
const EVERY: Duration = Duration::from_secs(60);
/// A probe that starts later than this is worth a word.
const LATE: Duration = Duration::from_secs(5);
/// How long that is remembered.
const LATE_FOR: Duration = Duration::from_secs(300);

/// The thread that looks, until this is dropped. A thread of its own, since a timer of the runtime
/// wakes several.
pub struct Watchman {
    /// A word on it means "look now", its end means "stop".
    ask: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchman {
    /// Looks once, then every [`TICK`].
    pub fn start(mut own: OwnProbe) -> io::Result<Watchman> {
        let (ask, asked) = sync_channel(1);
        own.look();
        let work = move || {
            while asked.recv_timeout(TICK) != Err(RecvTimeoutError::Disconnected) {
                own.look();
            }
        };
        let thread = std::thread::Builder::new().name("own-probe".into()).spawn(work)?;
        Ok(Watchman { ask: Some(ask), thread: Some(thread) })
    }

    /// Looks as soon as possible, because something is known to have changed.
    pub fn look_now(&self) {
        if let Some(ask) = &self.ask {
            // Full means that a look is coming anyway.
            let _ = ask.try_send(());
        }
    }
}

impl Drop for Watchman {
    fn drop(&mut self) {
        self.ask = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The agent's own probe.
pub struct OwnProbe {
    hub: Arc<Hub>,
    store: Store,
    pool: Arc<Pool>,
    trouble: Trouble,
    clients: Arc<Clients>,
    desk: Arc<Desk>,
    name: ProbeName,
    told: Option<(Instant, Status, String)>,
    late: Option<(Instant, Duration)>,
}

impl OwnProbe {
    pub(super) fn new(
        hub: Arc<Hub>,
        store: Store,
        pool: Arc<Pool>,
        trouble: Trouble,
        clients: Arc<Clients>,
        desk: Arc<Desk>,
    ) -> OwnProbe {
        let name = ProbeName::new(SELF_PROBE).expect("a plain word");
        OwnProbe { hub, store, pool, trouble, clients, desk, name, told: None, late: None }
    }

    /// The worst lateness of the last minutes, so that a probe that is late each minute is one warning
    /// and not one a minute.
    fn worst_late(&mut self, now: Duration) -> Duration {
        let held = self.late.filter(|(at, _)| at.elapsed() < LATE_FOR).map(|(_, late)| late);
        if held.is_none_or(|held| now >= held) {
            self.late = Some((Instant::now(), now));
        }
        held.unwrap_or_default().max(now)
    }

    /// Looks at everything, and tells if there is something to tell.
    pub fn look(&mut self) {
        self.pool.nudge();
        self.hub.check_clock();
        let (mut counters, health) = (self.pool.take_counters(), self.store.health());
        // Not while nothing can be written: the entry that tells of the loss would push out another.
        if health.problem.is_none() {
            let lost = self.store.take_lost();
            if lost > 0 {
                let why = "the database could not be written".into();
                self.hub.handle(Event::Lost { count: lost, why });
            }
        }
        counters.worst_late = self.worst_late(counters.worst_late);
        let push = self.clients.troubles();
        let (status, message) =
            judge(&counters, &health, &self.trouble.get(), push, self.desk.troubles());
        let same = self.told.as_ref().is_some_and(|(at, was, said)| {
            at.elapsed() < EVERY && *was == status && *said == message
        });
        if same {
            return;
        }
        self.told = Some((Instant::now(), status, message.clone()));
        let result = ProbeResult {
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            value: Json::string(status.level().word()),
            message,
            date: Timestamp::now(),
            metrics: Json::from_value(&metrics(&counters, &health)),
            detail: Json::null(),
            status,
            exit_code: 0,
            interval: EVERY.as_secs() as u32,
        };
        let probe = self.name.clone();
        self.hub.handle(Event::Ran { probe, results: vec![result], complete: true });
    }
}

/// The worst thing decides the status; all of them are said.
fn judge(
    counters: &Counters,
    health: &Health,
    around: &Surroundings,
    push: Vec<String>,
    notifications: Vec<(Status, String)>,
) -> (Status, String) {
    let mut found: Vec<(Status, String)> = Vec::new();
    if let Some(problem) = &health.problem {
        let waiting = match health.waiting {
            0 => String::new(),
            waiting => format!(" ({waiting} log entries wait in memory)"),
        };
        found.push((Status::CRIT, format!("database: {problem}{waiting}")));
    }
    // Until the next start, so that nobody misses what happened to the history.
    found.extend(health.notes.iter().map(|note| (note.status, format!("database: {}", note.text))));
    found.extend(around.probes.clone().map(|problem| (Status::CRIT, problem)));
    found.extend(around.config.clone().map(|problem| (Status::WARN, problem)));
    found.extend(push.into_iter().map(|problem| (Status::WARN, problem)));
    found.extend(notifications);
    if counters.undead > 0 {
        let message = format!("{} probes do not die even of SIGKILL", counters.undead);
        found.push((Status::WARN, message));
    }
    if counters.worst_late > LATE {
        let seconds = counters.worst_late.as_secs();
        let message = format!(
            "probes start up to {seconds} s late: too many slow ones at once for \
             [Probes] MaxConcurrent"
        );
        found.push((Status::WARN, message));
    }
    found.sort_by_key(|(status, _)| std::cmp::Reverse(*status));
    match found.first() {
        None => (Status::OK, "all is well with the agent itself".into()),
        Some((status, _)) => {
            let said: Vec<&str> = found.iter().map(|(_, message)| message.as_str()).collect();
            (*status, said.join("; "))
        }
    }
}

fn metrics(counters: &Counters, health: &Health) -> Value {
    let metric =
        |name: &str, value: f64| json!({ "Tags": { "metric": name }, "Value": number(value) });
    json!([
        metric("probe_runs", counters.runs as f64),
        metric("probe_timeouts", counters.timeouts as f64),
        metric("probe_runs_skipped", counters.skipped as f64),
        metric("probe_worst_late_seconds", counters.worst_late.as_secs_f64()),
        metric("probe_processes_escaped", counters.escaped as f64),
        metric("log_entries_waiting", health.waiting as f64),
        metric("log_entries_lost", health.lost as f64),
        metric("database_bytes", health.bytes as f64),
    ])
}
