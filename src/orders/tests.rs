use std::{collections::VecDeque, fs, os::unix::fs::PermissionsExt, path::PathBuf};

use futures_util::future::BoxFuture;

use serde_json::json;

use super::*;
use crate::{
    config::Role,
    hub::{Changes as HubChanges, Journal, Ledger},
    probe::{
        catalog::Catalog,
        pool::{self, Settings},
    },
    store::{self, Store},
    tree::{
        Account, Contact, Header, Host, Instance, Kind, Presence, ProbeResult, RemoteControl,
        Report, Tree,
    },
};

const ME: Uuid = Uuid::from_u128(1);
const LEAF: Uuid = Uuid::from_u128(2);
/// A way that shall answer this panics.
const BREAKS: &str = "it breaks";

/// What the hub would have stored.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<String>>>);

impl Journal for Kept {
    fn record(&self, changes: HubChanges) {
        let orders = changes.entries.into_iter().filter(|it| it.transition.kind == Kind::Ordered);
        self.0.lock().unwrap().extend(orders.map(|entry| entry.transition.message));
    }
}

struct Silent;

impl pool::Sink for Silent {
    fn ran(&self, _: &ProbeName, _: Vec<ProbeResult>, _: bool) {}
    fn gone(&self, _: &ProbeName, _: &str) {}
}

/// A way that answers what it was told to, and notes what it is given.
#[derive(Clone, Default)]
struct FakeWay {
    answers: Arc<Mutex<VecDeque<Outcome>>>,
    given: Arc<Mutex<Vec<Order>>>,
}

impl Way for FakeWay {
    fn send(&self, _: Link, order: Order) -> BoxFuture<'static, Outcome> {
        self.given.lock().unwrap().push(order);
        let answer = self.answers.lock().unwrap().pop_front();
        assert_ne!(answer, Some(Outcome::Away(BREAKS.into())), "as the test wants it");
        Box::pin(async { answer.unwrap_or(Outcome::Away("nobody there".into())) })
    }
}

#[derive(Clone, Default)]
struct Audit(Arc<Mutex<Vec<Record>>>);

impl Recorder for Audit {
    fn record(&self, record: Record) {
        self.0.lock().unwrap().push(record);
    }
}

struct Fixture {
    folder: tempfile::TempDir,
    hub: Arc<Hub>,
    orders: Arc<Orders>,
    config: Arc<ArcSwap<Config>>,
    way: FakeWay,
    kept: Kept,
    audit: Audit,
    tasks: Tasks,
    _store: Store,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// An instance with one below it that pushes, which is alive.
fn fixture(more: &str) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    fixture_in(folder, more)
}

fn fixture_in(folder: tempfile::TempDir, more: &str) -> Fixture {
    let root = folder.path().canonicalize().unwrap();
    let _ = fs::create_dir(root.join("probes"));
    let text = format!("[Global]\nProbesDirectory = \"{}/probes\"\n{more}", root.display());
    let loaded = crate::config::parse(&text, &root.join("wigo.conf")).unwrap();
    let config = Arc::new(ArcSwap::from_pointee(loaded.config));
    let kept = Kept::default();
    let tree = Tree::new(Instance::new(ME, "Wigo v1", Host::new("top", "")));
    let ledger = Ledger { next_id: 1, ..Ledger::default() };
    let hub = Arc::new(Hub::new(tree, ledger, Box::new(kept.clone())));
    let settings = Settings::of(&config.load());
    let pool = Arc::new(Pool::start(1, 1, settings, Box::new(Silent)).unwrap());
    let path = root.join("wigo.db");
    let opened = Store::open(store::Settings { path, origin: ME, keep_days: 1 });
    opened.store.flush().unwrap();
    let orders = Orders::open(hub.clone(), pool.clone(), config.clone(), opened.store.orders());
    let (way, audit, mut tasks) = (FakeWay::default(), Audit::default(), Tasks::default());
    orders.record_with(Arc::new(audit.clone()));
    let ways = Ways { push: Some(Arc::new(way.clone())), pull: Arc::new(way.clone()) };
    let (changed, told) = (orders.clone(), pool.clone());
    let first = Catalog::read(&root.join("probes")).unwrap();
    pool.set_catalog(first.clone());
    let watch = crate::probe::watch::Watch::start(root.join("probes"), first, move |found| {
        told.set_catalog(found.unwrap());
        changed.catalog_changed();
    });
    let watch = watch.unwrap();
    let bell = watch.bell();
    // As long as the test runs.
    std::mem::forget(watch);
    orders.start(bell, ways, &mut tasks);
    Fixture { folder, hub, orders, config, way, kept, audit, tasks, _store: opened.store }
}

