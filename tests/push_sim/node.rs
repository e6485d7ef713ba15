//! One instance: the real hub, server and clients on a simulated disk, clock and network.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use uuid::Uuid;
use wigo::{
    connections::Connections,
    hub::Hub,
    json::Json,
    orders::NoOrders,
    push::{
        client::{Clients, Reporter},
        protocol::{Pool, transport::Traffic},
        server::{self, Live},
    },
    status::Status,
    task::{Stop, Tasks},
    tree::{Event, Host, Instance, Known, Now, ProbeName, ProbeResult, Tree},
};

use crate::{
    disk::{Disk, Durable, OnDisk},
    identities::{IDENTITIES, uuid},
    network::{Index, Place, Wires},
};

/// How long an instance may be silent, whatever it promises.
pub const ALIVE_TIMEOUT: Duration = Duration::from_secs(15);
/// Between two looks at who is silent, as in the app.
const TICK: Duration = Duration::from_millis(250);
/// Ticks between two looks at the clock.
const CLOCK_LOOK: u32 = 40;
/// What the clocks say when a simulation begins.
const WALL_AT_START: i64 = 1_700_000_000;
const BOOT_AT_START: Duration = Duration::from_secs(1_000);
const VERSION: &str = "Wigo v1.0.0";

/// Both clocks of a machine. The wall clock may be wrong.
struct Clock {
    began: Instant,
    wrong_by_ms: AtomicI64,
}

impl Clock {
    fn now(&self) -> Now {
        let passed = self.began.elapsed();
        let wrong = SignedDuration::from_millis(self.wrong_by_ms.load(Ordering::Relaxed));
        let started = Timestamp::from_second(WALL_AT_START).unwrap();
        Now { wall: started + wrong + passed, boot: BOOT_AT_START + passed }
    }
}

pub struct Node {
    pub index: Index,
    pub uuid: Uuid,
    pub name: String,
    pub masters: Vec<Index>,
    pub listens: bool,
    pub disk: Arc<Disk>,
    clock: Arc<Clock>,
    wires: Arc<Wires>,
    running: Option<Running>,
    clean: bool,
}

/// What a crash takes.
struct Running {
    hub: Arc<Hub>,
    clients: Clients,
    /// Aborted when dropped.
    tasks: JoinSet<()>,
    sessions: Tasks,
}

impl Node {
    pub fn new(index: Index, masters: Vec<Index>, listens: bool, wires: Arc<Wires>) -> Node {
        Node {
            index,
            uuid: uuid(index),
            name: format!("node{index}"),
            masters,
            listens,
            disk: Arc::new(Disk::default()),
            clock: Arc::new(Clock { began: Instant::now(), wrong_by_ms: AtomicI64::new(0) }),
            wires,
            running: None,
            clean: true,
        }
    }

    pub fn hub(&self) -> Option<&Arc<Hub>> {
        self.running.as_ref().map(|running| &running.hub)
    }

    pub fn set_clock(&self, wrong_by_ms: i64) {
        self.clock.wrong_by_ms.store(wrong_by_ms, Ordering::Relaxed);
    }

    /// A probe ran.
    pub fn ran(&self, probe: &str, status: i64) {
        let Some(hub) = self.hub() else { return };
        let name = ProbeName::new(probe).unwrap();
        let now = Timestamp::from_millisecond(self.clock.now().wall.as_millisecond()).unwrap();
        let result = ProbeResult {
            name: name.clone(),
            version: String::new(),
            value: Json::null(),
            message: format!("{probe} is {status}"),
            date: now,
            metrics: Json::null(),
            detail: Json::null(),
            status: Status::new(status).unwrap(),
            exit_code: 0,
            interval: 10,
        };
        hub.handle(Event::Ran { probe: name, results: vec![result], complete: true });
    }

    pub fn removed(&self, probe: &str) {
        let Some(hub) = self.hub() else { return };
        hub.handle(Event::Gone { probe: ProbeName::new(probe).unwrap(), why: "removed".into() });
    }

