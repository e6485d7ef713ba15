use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    lists::{hosts_of, problems_of},
    query::Query,
    rows::{Counts, HostRow},
    search::look_for,
    *,
};
use crate::{
    json::Json,
    status::Status,
    tree::{
        Account, Contact, Event, Header, Host, Instance, Now, Parting, Presence, Probe, ProbeName,
        ProbeResult, Report, Tree,
    },
};

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number << 96 | number)
}

fn now() -> Now {
    Now { wall: Timestamp::from_second(1_741_076_102).unwrap(), boot: Duration::from_secs(1) }
}

/// A probe that has been like that since so many seconds after 1970.
fn probe(name: &str, status: i64, since: i64) -> Probe {
    let result = ProbeResult {
        name: ProbeName::new(name).unwrap(),
        version: "1.0".into(),
        value: Json::null(),
        message: format!("{name} says {status}"),
        date: now().wall,
        metrics: Json::null(),
        detail: Json::null(),
        status: Status::new(status).unwrap(),
        exit_code: 0,
        interval: 60,
    };
    let since = Timestamp::from_second(since).unwrap();
    Probe { since, result: result.into(), stale: false }
}

fn account(number: u128, parent: Option<u128>, name: &str, probes: Vec<Probe>) -> Account {
    let header = Header {
        parent: parent.map(id),
        version: "Wigo v1".into(),
        name: name.into(),
        group: if number.is_multiple_of(2) { "even" } else { "odd" }.into(),
        labels: [("number".to_owned(), number.to_string())].into(),
        presence: Presence::Alive,
        since: None,
        last_update: None,
        problem: None,
        disabled: Default::default(),
        remote_control: Default::default(),
    };
    let (ran, gone) = (Vec::new(), Vec::new());
    Account { uuid: id(number), header: Some(header), probes, complete: true, ran, gone }
}

fn link(tree: &mut Tree, number: u128) {
    let contact = Contact::Push { address: "192.0.2.1:5".into(), encrypted: true };
    let (limit, name) = (Duration::from_secs(14), format!("host{number}"));
    tree.apply(Event::Linked { link: id(number), name, contact, limit, grace: limit }, now());
}

fn report(tree: &mut Tree, link: u128, accounts: Vec<Account>) {
    let report = Report { begins: true, ends: true, accounts, gone: Vec::new() };
    tree.apply(Event::Reported { link: id(link), report, narrate: false }, now());
}

fn top() -> Tree {
    Tree::new(Instance::new(id(1), "Wigo v1", Host::new("top", "hq")))
}

/// This instance (1); below it 2 with 20 and 21, which is bad; and 3, which is worse.
fn small() -> Tree {
    let mut tree = top();
    link(&mut tree, 2);
    link(&mut tree, 3);
    let well = || vec![probe("load", 100, 5), probe("disk", 100, 7)];
    let bad = vec![probe("load", 300, 50), probe("disk", 200, 60), probe("mail", 300, 40)];
    report(
        &mut tree,
        2,
        vec![
            account(2, None, "middle", well()),
            account(20, Some(2), "Web one", well()),
            account(21, Some(2), "web2", bad),
        ],
    );
    report(&mut tree, 3, vec![account(3, None, "db", vec![probe("disk", 400, 30)])]);
    tree
}

fn look(tree: &Tree) -> (View, Fleet) {
    let view = tree.view();
    let fleet = Fleet::of(&view, &Fleet::default());
    (view, fleet)
}

fn row(tree: &View, fleet: &Fleet, number: u128) -> HostRow {
    fleet.host_row(tree, tree.get(id(number)).unwrap()).unwrap()
}

fn problems(tree: &View, fleet: &Fleet, query: &str) -> Vec<(String, String, u16)> {
    let page = problems_of(tree, fleet, &Query::read(query).unwrap()).ok().unwrap();
    page.items.into_iter().map(|one| (one.host_name, one.probe, one.status)).collect()
}

fn problem(host: &str, probe: &str, status: u16) -> (String, String, u16) {
    (host.into(), probe.into(), status)
}

#[test]
fn everything_is_counted_once() {
    let (view, fleet) = look(&small());
    let hosts = Counts { total: 5, ok: 3, crit: 2, ..Counts::default() };
    assert_eq!(fleet.hosts, hosts);
    let probes = Counts { total: 8, ok: 4, warn: 1, crit: 3, ..Counts::default() };
    assert_eq!(fleet.probes, probes);
    let groups: Vec<_> = fleet.groups.iter().map(|one| (one.name.as_str(), one.status)).collect();
    assert_eq!(groups, [("odd", 400), ("even", 100), ("hq", 100)]);
    let middle = row(&view, &fleet, 2);
    assert_eq!((middle.status, middle.global_status), (100, 300));
    assert_eq!((middle.below, middle.below_status, middle.since), (2, 300, 7));
    assert_eq!(row(&view, &fleet, 1).below, 4);
    let bad = row(&view, &fleet, 21);
    assert_eq!((bad.worst_probe.as_str(), bad.since), ("load", 40));
    assert_eq!(bad.message, "load says 300");
    assert_eq!(bad.parent, id(2).to_string());
}