impl Fixture {
    /// The leaf is heard, or its connection has ended.
    fn link(&self, presence: Presence) {
        self.link_that(presence, RemoteControl::Control);
    }

    fn link_that(&self, presence: Presence, remote_control: RemoteControl) {
        let contact = Contact::Push { address: "192.0.2.1:1".into(), encrypted: true };
        let limit = Duration::from_secs(60);
        let link = LEAF;
        let (name, grace) = ("leaf".to_owned(), limit);
        self.hub.handle(Event::Linked { link, name: name.clone(), contact, limit, grace });
        let header = Header {
            parent: None,
            version: "Wigo v1".into(),
            name,
            group: String::new(),
            labels: Default::default(),
            presence: Presence::Alive,
            since: None,
            last_update: None,
            problem: None,
            disabled: Default::default(),
            remote_control,
        };
        let account = Account {
            uuid: LEAF,
            header: Some(header),
            probes: vec![],
            complete: true,
            ran: vec![],
            gone: vec![],
        };
        let report = Report { begins: true, ends: true, accounts: vec![account], gone: vec![] };
        self.hub.handle(Event::Reported { link: LEAF, report, narrate: false });
        if presence == Presence::Stopped {
            let how = crate::tree::Parting::Stopping;
            self.hub.handle(Event::Parted { link: LEAF, how });
        }
    }

    fn answer(&self, outcome: Outcome) {
        self.way.answers.lock().unwrap().push_back(outcome);
    }

    fn given(&self) -> Vec<Order> {
        self.way.given.lock().unwrap().clone()
    }

    fn said(&self) -> Vec<String> {
        self.kept.0.lock().unwrap().clone()
    }

    /// What is in the audit log, in the order of time.
    fn records(&self) -> Vec<String> {
        let records = self.audit.0.lock().unwrap();
        let short = |record: &Record| {
            let outcome = record.outcome.split(':').next().unwrap_or_default().to_owned();
            format!("{} {outcome}", record.action)
        };
        records.iter().map(short).collect()
    }

