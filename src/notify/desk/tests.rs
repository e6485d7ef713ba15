use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::{
    hub::Ledger,
    json::Json,
    notify::{
        channel::{Channel, Delivery as Sent, Sending},
        rules::{self, Confirm, GroupBy, Matcher},
    },
    store::{DeliveryState, NotificationQuery, Opened, Settings},
    tree::{Contact, Event, Host, Instance, Parting, ProbeName, ProbeResult, Tree},
};

/// No condition takes this long.
const LIMIT: Duration = Duration::from_secs(60);

/// A receiver that takes everything.
#[derive(Default)]
struct Sink(Mutex<Vec<Sent>>);

impl Channel for Sink {
    fn send<'a>(&'a self, delivery: &'a Sent) -> Sending<'a> {
        self.0.lock().unwrap().push(delivery.clone());
        Box::pin(async { Ok(Receipt("taken".into())) })
    }
}

impl Sink {
    fn titles(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|sent| sent.message.title.clone()).collect()
    }

    fn last(&self) -> Message {
        self.0.lock().unwrap().last().unwrap().message.clone()
    }
}

fn rules() -> Rules {
    Rules {
        sender: "here".into(),
        page_url: String::new(),
        min_level: Status::WARN,
        on_probe_change: true,
        on_host_change: true,
        rescue_only: false,
        flapping: None,
        confirm: vec![Confirm { matches: Matcher::default(), runs: 1, of: 1 }],
        group_by: GroupBy::Host,
        group_wait: Duration::ZERO,
        group_window: Duration::ZERO,
        repeat: None,
        escalate_after: Duration::ZERO,
        quiet: None,
        dependencies: vec![],
        channels: vec![rules::Channel {
            name: "sink".into(),
            matches: Matcher::default(),
            min_level: Status::OK,
            escalation: false,
            reminders_only: false,
            only_fallback: false,
            hours: None,
            per_minute: 600,
        }],
        expire: Duration::from_secs(3600),
        has_witnesses: false,
    }
}

/// A hub with its store and its desk, in a folder.
struct Office {
    hub: Arc<Hub>,
    store: Store,
    desk: Arc<Desk>,
    sink: Arc<Sink>,
    tasks: Tasks,
}

impl Office {
    /// Opens what is in the folder, but begins nothing yet.
    fn open(folder: &TempDir, rules: Rules) -> Office {
        let path = folder.path().join("wigo.db");
        let opened = Store::open(Settings { path, origin: Uuid::from_u128(1), keep_days: 30 });
        let me = Instance::new(Uuid::from_u128(1), "Wigo v1", Host::new("here", "group"));
        let Opened { store, next_id, positions, told, .. } = opened;
        let ledger = Ledger { next_id, positions, told };
        let hub = Arc::new(Hub::new(Tree::new(me), ledger, Box::new(store.clone())));
        let parts = Parts {
            hub: hub.clone(),
            store: store.clone(),
            show_result: |_, subject| Some(format!("\"{subject}\"")),
        };
        let desk = Desk::open(parts, rules);
        Office { hub, store, desk, sink: Arc::default(), tasks: Tasks::default() }
    }

    /// Lets the desk work.
    fn work(&mut self, witnesses: Vec<String>) {
        let outlet = Outlet {
            name: "sink".into(),
            kind: "test".into(),
            channel: self.sink.clone(),
            render: Arc::new(|message, _, _| (message.title.clone(), message.output.clone())),
            limit: Duration::from_secs(10),
            fallback: None,
            escalation: false,
            reminders_only: false,
            whom: "everybody".into(),
        };
        let interval = Duration::from_secs(3600);
        self.desk.set_channels(vec![outlet], Witnesses { targets: witnesses, interval });
        self.desk.start(&mut self.tasks);
    }

    /// The end of the process, as far as that can be had here: nothing is said.
    async fn end(mut self) {
        self.tasks.stop(Duration::from_secs(10)).await;
        self.desk.stop().await;
        self.store.flush().unwrap();
    }

    fn ran(&self, name: &str, status: Status) {
        let probe = ProbeName::new(name).unwrap();
        let result = ProbeResult {
            name: probe.clone(),
            version: String::new(),
            value: Json::null(),
            message: format!("{name} says {status}"),
            date: Timestamp::now(),
            metrics: Json::null(),
            detail: Json::null(),
            status,
            exit_code: 0,
            interval: 60,
        };
        self.hub.handle(Event::Ran { probe, results: vec![result], complete: true });
    }