#[test]
fn a_key_leads_to_its_host() {
    let mut tree = small();
    link(&mut tree, 4);
    report(&mut tree, 4, vec![account(4, None, "web2", Vec::new())]);
    let (view, fleet) = look(&tree);
    for number in [1, 2, 3, 4, 20, 21] {
        let row = row(&view, &fleet, number);
        assert_eq!(view.find(&row.key).unwrap().uuid, row.uuid);
    }
    assert_eq!(row(&view, &fleet, 2).key, "middle");
    assert_eq!(row(&view, &fleet, 20).key, id(20).to_string(), "a space in the name");
    assert_eq!(row(&view, &fleet, 21).key, id(21).to_string(), "another one is called so");
}

#[test]
fn problems_are_worst_first_then_newest_first() {
    let (view, fleet) = look(&small());
    let all = [
        problem("db", "disk", 400),
        problem("web2", "load", 300),
        problem("web2", "mail", 300),
        problem("web2", "disk", 200),
    ];
    assert_eq!(problems(&view, &fleet, ""), all);
    assert_eq!(problems(&view, &fleet, "level=crit"), all[..3]);
    assert_eq!(problems(&view, &fleet, "q=LOAD"), all[1..2]);
    assert_eq!(problems(&view, &fleet, "labels=number=3"), all[..1]);
    assert_eq!(problems(&view, &fleet, "group=even"), []);
}

#[test]
fn a_silent_host_is_one_problem_with_all_behind_it() {
    let mut tree = small();
    tree.apply(Event::Parted { link: id(2), how: Parting::Stopping }, now());
    let (view, fleet) = look(&tree);
    assert_eq!((fleet.hosts.stopped, fleet.hosts.unknown, fleet.hosts.crit), (1, 2, 1));
    assert_eq!(fleet.probes.stale, 7);
    let expected = [problem("db", "disk", 400), problem("middle", "", 100)];
    assert_eq!(problems(&view, &fleet, ""), expected);
    let behind = row(&view, &fleet, 21);
    assert_eq!(behind.presence, "unknown");
    assert!(behind.message.contains("middle"), "{}", behind.message);
    let later = Now { boot: Duration::from_secs(3_600), ..now() };
    for _ in 0..2 {
        tree.apply(Event::Tick, later);
    }
    let (view, fleet) = look(&tree);
    assert_eq!(fleet.hosts.down, 2, "{:?}", fleet.hosts);
    let found = problems(&view, &fleet, "");
    assert_eq!(found, [problem("middle", "", 999), problem("db", "", 999)]);
}

#[test]
fn pages_neither_repeat_nor_lose_rows() {
    let mut tree = top();
    link(&mut tree, 2);
    let status = |number: u128| [100, 200, 300][number as usize % 3];
    let host = |number: u128, parent| {
        let probes = vec![probe("a", status(number), 5), probe("b", status(number / 3), 5)];
        account(number, parent, &format!("h{}", number % 7), probes)
    };
    let all = (3..60).map(|number| host(number, Some(2)));
    report(&mut tree, 2, [host(2, None)].into_iter().chain(all).collect());
    let (view, fleet) = look(&tree);
    for sort in ["status", "name"] {
        let whole = format!("sort={sort}&limit=500");
        let whole = hosts_of(&view, &fleet, &Query::read(&whole).unwrap()).ok().unwrap();
        assert_eq!((whole.items.len(), whole.next.as_str()), (59, ""));
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let query = format!("sort={sort}&limit=7&after={after}");
            let page = hosts_of(&view, &fleet, &Query::read(&query).unwrap()).ok().unwrap();
            assert_eq!(page.total, 59);
            seen.extend(page.items.into_iter().map(|row| row.uuid));
            after = page.next;
            if after.is_empty() {
                break;
            }
        }
        let whole: Vec<Uuid> = whole.items.into_iter().map(|row| row.uuid).collect();
        assert_eq!(seen, whole, "{sort}");
    }
    let whole = problems(&view, &fleet, "limit=500");
    let (mut seen, mut after) = (Vec::new(), String::new());
    // Meanwhile one that was passed already gets well, and another one gets worse.
    for page in 0.. {
        if page == 1 {
            let mended = account(5, Some(2), "h5", Vec::new());
            let worse = account(4, Some(2), "h4", vec![probe("a", 500, 5)]);
            let accounts = vec![mended, worse];
            let change = Report { begins: false, ends: false, accounts, gone: Vec::new() };
            tree.apply(Event::Reported { link: id(2), report: change, narrate: false }, now());
        }
        let (view, fleet) = look(&tree);
        let query = Query::read(&format!("limit=5&after={after}")).unwrap();
        let page = problems_of(&view, &fleet, &query).ok().unwrap();
        seen.extend(page.items.into_iter().map(|one| (one.host_name, one.probe, one.status)));
        after = page.next;
        if after.is_empty() {
            break;
        }
    }
    let changed = |one: &&(String, String, u16)| one.0 != "h4" && one.0 != "h5";
    let seen: Vec<_> = seen.iter().filter(changed).collect();
    assert_eq!(seen, whole.iter().filter(changed).collect::<Vec<_>>());
}

