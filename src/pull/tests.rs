//! Remotes of all kinds, up to what the tree says of them.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    client::fake::{Fake, Reply, answer, json as good},
    document::placeholder,
    identity::PROOF,
    *,
};
use crate::{
    hub::{Changes, Journal, Ledger},
    tree::{Contact, Event, Host, Instance, Kind, Parting, Presence, Tree},
};

const ME: Uuid = Uuid::from_u128(1);
const LIMIT: Duration = Duration::from_secs(60);

/// Remembers which kinds of entries there were, each with its host and message.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<(Kind, String, String)>>>);

impl Journal for Kept {
    fn record(&self, changes: Changes) {
        let entry = changes.entries.into_iter().map(|entry| entry.transition);
        let entry = entry.map(|news| (news.kind, news.host, news.message));
        self.0.lock().unwrap().extend(entry);
    }
}

impl Kept {
    /// The hosts and messages of the entries of this kind.
    fn of(&self, kind: Kind) -> Vec<(String, String)> {
        let kept = self.0.lock().unwrap();
        let found = kept.iter().filter(|(one, ..)| *one == kind);
        found.map(|(_, host, message)| (host.clone(), message.clone())).collect()
    }
}

fn hub() -> (Arc<Hub>, Kept) {
    let kept = Kept::default();
    let tree = Tree::new(Instance::new(ME, "Wigo v1", Host::new("me", "")));
    let ledger = Ledger { next_id: 1, ..Ledger::default() };
    (Arc::new(Hub::new(tree, ledger, Box::new(kept.clone()))), kept)
}

fn document(uuid: u128, name: &str, status: u16) -> Value {
    json!({"Uuid": Uuid::from_u128(uuid), "Version": "Wigo v0.73.31", "Hostname": name,
        "LocalHost": {"Name": name, "Group": "g", "Probes": {"p": {"Status": status, "Message": "m"}}},
        "RemoteWigos": {}})
}

/// The document of an instance of ours, which has a journal.
fn ours(uuid: u128, name: &str, status: u16) -> Value {
    let mut document = document(uuid, name, status);
    document["LocalHost"]["Probes"]["p"]["Since"] = json!(1_741_000_000);
    document
}

fn shared(hub: &Arc<Hub>) -> Shared {
    Shared::new(hub.clone(), Arc::new(|| false))
}

fn poller(shared: &Shared, remote: Remote) -> Poller {
    let poller = Poller::new(shared.clone(), remote, LIMIT);
    poller.expect();
    poller
}

fn problem(hub: &Hub, uuid: Uuid) -> Option<String> {
    hub.read(|tree| tree.get(uuid).expect("in the tree").problem.clone())
}

fn presence(hub: &Hub, uuid: Uuid) -> Presence {
    hub.read(|tree| tree.get(uuid).expect("in the tree").presence)
}

/// All but ourselves.
fn uuids(hub: &Hub) -> Vec<Uuid> {
    hub.view().all().map(|instance| instance.uuid).filter(|uuid| *uuid != ME).collect()
}

#[tokio::test]
async fn a_remote_is_awaited_then_called_by_its_uuid() {
    let (hub, kept) = hub();
    let shared = shared(&hub);
    let fake = Fake::start(|_, _| good(document(7, "web1", 300).to_string())).await;
    let mut poller = poller(&shared, fake.remote());
    let stand_in = placeholder(&fake.remote().address());
    assert_eq!(uuids(&hub), [stand_in]);
    assert_eq!(presence(&hub, stand_in), Presence::Unknown);
    poller.poll().await;
    let uuid = Uuid::from_u128(7);
    assert_eq!(uuids(&hub), [uuid]);
    hub.read(|tree| {
        let web1 = tree.get(uuid).unwrap();
        assert_eq!((&*web1.host.name, web1.global_status().number()), ("web1", 300));
        assert_eq!((web1.presence, &web1.problem), (Presence::Alive, &None));
        let contact = Contact::Pull { endpoint: fake.remote().url(), encrypted: false };
        assert_eq!(web1.contact.as_deref(), Some(&contact));
        assert_eq!(tree.me().global_status().number(), 300);
    });
    assert_eq!(kept.of(Kind::InstanceGone), [], "the stand-in goes without a word");
}