    fn install(&self, name: &str, script: &str) -> PathBuf {
        let path = self.folder.path().join("probes/examples").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

fn order(target: Uuid, action: Action) -> Order {
    Order {
        id: Uuid::new_v4(),
        target,
        what: What::Do(ProbeName::new("load").unwrap(), action),
        author: Author {
            name: "alice".into(),
            role: Role::Operator,
            how: "password",
            address: "10.0.0.1".into(),
            by_way_of: vec![],
        },
        hops: 0,
        limit: ANSWER_LIMIT,
    }
}

async fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

const WRITES: &str = "[Http]\nAllowWriteActions = true\n";
const WAIT: Option<Duration> = Some(Duration::from_secs(3600));

#[tokio::test]
async fn an_order_is_handed_on_with_who_gave_it_and_the_way() {
    let fixture = fixture(WRITES);
    fixture.link(Presence::Alive);
    fixture.answer(Outcome::Done(Answer::Accepted("later".into())));
    let given = fixture.orders.give(order(LEAF, Action::Run), WAIT).await;
    assert_eq!(given, Given::Done(Answer::Accepted("later".into())));
    let passed = &fixture.given()[0];
    assert_eq!((passed.hops, passed.target), (1, LEAF));
    assert_eq!(passed.author.to_string(), "alice (by way of top)");
    assert!(passed.limit < ANSWER_LIMIT);
    assert_eq!(fixture.orders.list()[0].state, "done");

    // A way without end.
    let endless = Order { hops: MAX_HOPS, ..order(LEAF, Action::Run) };
    let given = fixture.orders.give(endless, WAIT).await;
    assert!(matches!(given, Given::Refused(Refusal { kind: RefusalKind::Late, .. })));
    let unknown = order(Uuid::from_u128(9), Action::Run);
    let given = fixture.orders.give(unknown, WAIT).await;
    assert!(matches!(given, Given::Refused(Refusal { kind: RefusalKind::Unknown, .. })));
    assert_eq!(fixture.given().len(), 1);
}

#[tokio::test]
async fn each_gate_says_no_by_its_key_and_operators_alone_pass() {
    let fixture = fixture("");
    fixture.link(Presence::Alive);
    let given = fixture.orders.give(order(LEAF, Action::Run), WAIT).await;
    let Given::Refused(Refusal { kind: RefusalKind::Forbidden, why }) = given else { panic!() };
    assert!(why.contains("AllowWriteActions in [Http]"), "{why}");
    let refused = Orders::take(fixture.orders.clone(), order(ME, Action::Run)).await;
    let Outcome::Refused(Refusal { kind: RefusalKind::Forbidden, why }) = refused else { panic!() };
    assert!(why.contains("AllowRemoteControl in [PushClient]"), "{why}");
    let look = Order { what: What::Schedule, ..order(ME, Action::Run) };
    let told = Orders::take(fixture.orders.clone(), look).await;
    assert!(matches!(told, Outcome::Done(Answer::Schedule(_))));

    let mut config = Config::clone(&fixture.config.load());
    config.push_client.allow_remote_control = true;
    fixture.config.store(Arc::new(config));
    let mut reader = order(ME, Action::Run);
    reader.author.role = Role::Readonly;
    let refused = Orders::take(fixture.orders.clone(), reader).await;
    assert!(matches!(refused, Outcome::Refused(Refusal { kind: RefusalKind::Forbidden, .. })));
    // All of that is written down, once each.
    let said = fixture.said();
    assert_eq!(said.len(), 3, "{said:#?}");
    assert!(said[0].starts_with("refused to alice: run for the probe `load` of"));
    // What came over HTTP is written to the audit log there.
    assert_eq!(fixture.records(), ["probe.run refused", "probe.run refused"]);
    assert!(fixture.given().is_empty());
}

#[tokio::test]
async fn an_order_waits_until_the_instance_is_back_and_keeps_its_id() {
    let mut fixture = fixture(WRITES);
    fixture.link(Presence::Stopped);
    let mut changed = fixture.orders.changes();
    let first = order(LEAF, Action::Interval { seconds: 5 });
    let Given::Waits(waits) = fixture.orders.give(first.clone(), WAIT).await else { panic!() };
    assert_eq!(
        (waits.id, waits.state.as_str(), waits.answer.as_str()),
        (first.id, "waiting", "nobody there")
    );
    assert_eq!(fixture.orders.count_waiting(), 1);
    changed.changed().await.unwrap();
    // Reading does not wait, nor what another instance hands on.
    let look = Order { what: What::Schedule, ..order(LEAF, Action::Run) };
    assert_eq!(fixture.orders.give(look, WAIT).await, Given::Away("nobody there".into()));
    let handed_on = order(LEAF, Action::Run);
    assert_eq!(fixture.orders.give(handed_on, None).await, Given::Away("nobody there".into()));
    let tried = fixture.given().len();

    // It is known after a restart too, and tried when the instance is there, again if the way breaks.
    fixture.tasks.stop(Duration::from_secs(1)).await;
    let Fixture { folder, .. } = fixture;
    let fixture = fixture_in(folder, WRITES);
    assert_eq!(fixture.orders.count_waiting(), 1);
    fixture.answer(Outcome::Away("gone again".into()));
    fixture.answer(Outcome::Done(Answer::Accepted("done".into())));
    fixture.link(Presence::Alive);
    until(|| fixture.orders.count_waiting() == 0).await;
    let done = fixture.orders.list();
    assert_eq!((done[0].id, done[0].state.as_str()), (first.id, "done"));
    // Whoever gave it has been told only that it waits.
    until(|| !fixture.records().is_empty()).await;
    assert_eq!(fixture.records(), ["probe.interval done"]);
    let record = fixture.audit.0.lock().unwrap()[0].clone();
    assert_eq!((record.author.name.as_str(), record.target.as_str()), ("alice", "leaf/load"));
    assert_eq!(record.detail, json!({ "Order": first.id, "Seconds": 5 }));
    assert_eq!(record.after, Some(json!({ "Interval": 5 })));
    let ids: Vec<Uuid> = fixture.given().iter().map(|order| order.id).collect();
    assert_eq!(ids, [first.id, first.id]);
    assert_eq!(fixture.given()[0].author.to_string(), "alice (by way of top)");
    assert_eq!(tried, 3);
}

#[tokio::test]
async fn an_order_is_carried_out_once_however_often_it_comes() {
    let fixture = fixture("[PushClient]\nAllowRemoteControl = true\n");
    let marks = fixture.folder.path().join("marks");
    fixture.install("load", &format!("echo >> {}; echo OK", marks.display()));
    let take = |order: &Order| Orders::take(fixture.orders.clone(), order.clone());
    let interval = order(ME, Action::Interval { seconds: 86_400 });
    let Outcome::Done(Answer::Schedule(schedule)) = take(&interval).await else { panic!() };
    assert_eq!((schedule.probes[0].interval, schedule.probes[0].enabled), (86_400, true));
    let disable = order(ME, Action::Disable { reason: "slow".into(), back_after: None });
    for _ in 0..3 {
        let Outcome::Done(Answer::Schedule(schedule)) = take(&disable).await else { panic!() };
        assert_eq!(schedule.disable_records[0].reason, "slow");
    }
    let done =
        |said: &[String]| said.iter().filter(|one| one.contains("disabled it: slow")).count();
    assert_eq!(done(&fixture.said()), 1);
    assert_eq!(fixture.records(), ["probe.interval done", "probe.disable done"]);
    let records = fixture.audit.0.lock().unwrap().clone();
    let record = records.iter().find(|record| record.action == "probe.disable").unwrap();
    assert_eq!((record.target.as_str(), record.outcome.as_str()), ("top/load", "done"));
    assert_eq!(record.before, Some(json!({ "Interval": 86_400 })));
    assert_eq!(record.after, Some(json!({ "Interval": null })));
    // The same id for something else is somebody's mistake.
    let other = Order { id: disable.id, ..order(ME, Action::Run) };
    assert!(matches!(take(&other).await, Outcome::Refused(_)));
    let run = order(ME, Action::Run);
    let Outcome::Refused(Refusal { kind, why }) = take(&run).await else { panic!() };
    assert_eq!(kind, RefusalKind::Conflict, "{why}");
    assert_eq!(fixture.records()[2..], ["probe.run refused"]);
}

#[tokio::test]
async fn what_waits_is_bounded_and_expires() {
    let fixture = fixture(WRITES);
    fixture.link(Presence::Stopped);
    let short = Some(Duration::from_millis(1));
    let Given::Waits(waits) = fixture.orders.give(order(LEAF, Action::Run), short).await else {
        panic!()
    };
    until(|| fixture.orders.list().iter().any(|it| it.id == waits.id && it.state == "expired"))
        .await;
    for _ in 0..book::MAX_WAITING_FOR_ONE {
        let given = fixture.orders.give(order(LEAF, Action::Run), WAIT).await;
        assert!(matches!(given, Given::Waits(_)));
    }
    let given = fixture.orders.give(order(LEAF, Action::Run), WAIT).await;
    assert!(matches!(given, Given::Refused(Refusal { kind: RefusalKind::Busy, .. })));
    let first = fixture.orders.list().last().unwrap().id;
    assert_eq!(first, waits.id);
    let waiting = fixture.orders.list()[0].id;
    let cancelled = fixture.orders.cancel(waiting, "bob").await.unwrap();
    assert_eq!(
        (cancelled.state.as_str(), cancelled.answer.as_str()),
        ("cancelled", "cancelled by bob")
    );
    assert!(at(0) < cancelled.created);
    // To cancel is asked for over HTTP, and written down there.
    until(|| !fixture.records().is_empty()).await;
    assert_eq!(fixture.records(), ["probe.run refused"], "expired");
}

#[tokio::test]
async fn a_run_that_takes_too_long_is_answered_when_it_is_asked_for_again() {
    let fixture = fixture("[PushClient]\nAllowRemoteControl = true\n");
    let (marks, go) = (fixture.folder.path().join("marks"), fixture.folder.path().join("go"));
    let script = "while [ ! -e {go} ]; do sleep 0.02; done; echo OK";
    let script = script.replace("{go}", &go.display().to_string());
    fixture.install("load", &format!("echo >> {}; {script}", marks.display()));
    let take = |order: &Order| Orders::take(fixture.orders.clone(), order.clone());
    fs::write(&go, "").unwrap();
    let Outcome::Done(_) = take(&order(ME, Action::Interval { seconds: 86_400 })).await else {
        panic!()
    };
    // Once by itself.
    let runs = || fs::read_to_string(&marks).unwrap_or_default().lines().count();
    until(|| runs() == 1).await;
    fs::remove_file(&go).unwrap();
    let limit = Duration::from_millis(300);
    let slow = Order { limit, ..order(ME, Action::Run) };
    for _ in 0..2 {
        let outcome = take(&slow).await;
        let Outcome::Refused(Refusal { kind, .. }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(kind, RefusalKind::Late);
    }
    // While too many wait, one more is not begun; later it is.
    let short = || Order { limit, ..order(ME, Action::Run) };
    let kind = async |order: &Order| match take(order).await {
        Outcome::Refused(refusal) => refusal.kind,
        Outcome::Done(_) | Outcome::Away(_) => panic!("nobody tells what the probe said"),
    };
    let more: Vec<Order> = (1..pool::MAX_AWAITED).map(|_| short()).collect();
    futures_util::future::join_all(more.iter().map(take)).await;
    let mut late = short();
    while kind(&late).await != RefusalKind::Busy {
        late = short();
    }
    fs::write(&go, "").unwrap();
    for known in [slow, late] {
        let known = Order { limit: ANSWER_LIMIT, ..known };
        while kind(&known).await == RefusalKind::Busy {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // The sink of this test keeps no results.
        assert_eq!(kind(&known).await, RefusalKind::Conflict);
        let known = fixture.orders.book().get(known.id).cloned().unwrap();
        assert!(known.answer.contains("switched off or is gone"), "{}", known.answer);
    }
}

#[tokio::test]
async fn an_attempt_that_broke_off_is_made_again_and_one_that_was_late_only_where_ids_are_known() {
    let fixture = fixture(WRITES);
    fixture.link(Presence::Stopped);
    for _ in 0..2 {
        let given = fixture.orders.give(order(LEAF, Action::Run), WAIT).await;
        assert!(matches!(given, Given::Waits(_)));
    }
    fixture.answer(Outcome::Away(BREAKS.into()));
    fixture.answer(Outcome::Done(Answer::Accepted("done".into())));
    fixture.answer(Outcome::Refused(RefusalKind::Late.because("no answer")));
    fixture.answer(Outcome::Done(Answer::Accepted("twice".into())));
    fixture.link_that(Presence::Alive, RemoteControl::Unknown);
    until(|| fixture.orders.count_waiting() == 0).await;
    let mut ends = fixture.orders.list();
    ends.sort_by_key(|order| order.finished);
    let told = |number: usize| (ends[number].state.as_str(), ends[number].answer.as_str());
    assert_eq!(told(0), ("done", "done"));
    assert_eq!(told(1), ("refused", "no answer; it may be done all the same"));
}