    async fn until(&self, what: &str, holds: impl Fn(&Office) -> bool) {
        let begin = Instant::now();
        while !holds(self) {
            assert!(begin.elapsed() < LIMIT, "in vain: {what}; {:?}", self.sink.titles());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn until_told(&self, count: usize) {
        self.until("messages", |office| office.sink.titles().len() >= count).await;
    }

    fn rows(&self, state: DeliveryState) -> usize {
        let query = NotificationQuery { state: Some(state), limit: 100, ..Default::default() };
        self.store.notify().notifications(&query).map_or(0, |page| page.items.len())
    }
}

#[tokio::test]
async fn what_happens_is_told_with_all_that_belongs_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = Office::open(&folder, rules());
    office.work(vec![]);
    let mut changes = office.desk.changes();
    office.ran("load", Status::OK);
    office.ran("disk", Status::CRIT);
    office.until_told(1).await;
    let message = office.sink.last();
    assert_eq!(message.subject, Subject::probe("here", ProbeName::new("disk").unwrap()));
    assert_eq!(message.result.as_deref(), Some("\"here / disk\""));
    assert_eq!(message.probes_in_error, ["disk"]);
    assert!(message.output.contains("disk says"), "{message:?}");
    office.ran("disk", Status::OK);
    office.until_told(2).await;
    assert_eq!(office.sink.last().kind, Kind::Recovered);
    office.until("both are noted", |office| office.rows(DeliveryState::Sent) == 2).await;
    let Change::Incident(news) = changes.recv().await.unwrap() else { panic!() };
    assert!(news.title.starts_with("here / disk is CRIT"), "{news:?}");
    assert_eq!((news.is_open, news.bad, news.members), (true, 1, 1));
    office.end().await;
}

#[tokio::test]
async fn a_restart_goes_on_where_the_last_one_stopped() {
    let folder = tempfile::tempdir().unwrap();
    // It ends after the entry is on the disk, and before anybody looked at it.
    let office = Office::open(&folder, rules());
    office.ran("disk", Status::CRIT);
    office.end().await;
    let mut office = Office::open(&folder, rules());
    office.work(vec![]);
    office.until_told(1).await;
    office.until("it is noted", |office| office.rows(DeliveryState::Sent) == 1).await;
    office.end().await;
    // And it is not told again.
    let mut office = Office::open(&folder, rules());
    office.work(vec![]);
    office.ran("load", Status::CRIT);
    office.until_told(1).await;
    assert!(office.sink.titles()[0].contains("load"), "{:?}", office.sink.titles());
    office.end().await;
}

#[tokio::test]
async fn what_was_bad_before_the_first_start_is_not_told() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::open(&folder, rules());
    office.ran("disk", Status::CRIT);
    office.store.flush().unwrap();
    let path = folder.path().join("wigo.db");
    // As a database of the time before notifications is.
    let database = rusqlite::Connection::open(&path).unwrap();
    database.execute("DELETE FROM meta WHERE key LIKE 'notify%'", []).unwrap();
    drop(database);
    office.end().await;
    let mut office = Office::open(&folder, rules());
    office.work(vec![]);
    office.ran("load", Status::CRIT);
    office.until_told(1).await;
    assert!(office.sink.titles()[0].contains("load"), "{:?}", office.sink.titles());
    office.end().await;
}

#[tokio::test]
async fn people_are_told_though_the_disk_does_not_answer_and_once_only() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = Office::open(&folder, rules());
    office.work(vec![]);
    office.ran("load", Status::OK);
    office.store.flush().unwrap();
    let mut lock = rusqlite::Connection::open(folder.path().join("wigo.db")).unwrap();
    let held = lock.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    office.ran("disk", Status::CRIT);
    office.until_told(1).await;
    office
        .until("it is said", |office| {
            office.desk.troubles().iter().any(|(status, _)| *status == Status::CRIT)
        })
        .await;
    assert_eq!(office.rows(DeliveryState::Sent) + office.rows(DeliveryState::Waiting), 0);
    held.rollback().unwrap();
    office.until("it is noted", |office| office.rows(DeliveryState::Sent) == 1).await;
    office.until("all is well", |office| office.desk.troubles().is_empty()).await;
    assert_eq!(office.sink.titles().len(), 1);
    office.end().await;
}

#[tokio::test]
async fn a_monitor_without_network_says_that_it_is_blind_and_not_that_others_are_down() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = Office::open(&folder, Rules { has_witnesses: true, ..rules() });
    let witness = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = witness.local_addr().unwrap().to_string();
    office.work(vec![address]);
    let link = Uuid::from_u128(2);
    let limit = Duration::from_millis(1);
    let contact = Contact::Push { address: String::new(), encrypted: true };
    let linked = Event::Linked { link, name: "there".into(), contact, limit, grace: limit };
    office.hub.handle(linked);
    // Nobody answers any more, and at that moment a host falls silent.
    drop(witness);
    office.hub.handle(Event::Parted { link, how: Parting::Lost });
    std::thread::sleep(limit * 2);
    office.hub.handle(Event::Tick);
    office.until("it is blind", |office| office.desk.brain().policy.is_blind()).await;
    office.until_told(1).await;
    let titles = office.sink.titles();
    assert!(titles.iter().all(|title| title.contains("blind")), "{titles:?}");
    office.end().await;
}

#[tokio::test]
async fn what_is_held_back_is_on_the_disk_when_it_is_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = Office::open(&folder, rules());
    office.work(vec![]);
    let mut changes = office.desk.changes();
    let silence = Command::Silence {
        scope: crate::notify::Scope::Subject(Subject::host("here")),
        author: "alice".into(),
        reason: "work".into(),
        until: Timestamp::now() + Duration::from_secs(3600),
    };
    let Answer::Done(made) = office.desk.command(silence).await.unwrap() else { panic!() };
    assert_eq!(made.len(), 1);
    let stored = office.store.notify().load().unwrap().state.pieces;
    assert!(stored.iter().any(|(kind, _, _)| kind == "suppression"), "{stored:?}");
    assert_eq!(changes.recv().await.unwrap(), Change::Suppressions);
    office.ran("disk", Status::CRIT);
    let held = |office: &Office| {
        let query = crate::store::DecisionQuery { limit: 9, ..Default::default() };
        let decisions = office.store.notify().decisions(&query).unwrap().items;
        decisions.iter().any(|stored| {
            stored.decision.reason().map(|step| step.reason)
                == Some(crate::notify::Reason::Silenced)
        })
    };
    office.until("the decision", held).await;
    assert_eq!(office.sink.titles(), Vec::<String>::new());
    office.end().await;
}