#[tokio::test]
async fn an_unchanged_document_is_not_sent_again() {
    let (hub, _) = hub();
    let shared = shared(&hub);
    let fake = Fake::start(|head, _| match head.to_lowercase().contains("if-none-match: \"v1\"") {
        true => Reply::Bytes(answer("304 Not Modified", "ETag: \"v1\"\r\n", "")),
        false => {
            Reply::Bytes(answer("200 OK", "ETag: \"v1\"\r\n", document(7, "a", 100).to_string()))
        }
    })
    .await;
    let mut poller = poller(&shared, fake.remote());
    for _ in 0..3 {
        poller.poll().await;
    }
    let is_conditional = |head: &String| head.to_lowercase().contains("if-none-match");
    let asked: Vec<_> = fake.asked.lock().unwrap().iter().map(is_conditional).collect();
    assert_eq!(asked, [false, true, true]);
    let uuid = Uuid::from_u128(7);
    assert_eq!(problem(&hub, uuid), None);
    // Forgotten by somebody: all is asked for again.
    hub.handle(Event::Forgotten { uuid, why: "wigocli forget".into() });
    poller.poll().await;
    assert_eq!(uuids(&hub), [uuid]);
    assert_eq!(fake.asked.lock().unwrap().last().map(is_conditional), Some(false));
}

#[tokio::test]
async fn what_is_wrong_with_a_remote_is_shown_and_harms_nothing() {
    let (hub, _) = hub();
    let shared = shared(&hub);
    let fake = Fake::start(|_, n| match n {
        0 | 6 => good(document(7, "a", 100).to_string()),
        1 => Reply::Bytes(answer("500 Oops", "", "")),
        2 => good("{\"x\""),
        3 => good("[]"),
        4 => good("[".repeat(100_000)),
        _ => good(document(1, "me", 100).to_string()),
    })
    .await;
    let mut poller = poller(&shared, fake.remote());
    let wanted = [
        "",
        "HTTP 500",
        "cannot be read as JSON",
        "not of a Wigo",
        "nested deeper than 64",
        "is this instance itself",
        "",
    ];
    for (n, wanted) in wanted.into_iter().enumerate() {
        poller.poll().await;
        let problem = problem(&hub, Uuid::from_u128(7));
        assert_eq!(problem.is_none(), wanted.is_empty(), "{n}: {problem:?}");
        assert!(problem.unwrap_or_default().contains(wanted), "{n}");
        let status = hub.read(|tree| tree.get(Uuid::from_u128(7)).unwrap().local_status().number());
        assert_eq!(status, 100, "what was known stays");
    }
    assert_eq!(uuids(&hub), [Uuid::from_u128(7)]);
}

#[tokio::test]
async fn a_remote_that_hangs_up_is_asked_three_times() {
    let (hub, _) = hub();
    let shared = shared(&hub);
    let fake = Fake::start(|_, _| Reply::Close).await;
    let mut poller = poller(&shared, fake.remote());
    poller.poll().await;
    assert_eq!(fake.count(), 3);
    let problem = problem(&hub, placeholder(&fake.remote().address())).unwrap();
    assert!(problem.contains("closed the connection"), "{problem}");
}

#[tokio::test]
async fn a_uuid_that_changes_is_believed_after_three_answers() {
    let (hub, kept) = hub();
    let shared = shared(&hub);
    let fake = Fake::start(|_, n| {
        let uuid = [7, 8, 7, 8, 8, 8][n];
        good(document(uuid, &format!("host{uuid}"), 100).to_string())
    })
    .await;
    let mut poller = poller(&shared, fake.remote());
    for doubted in [false, true, false, true, true] {
        poller.poll().await;
        assert_eq!(uuids(&hub), [Uuid::from_u128(7)]);
        let problem = problem(&hub, Uuid::from_u128(7));
        assert_eq!(problem.is_some_and(|why| why.contains("`host8`")), doubted);
    }
    poller.poll().await;
    assert_eq!(uuids(&hub), [Uuid::from_u128(8)]);
    let gone = kept.of(Kind::InstanceGone);
    assert_eq!(gone.len(), 1);
    assert!(
        gone[0].0 == "host7" && gone[0].1.contains("leads to another instance now"),
        "{gone:?}"
    );
}