    /// Starts from what is on the disk, if it does not run.
    pub fn start(&mut self) {
        if self.running.is_some() {
            return;
        }
        let past = self.disk.look(Durable::clone);
        let tree = Tree::new(Instance::new(self.uuid, VERSION, Host::new(&self.name, "")));
        let clock = self.clock.clone();
        let on_disk = OnDisk(self.disk.clone());
        let hub = Hub::with_clock(
            tree,
            past.ledger(),
            Box::new(on_disk.clone()),
            Box::new(move || clock.now()),
        );
        let hub = Arc::new(hub);
        hub.handle(Event::Configured {
            name: self.name.clone(),
            group: String::new(),
            labels: BTreeMap::new(),
            alive_timeout: ALIVE_TIMEOUT,
        });
        remember(&hub, past);
        if !std::mem::replace(&mut self.clean, false) {
            let at = self.clock.now().wall;
            hub.handle(Event::Stopped { at, message: "ended without saying so".into() });
        }
        hub.handle(Event::Started { message: "started".into() });
        let (mut tasks, mut sessions) = (JoinSet::new(), Tasks::default());
        if self.listens {
            self.listen(&hub, &mut tasks, &mut sessions);
            tasks.spawn(look_for_silence(hub.clone()));
        }
        tasks.spawn(write(self.disk.clone()));
        let clients = Clients::new(Reporter {
            uuid: self.uuid,
            version: VERSION,
            hub: hub.clone(),
            past: Arc::new(on_disk),
            network: Arc::new(Place { wires: self.wires.clone(), node: self.index }),
            orders: Arc::new(NoOrders),
        });
        if !self.masters.is_empty() {
            clients.set(&IDENTITIES.client(self.index, &self.masters));
        }
        self.running = Some(Running { hub, clients, tasks, sessions });
    }

    fn listen(&self, hub: &Arc<Hub>, tasks: &mut JoinSet<()>, sessions: &mut Tasks) {
        let host = Arc::new(server::Host {
            uuid: self.uuid,
            version: VERSION,
            ca: IDENTITIES.ca.clone(),
            authority: IDENTITIES.authority.clone(),
            hub: hub.clone(),
            pressure: Arc::new(OnDisk(self.disk.clone())),
            encrypted: false,
            alive_timeout: Box::new(|| ALIVE_TIMEOUT),
            live: Live::default(),
            pool: Pool::default(),
            traffic: Arc::new(Traffic::default()),
        });
        let mut stop: Option<Stop> = None;
        sessions.spawn("push server", |given| {
            stop = Some(given);
            async {}
        });
        let stop = stop.unwrap();
        let mut arrivals = self.wires.listen(self.index);
        let strangers = Connections::new(100, 100);
        tasks.spawn(async move {
            let mut served = JoinSet::new();
            while let Some((stream, address)) = arrivals.recv().await {
                let stranger = strangers.admit(address.ip()).unwrap();
                served.spawn(server::serve(stream, address, host.clone(), stranger, stop.clone()));
                while served.try_join_next().is_some() {}
            }
        });
    }

    /// The process is killed; what its disk has not got is gone.
    pub fn kill(&mut self) {
        self.wires.close(self.index);
        self.running = None;
        self.disk.crash();
    }

    /// The machine is without power.
    pub fn unplug(&mut self) {
        self.wires.unplug(self.index);
        self.kill();
    }

    /// Stops as the app does, meaning to come back.
    pub async fn stop(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        let at = self.clock.now().wall;
        running.hub.handle(Event::Stopped { at, message: "stopped".into() });
        running.clients.stop().await;
        self.wires.close(self.index);
        running.sessions.stop(Duration::from_secs(3)).await;
        running.tasks.shutdown().await;
        self.disk.flush();
        self.disk.crash();
        self.clean = !self.disk.is_stuck();
    }
}

/// As the app does.
fn remember(hub: &Hub, past: Durable) {
    let parents: HashMap<Uuid, Uuid> =
        past.known.values().map(|one| (one.uuid, one.parent)).collect();
    let depth = |known: &Known| {
        let above = std::iter::successors(Some(known.parent), |uuid| parents.get(uuid).copied());
        above.take(parents.len() + 1).count()
    };
    let mut known: Vec<Known> = past.known.into_values().collect();
    known.sort_by_cached_key(|one| (one.via != one.uuid, depth(one)));
    known.into_iter().for_each(|known| hub.handle(Event::Remembered { known }));
    for last in past.results.into_values() {
        let result = Arc::unwrap_or_clone(last.result);
        hub.handle(Event::Restored { instance: last.instance, result, since: last.since });
    }
}

async fn look_for_silence(hub: Arc<Hub>) {
    for tick in 0_u32.. {
        hub.handle(Event::Tick);
        if tick.is_multiple_of(CLOCK_LOOK) {
            hub.check_clock();
        }
        sleep(TICK).await;
    }
}

/// The disk takes a while for each round.
async fn write(disk: Arc<Disk>) {
    loop {
        disk.handed_in.notified().await;
        sleep(Duration::from_millis(40)).await;
        disk.flush();
        while disk.is_stuck() {
            sleep(Duration::from_millis(500)).await;
            disk.flush();
        }
    }
}