#[test]
fn what_has_not_changed_is_not_computed_again() {
    let mut tree = small();
    let (_, before) = look(&tree);
    let change = Report {
        begins: false,
        ends: false,
        accounts: vec![Account { header: None, ..account(21, Some(2), "", Vec::new()) }],
        gone: Vec::new(),
    };
    tree.apply(Event::Reported { link: id(2), report: change, narrate: false }, now());
    let after = Fleet::of(&tree.view(), &before);
    let same = before.rows.iter().zip(&after.rows);
    let other: Vec<Uuid> = same
        .filter(|(before, after)| !Arc::ptr_eq(&before.digest, &after.digest))
        .map(|(before, _)| before.uuid)
        .collect();
    // The one that changed, and those above it whose status is another now.
    assert_eq!(other, [id(2), id(21)]);
    assert_eq!(after.probes.total, 5);
    let changed = after.rows.iter().filter(|row| row.changed_at > before.revision);
    let changed: Vec<Uuid> = changed.map(|row| row.uuid).collect();
    assert_eq!(changed, other);
}

#[test]
fn search_begins_with_what_begins_so() {
    let (view, fleet) = look(&small());
    let names = |text: &str| {
        let found = look_for(&view, &fleet, text, 20);
        let hosts: Vec<String> = found.hosts.into_iter().map(|one| one.name).collect();
        (hosts, found.probes.len(), found.groups.len())
    };
    assert_eq!(names("web"), (vec!["web2".into(), "Web one".into()], 0, 0));
    assert_eq!(names("d"), (vec!["db".into(), "middle".into()], 7, 1));
    assert_eq!(names(""), (Vec::new(), 0, 0));
    assert_eq!(look_for(&view, &fleet, "disk", 2).probes.len(), 2);
}

#[test]
fn long_messages_are_cut() {
    assert_eq!(rows::shortened(&"é".repeat(500)).chars().count(), 500);
    assert_eq!(rows::shortened(&"é".repeat(501)).chars().count(), 501);
    assert!(rows::shortened(&"é".repeat(100_000)).ends_with('…'));
}

/// What a summary costs: `cargo test --release --lib summary::tests::cost -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, not a test"]
fn cost() {
    let mut tree = top();
    link(&mut tree, 2);
    let host = |number: u128, parent| {
        let probes = (0..20).map(|n| {
            let bad = number.is_multiple_of(100) && n == 0;
            probe(&format!("probe{n}"), if bad { 300 } else { 100 }, 5)
        });
        account(number, parent, &format!("host{number}"), probes.collect())
    };
    let all = (3..10_001).map(|number| host(number, Some(2)));
    report(&mut tree, 2, [host(2, None)].into_iter().chain(all).collect());
    let view = tree.view();
    let timed = |what: &str, work: &mut dyn FnMut()| {
        let begin = std::time::Instant::now();
        work();
        println!("{what}: {:?}", begin.elapsed());
    };
    let mut fleet = Fleet::default();
    timed("first look", &mut || fleet = Fleet::of(&view, &Fleet::default()));
    println!("{} hosts, {} probes", fleet.hosts.total, fleet.probes.total);
    timed("problems", &mut || assert_eq!(fleet.problems().len(), 100));
    let change = |number| Account { header: None, ..host(number, Some(2)) };
    let accounts = (3..1_003).map(change).collect();
    let change = Report { begins: false, ends: false, accounts, gone: Vec::new() };
    tree.apply(Event::Reported { link: id(2), report: change, narrate: false }, now());
    let view = tree.view();
    timed("look after 1,000 changed", &mut || fleet = Fleet::of(&view, &fleet));
    let list = |query: &str| hosts_of(&view, &fleet, &Query::read(query).unwrap()).ok().unwrap();
    timed("first page of hosts", &mut || assert_eq!(list("").items.len(), 100));
    timed("second", &mut || assert_eq!(list("q=host9").items.len(), 100));
    timed("search", &mut || assert_eq!(look_for(&view, &fleet, "obe19", 20).probes.len(), 20));
}