#[tokio::test]
async fn one_host_by_two_ways_is_fed_by_the_first_until_that_is_not_asked_any_more() {
    let (hub, kept) = hub();
    let shared = shared(&hub);
    let one = Fake::start(|_, n| match n {
        0 | 1 => good(document(7, "a", 100).to_string()),
        _ => Reply::Bytes(answer("500 Oops", "", "")),
    })
    .await;
    let two = Fake::start(|_, _| good(document(7, "a", 200).to_string())).await;
    let (mut by_one, mut by_two) = (poller(&shared, one.remote()), poller(&shared, two.remote()));
    let (uuid, stand_in) = (Uuid::from_u128(7), placeholder(&two.remote().address()));
    let status = || hub.read(|tree| tree.get(uuid).unwrap().local_status().number());
    by_one.poll().await;
    by_two.poll().await;
    assert_eq!(status(), 100);
    let why = format!("it says that it is `a`, which `{}` leads to", one.remote().address());
    assert!(problem(&hub, stand_in).unwrap().starts_with(&why));
    assert_eq!(presence(&hub, stand_in), Presence::Alive, "somebody answers there");
    by_one.poll().await;
    assert!(problem(&hub, uuid).unwrap().contains(&two.remote().address()));
    // That the first one fails is not to be hidden by whoever says to be the same.
    by_one.poll().await;
    by_two.poll().await;
    assert!(problem(&hub, uuid).unwrap().contains("HTTP 500"));
    assert_eq!(status(), 100);
    shared.ways.removed(&one.remote().address());
    by_two.poll().await;
    assert_eq!((uuids(&hub), status()), (vec![uuid], 200));
    assert_eq!(kept.of(Kind::InstanceGone).len(), 1, "the place of its own");
}

#[tokio::test]
async fn who_was_at_an_address_before_a_restart_is_nobody_elses() {
    let (hub, _) = hub();
    let shared = shared(&hub);
    let owner = Fake::start(|_, _| good(document(7, "a", 100).to_string())).await;
    let liar = Fake::start(|_, _| good(document(7, "a", 200).to_string())).await;
    let contact = Contact::Pull { endpoint: owner.remote().url(), encrypted: false };
    let uuid = Uuid::from_u128(7);
    hub.handle(Event::Expected { uuid, name: "a".into(), contact });
    let (mut owner, mut liar) = (poller(&shared, owner.remote()), poller(&shared, liar.remote()));
    liar.poll().await;
    assert_eq!(presence(&hub, uuid), Presence::Unknown);
    owner.poll().await;
    liar.poll().await;
    assert_eq!(hub.read(|tree| tree.get(uuid).unwrap().local_status().number()), 100);
}

/// An instance `7` that pushes.
fn pushes(hub: &Hub) -> Contact {
    let contact = Contact::Push { address: "192.0.2.1:5".into(), encrypted: true };
    let link = Uuid::from_u128(7);
    let (name, limit) = ("a".to_owned(), LIMIT);
    hub.handle(Event::Linked { link, name, contact: contact.clone(), limit, grace: limit });
    contact
}

#[tokio::test]
async fn who_pushes_is_not_fed_by_pull_in_any_presence() {
    let (hub, _) = hub();
    let shared = shared(&hub);
    let fake = Fake::start(|_, _| good(document(7, "a", 300).to_string())).await;
    let (uuid, stand_in) = (Uuid::from_u128(7), placeholder(&fake.remote().address()));
    let contact = pushes(&hub);
    let mut poller = poller(&shared, fake.remote());
    for wanted in [Presence::Alive, Presence::Stopped] {
        if wanted == Presence::Stopped {
            hub.handle(Event::Parted { link: uuid, how: Parting::Stopping });
        }
        poller.poll().await;
        assert_eq!(presence(&hub, uuid), wanted);
        hub.read(|tree| {
            let pushing = tree.get(uuid).unwrap();
            assert_eq!(pushing.contact.as_deref(), Some(&contact));
            assert!(pushing.host.probes.is_empty() && pushing.problem.is_none());
        });
        let why = problem(&hub, stand_in).unwrap();
        assert!(why.starts_with("it says that it is `a`, which reports by push"), "{why}");
    }
}

#[tokio::test]
async fn who_was_asked_and_begins_to_push_is_not_asked_for_any_more() {
    let (hub, kept) = hub();
    let shared = shared(&hub);
    let fake = Fake::start(|_, n| good(document(7, "a", [100, 300, 300][n]).to_string())).await;
    let mut poller = poller(&shared, fake.remote());
    poller.poll().await;
    pushes(&hub);
    poller.poll().await;
    poller.poll().await;
    let (uuid, stand_in) = (Uuid::from_u128(7), placeholder(&fake.remote().address()));
    assert_eq!((problem(&hub, uuid), presence(&hub, uuid)), (None, Presence::Alive));
    assert_eq!(hub.read(|tree| tree.get(uuid).unwrap().local_status().number()), 100);
    assert!(problem(&hub, stand_in).unwrap().contains("reports by push"));
    assert_eq!(kept.of(Kind::InstanceGone), []);
}

#[tokio::test]
async fn who_says_to_be_one_that_pushes_is_still_missed() {
    let (hub, kept) = hub();
    let shared = shared(&hub);
    let fake = Fake::start(|_, n| {
        let uuid = if n == 0 { 8 } else { 7 };
        good(document(uuid, &format!("host{uuid}"), 100).to_string())
    })
    .await;
    let mut poller = poller(&shared, fake.remote());
    poller.poll().await;
    pushes(&hub);
    for _ in 0..=PROOF {
        poller.poll().await;
    }
    let (seven, eight) = (Uuid::from_u128(7), Uuid::from_u128(8));
    assert_eq!(uuids(&hub).into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([seven, eight]));
    assert!(problem(&hub, eight).unwrap().contains("reports by push"));
    assert_eq!((problem(&hub, seven), kept.of(Kind::InstanceGone)), (None, vec![]));
}

/// A journal with the entries `1..=last`, and the document of its owner.
fn with_journal(last: Arc<AtomicUsize>) -> impl Fn(&str, usize) -> Reply + Send + Sync + 'static {
    move |head, _| {
        let path = head.split(' ').nth(1).unwrap();
        let Some(query) = path.strip_prefix("/api/logs?") else {
            return good(ours(7, "a", 100).to_string());
        };
        let number = |name: &str| {
            query.split('&').find_map(|pair| pair.strip_prefix(name)).map(|n| n.parse().unwrap())
        };
        let (limit, last) = (number("limit=").unwrap(), last.load(Ordering::SeqCst));
        let mut ids: Vec<usize> = match number("after=") {
            Some(after) => (after + 1..=last).take(limit).collect(),
            None => (1..=last).rev().take(limit).collect(),
        };
        let entry = |id: usize| {
            json!({"Id": id, "Origin": Uuid::from_u128(7), "OriginId": id, "Kind": "probe_changed",
                "Timestamp": 1_741_000_000, "Host": "a", "Group": "g", "Probe": "p", "Was": 100,
                "Now": 300, "Message": format!("Probe p switched from 100 to 300 : number {id}")})
        };
        good(Value::from(ids.drain(..).map(entry).collect::<Vec<_>>()).to_string())
    }
}

#[tokio::test]
async fn a_journal_is_taken_over_from_where_it_was_left() {
    let (hub, kept) = hub();
    let shared = shared(&hub);
    let last = Arc::new(AtomicUsize::new(3_000));
    let fake = Fake::start(with_journal(last.clone())).await;
    let mut poller = poller(&shared, fake.remote());
    let told = || {
        let told = kept.of(Kind::ProbeChanged).into_iter();
        told.map(|(_, message)| message.strip_prefix("number ").unwrap().parse().unwrap())
            .collect::<Vec<usize>>()
    };
    poller.poll().await;
    assert_eq!(told(), (2_001..=3_000).collect::<Vec<_>>(), "the newest ones of one that is new");
    assert_eq!(hub.position(Uuid::from_u128(7), u64::MAX), Some(3_000));
    poller.poll().await;
    assert_eq!(told().len(), 1_000);
    last.store(4_200, Ordering::SeqCst);
    poller.poll().await;
    assert_eq!(told(), (2_001..=4_200).collect::<Vec<_>>());
    assert_eq!(hub.position(Uuid::from_u128(7), u64::MAX), Some(4_200));
    assert_eq!(kept.of(Kind::ProbeSeen), [], "who has a journal tells its own changes");
}

#[tokio::test]
async fn a_journal_that_began_anew_is_taken_over_from_its_beginning() {
    let last = Arc::new(AtomicUsize::new(40));
    let fake = Fake::start(with_journal(last.clone())).await;
    let (hub, kept) = hub();
    let shared = shared(&hub);
    let mut first = poller(&shared, fake.remote());
    first.poll().await;
    let told = || kept.of(Kind::ProbeChanged).len();
    assert_eq!(told(), 40);
    last.store(3, Ordering::SeqCst);
    // At the first contact.
    poller(&shared, fake.remote()).poll().await;
    assert_eq!((told(), hub.position(Uuid::from_u128(7), u64::MAX)), (43, Some(3)));
    // When nothing is new for long.
    first.poll().await;
    last.store(2, Ordering::SeqCst);
    for _ in 0..35 {
        first.poll().await;
    }
    assert_eq!((told(), hub.position(Uuid::from_u128(7), u64::MAX)), (45, Some(2)));
}

#[tokio::test]
async fn a_journal_waits_while_the_disk_is_behind() {
    let fake = Fake::start(with_journal(Arc::new(AtomicUsize::new(40)))).await;
    let (hub, kept) = hub();
    let behind = Arc::new(AtomicBool::new(true));
    let is_behind = behind.clone();
    let shared = Shared::new(hub.clone(), Arc::new(move || is_behind.load(Ordering::SeqCst)));
    let mut poller = poller(&shared, fake.remote());
    poller.poll().await;
    assert_eq!((presence(&hub, Uuid::from_u128(7)), fake.count()), (Presence::Alive, 1));
    behind.store(false, Ordering::SeqCst);
    poller.poll().await;
    assert_eq!(kept.of(Kind::ProbeChanged).len(), 40);
}

#[tokio::test]
async fn who_has_no_journal_has_its_changes_told() {
    let (hub, kept) = hub();
    let shared = shared(&hub);
    let fake =
        Fake::start(|_, n| good(document(7, "a", if n == 0 { 100 } else { 300 }).to_string()));
    let fake = fake.await;
    let mut poller = poller(&shared, fake.remote());
    poller.poll().await;
    poller.poll().await;
    assert_eq!(kept.of(Kind::ProbeChanged).len(), 1);
}

#[tokio::test]
async fn a_journal_that_never_ends_or_cannot_be_read_does_not_stop_the_rest() {
    for bad in ["[{\"Id\":5}]", "{}", "[{\"Level\":2}]"] {
        let (hub, _) = hub();
        let shared = shared(&hub);
        let fake = Fake::start(move |head, _| match head.contains("/logs") {
            true => good(bad),
            false => good(ours(7, "a", 300).to_string()),
        })
        .await;
        let mut poller = poller(&shared, fake.remote());
        for _ in 0..3 {
            poller.poll().await;
        }
        assert!(fake.count() <= 6, "{bad}: {} questions", fake.count());
        assert_eq!(hub.read(|tree| tree.me().global_status().number()), 300, "{bad}");
        let problem = problem(&hub, Uuid::from_u128(7));
        assert_eq!(problem.is_some_and(|why| why.contains("its log is not read")), bad == "{}");
    }
}

/// Waits until something holds.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("waited in vain until {what}"));
}

#[tokio::test]
async fn a_reload_starts_changes_and_ends_what_it_says() {
    let (hub, kept) = hub();
    let mut tasks = Tasks::default();
    let fakes = [7, 8, 9].map(|uuid| {
        Fake::start(move |_, _| good(document(uuid, &format!("host{uuid}"), 100).to_string()))
    });
    let [seven, eight, nine] = fakes;
    let (seven, eight, nine) = (seven.await, eight.await, nine.await);
    // From before a restart, and not configured any more.
    let contact = Contact::Pull { endpoint: "http://old:4000".into(), encrypted: false };
    let old = Uuid::from_u128(6);
    hub.handle(Event::Linked {
        link: old,
        name: "old".into(),
        contact,
        limit: LIMIT,
        grace: LIMIT,
    });
    let pull = Pull::start(
        vec![seven.remote(), eight.remote()],
        LIMIT,
        hub.clone(),
        Arc::new(|| false),
        &mut tasks,
    );
    let seen = |wanted: &[u128]| {
        let wanted: Vec<_> = wanted.iter().map(|n| Uuid::from_u128(*n)).collect();
        uuids(&hub) == wanted
    };
    until("both are there", || seen(&[7, 8])).await;
    let slower = Remote { check_interval: Duration::from_secs(3_600), ..seven.remote() };
    pull.set(vec![slower, nine.remote()], LIMIT);
    until("one is gone and one is new", || seen(&[7, 9])).await;
    let mut gone: Vec<String> =
        kept.of(Kind::InstanceGone).into_iter().map(|(host, _)| host).collect();
    gone.sort();
    assert_eq!(gone, ["host8", "old"]);
    until("the changed one was asked anew", || seven.count() >= 2).await;
    tasks.stop(Duration::from_secs(30)).await;
    assert!(seen(&[7, 9]), "a stop forgets nobody");
}

#[test]
fn first_questions_are_spread_and_the_same_each_time() {
    let whole = Duration::from_secs(10);
    let shares: Vec<_> = (0..100).map(|n| share_of(whole, &format!("host{n}:4000"))).collect();
    assert_eq!(shares[3], share_of(whole, "host3:4000"));
    assert!(shares.iter().all(|share| *share <= whole));
    for tenth in 0..10 {
        let within = |share: &&Duration| share.as_secs() == tenth;
        assert!(shares.iter().filter(within).count() > 0, "second {tenth}");
    }
}
