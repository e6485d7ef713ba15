//! Many instances as one picture: properties under any sequence of events, then single cases.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{json::Json, status::Status};

const ME: u128 = 1;

fn id(number: u128) -> Uuid {
    // Spread over the shards as real ones are.
    Uuid::from_u128(number << 120 | number)
}

fn at(second: u64) -> Now {
    Now {
        wall: Timestamp::from_second(1_000_000 + second as i64).unwrap(),
        boot: Duration::from_secs(second),
    }
}

fn tree() -> Tree {
    Tree::new(Instance::new(id(ME), "Wigo v1", Host::new("top", "g")))
}

fn probe(name: &str, status: i64, second: u64) -> Probe {
    let result = ProbeResult {
        name: ProbeName::new(name).unwrap(),
        version: String::new(),
        value: Json::null(),
        message: format!("{name} is {status}"),
        date: at(second).wall,
        metrics: Json::null(),
        detail: Json::null(),
        status: Status::new(status).unwrap(),
        exit_code: 0,
        interval: 60,
    };
    Probe { since: result.date, result: Arc::new(result), stale: false }
}

fn header(parent: Option<u128>, number: u128, presence: Presence) -> Header {
    Header {
        parent: parent.map(id),
        version: "Wigo v1".into(),
        name: format!("host{number}"),
        group: format!("group{}", number % 3),
        labels: BTreeMap::new(),
        presence,
        since: None,
        last_update: None,
        problem: None,
        disabled: BTreeMap::new(),
        remote_control: RemoteControl::Unknown,
    }
}

/// A full account of one instance.
fn account(parent: Option<u128>, number: u128, statuses: &[i64]) -> Account {
    let probes = (0..).zip(statuses).map(|(n, status)| probe(&format!("p{n}"), *status, 1));
    Account {
        uuid: id(number),
        header: Some(header(parent, number, Presence::Alive)),
        probes: probes.collect(),
        complete: true,
        ran: Vec::new(),
        gone: Vec::new(),
    }
}

fn full(accounts: Vec<Account>) -> Report {
    Report { begins: true, ends: true, accounts, gone: Vec::new() }
}

fn link(tree: &mut Tree, number: u128, second: u64) -> Vec<Transition> {
    let contact = Contact::Push { address: "192.0.2.1:5".into(), encrypted: true };
    let limit = Duration::from_secs(14);
    tree.apply(
        Event::Linked {
            link: id(number),
            name: format!("host{number}"),
            contact,
            limit,
            grace: PARTING_GRACE,
        },
        at(second),
    )
    .transitions
}

fn report(tree: &mut Tree, number: u128, report: Report, second: u64) -> Vec<Transition> {
    let event = Event::Reported { link: id(number), report, narrate: false };
    tree.apply(event, at(second)).transitions
}

fn tick(tree: &mut Tree, second: u64) -> Vec<Transition> {
    tree.apply(Event::Tick, at(second)).transitions
}

/// Lets time pass as the hub does: no tick comes late.
fn pass(tree: &mut Tree, from: u64, to: u64) -> Vec<Transition> {
    (from..=to).flat_map(|second| tick(tree, second)).collect()
}

fn kinds(told: &[Transition]) -> Vec<(Kind, &str)> {
    told.iter().map(|told| (told.kind, told.host.as_str())).collect()
}

/// What must hold whatever happened.
fn check(tree: &Tree) {
    let all = tree.instances();
    assert_eq!(all.len(), tree.count(), "every instance is below this one, once");
    assert_eq!(tree.all().count(), tree.count());
    assert_eq!(tree.me().uuid, id(ME));
    assert_eq!(tree.me().parent, None);
    for instance in &all {
        fn worst(tree: &Tree, instance: &Instance) -> Status {
            let own = match instance.presence {
                Presence::Down => Status::DOWN,
                _ => instance.host.status(),
            };
            tree.children(instance.uuid).map(|child| worst(tree, child)).fold(own, Status::max)
        }
        assert_eq!(instance.global_status(), worst(tree, instance), "{}", instance.host.name);
        assert!(tree.find(&instance.host.name).is_some());
        let group = instance.host.group.as_str();
        assert!(group.is_empty() || tree.groups().contains(&group));
        if let Some(parent) = instance.parent {
            assert!(tree.get(parent).is_some());
        }
        let others = tree.shadows.keys().filter(|(uuid, _)| *uuid == instance.uuid);
        let others: Vec<Uuid> = others.map(|(_, link)| *link).collect();
        assert_eq!(instance.alternatives, others, "{}", instance.host.name);
    }
    assert!(tree.shadows.keys().all(|(uuid, _)| tree.get(*uuid).is_some()));
}

/// One of everything that can happen to three instances directly below, which claim to have any of
/// eight instances, themselves and us among them, below them in any order.
fn any_event() -> impl Strategy<Value = Event> {
    let who = 2..5u128;
    let claim = (2..9u128, 1..9u128, prop::collection::vec(100..600i64, 0..3), 0..4u8).prop_map(
        |(parent, number, statuses, presence)| {
            let mut account = account(Some(parent), number, &statuses);
            if let Some(header) = &mut account.header {
                header.presence = match presence {
                    0 => Presence::Down,
                    1 => Presence::Unknown,
                    _ => Presence::Alive,
                };
            }
            account
        },
    );
    let report = (who.clone(), prop::collection::vec(claim, 0..6), any::<(bool, bool, bool)>())
        .prop_map(|(number, claims, (begins, ends, narrate))| {
            let mut accounts = vec![account(None, number, &[100])];
            accounts.extend(claims);
            let gone = if begins { vec![] } else { vec![id(number + 3)] };
            let report = Report { begins, ends, accounts, gone };
            Event::Reported { link: id(number), report, narrate }
        });
    let contact = Contact::Pull { endpoint: "http://a:1".into(), encrypted: false };
    let expected = contact.clone();
    prop_oneof![
        4 => report,
        3 => who.clone().prop_map(move |number| Event::Linked {
            link: id(number),
            name: format!("host{number}"),
            contact: contact.clone(),
            limit: Duration::from_secs(5),
            grace: PARTING_GRACE,
        }),
        1 => who.clone().prop_map(|number| Event::Heard { link: id(number) }),
        1 => (1..9u128).prop_map(move |number| Event::Expected {
            uuid: id(number), name: format!("host{number}"), contact: expected.clone(),
        }),
        1 => (who.clone(), 0..3u8).prop_map(|(number, how)| Event::Parted {
            link: id(number),
            how: [Parting::Lost, Parting::Stopping, Parting::Goodbye][usize::from(how)].clone(),
        }),
        1 => (1..9u128).prop_map(|number| Event::Forgotten { uuid: id(number), why: "x".into() }),
        1 => (who, any::<bool>()).prop_map(|(number, bad)| Event::Trouble {
            link: id(number), problem: bad.then(|| "no".into()),
        }),
        3 => Just(Event::Tick),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_the_tree_is_a_tree_and_the_worst_wins(
        events in prop::collection::vec((any_event(), 0..4u64), 1..60)
    ) {
        let (mut tree, mut second) = (tree(), 1);
        let mut down: BTreeMap<String, bool> = BTreeMap::new();
        for (event, wait) in events {
            second += wait;
            let before = tree.view();
            let count = before.count();
            let told = tree.apply(event, at(second)).transitions;
            check(&tree);
            prop_assert_eq!(before.count(), count, "a copy does not change");
            for told in told {
                // Down is told once, and up only after down.
                let was = down.entry(told.host.clone()).or_default();
                match told.kind {
                    Kind::InstanceGone => *was = false,
                    Kind::InstanceUp if !told.message.contains("says") => {
                        prop_assert!(*was, "up without down: {:?}", told);
                        *was = false;
                    }
                    Kind::InstanceDown if !told.message.contains("says") => {
                        prop_assert!(!*was, "down twice: {:?}", told);
                        *was = true;
                    }
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn the_order_of_reports_of_different_instances_does_not_matter(
        order in Just((2..8u128).collect::<Vec<_>>()).prop_shuffle(),
        statuses in prop::collection::vec(100..600i64, 6),
    ) {
        let build = |order: &[u128]| {
            let mut tree = tree();
            for number in order {
                link(&mut tree, *number, 1);
                let status = statuses[*number as usize - 2];
                report(&mut tree, *number, full(vec![account(None, *number, &[status])]), 1);
            }
            check(&tree);
            let state = |i: &Instance| (i.uuid, i.host.clone(), i.global_status(), i.parent);
            tree.instances().into_iter().map(state).collect::<Vec<_>>()
        };
        let sorted: Vec<u128> = (2..8).collect();
        prop_assert_eq!(build(&order), build(&sorted));
    }
}

#[test]
fn a_silent_instance_is_down_once_and_up_again_when_heard() {
    let mut tree = tree();
    link(&mut tree, 2, 0);
    let told = report(&mut tree, 2, full(vec![account(None, 2, &[200])]), 0);
    assert_eq!(kinds(&told), [(Kind::InstanceSeen, "host2")]);
    assert_eq!(tree.me().global_status(), Status::WARN);
    assert!(pass(&mut tree, 1, 14).is_empty());
    let told = pass(&mut tree, 15, 40);
    assert_eq!(kinds(&told), [(Kind::InstanceDown, "host2")]);
    assert_eq!((told[0].was, told[0].now), (Some(Status::WARN), Some(Status::DOWN)));
    assert_eq!(tree.me().global_status(), Status::DOWN);
    let host = tree.get(id(2)).unwrap();
    assert!(
        tree.is_stale(host) && host.host.probes.len() == 1,
        "the last results are kept, as old"
    );
    let told = link(&mut tree, 2, 41);
    assert_eq!(kinds(&told), [(Kind::InstanceUp, "host2")]);
    assert_eq!(tree.me().global_status(), Status::WARN);
    check(&tree);
}

#[test]
fn a_broken_connection_has_a_moment_to_come_back() {
    let mut tree = tree();
    link(&mut tree, 2, 1);
    tree.apply(Event::Parted { link: id(2), how: Parting::Lost }, at(2));
    assert!(tick(&mut tree, 2).is_empty());
    assert!(link(&mut tree, 2, 2).is_empty());
    assert!(pass(&mut tree, 3, 5).is_empty());
    tree.apply(Event::Parted { link: id(2), how: Parting::Lost }, at(5));
    assert_eq!(tick(&mut tree, 6).len(), 1);
}

#[test]
fn the_time_to_come_back_is_for_those_who_were_told_to_take_it() {
    for (lasted, told_by) in [(5, 20), (100, 1)] {
        let mut tree = tree();
        let contact = Contact::Push { address: String::new(), encrypted: true };
        let (limit, grace) = (Duration::from_secs(200), Duration::from_secs(10));
        let name = "host2".to_owned();
        tree.apply(Event::Linked { link: id(2), name, contact, limit, grace }, at(0));
        assert!(pass(&mut tree, 1, lasted).is_empty());
        tree.apply(Event::Parted { link: id(2), how: Parting::Lost }, at(lasted));
        let quiet = if lasted > SETTLED.as_secs() { 0 } else { grace.as_secs() };
        assert!(pass(&mut tree, lasted, lasted + quiet).is_empty());
        assert_eq!(pass(&mut tree, lasted + quiet + 1, lasted + told_by).len(), 1);
    }
}

#[test]
fn goodbye_and_forgetting_are_no_alarm() {
    let mut tree = tree();
    for number in [2, 3] {
        link(&mut tree, number, 1);
        let accounts =
            vec![account(None, number, &[500]), account(Some(number), number + 5, &[300])];
        report(&mut tree, number, full(accounts), 1);
    }
    let told = tree.apply(Event::Parted { link: id(2), how: Parting::Goodbye }, at(2)).transitions;
    assert_eq!(kinds(&told), [(Kind::InstanceGone, "host2")]);
    let event = Event::Forgotten { uuid: id(3), why: "removed from the configuration".into() };
    assert_eq!(kinds(&tree.apply(event, at(2)).transitions), [(Kind::InstanceGone, "host3")]);
    assert_eq!((tree.count(), tree.me().global_status()), (1, Status::OK));
    check(&tree);
}

#[test]
fn one_that_stops_is_not_down_until_it_is_late() {
    let mut tree = tree();
    link(&mut tree, 2, 1);
    report(&mut tree, 2, full(vec![account(None, 2, &[100])]), 1);
    tree.apply(Event::Parted { link: id(2), how: Parting::Stopping }, at(2));
    assert_eq!(tree.get(id(2)).unwrap().presence, Presence::Stopped);
    assert!(pass(&mut tree, 3, 60).is_empty());
    assert_eq!(kinds(&pass(&mut tree, 61, 70)), [(Kind::InstanceDown, "host2")]);
}

#[test]
fn what_is_behind_a_silent_instance_is_unknown_and_not_down() {
    let mut tree = tree();
    link(&mut tree, 2, 1);
    report(&mut tree, 2, full(vec![account(None, 2, &[]), account(Some(2), 3, &[300])]), 1);
    tree.apply(Event::Parted { link: id(2), how: Parting::Lost }, at(2));
    let told = pass(&mut tree, 3, 4);
    assert_eq!(kinds(&told), [(Kind::InstanceDown, "host2")]);
    let leaf = tree.get(id(3)).unwrap();
    assert_eq!((tree.presence(leaf), leaf.local_status()), (Presence::Unknown, Status::CRIT));
    assert!(tree.is_stale(leaf));
}

#[test]
fn a_host_seen_by_another_way_is_not_down_and_stands_once() {
    let mut tree = tree();
    for number in [2, 3] {
        link(&mut tree, number, 1);
    }
    report(&mut tree, 3, full(vec![account(None, 3, &[100])]), 1);
    // 2 also claims to have 3 below it, with other results.
    report(&mut tree, 2, full(vec![account(None, 2, &[100]), account(Some(2), 3, &[500])]), 1);
    assert_eq!(tree.get(id(3)).unwrap().via, id(3), "who reports to us speaks for itself");
    assert_eq!(tree.me().global_status(), Status::OK);
    assert_eq!(tree.get(id(3)).unwrap().alternatives, [id(2)]);
    tree.apply(Event::Parted { link: id(3), how: Parting::Lost }, at(2));
    let told = pass(&mut tree, 3, 5);
    assert_eq!(kinds(&told), [(Kind::InstanceMoved, "host3")], "seen through 2, so not down");
    assert_eq!((tree.get(id(3)).unwrap().via, tree.count()), (id(2), 3));
    assert_eq!(tree.me().global_status(), Status::ERROR);
    check(&tree);
    // Now 2 is lost as well.
    tree.apply(Event::Parted { link: id(2), how: Parting::Lost }, at(5));
    let told = pass(&mut tree, 6, 8);
    assert_eq!(kinds(&told), [(Kind::InstanceDown, "host3"), (Kind::InstanceDown, "host2")]);
    assert_eq!(kinds(&link(&mut tree, 3, 9)), [(Kind::InstanceUp, "host3")]);
    check(&tree);
}

#[test]
fn cycles_and_lies_about_ourselves_change_nothing() {
    let mut tree = tree();
    link(&mut tree, 2, 1);
    let mut own = account(Some(2), ME, &[500]);
    own.header.as_mut().unwrap().name = "not me".into();
    let accounts = vec![
        account(None, 2, &[100]),
        own,
        account(Some(ME), 4, &[500]),
        account(Some(4), 5, &[500]),
        account(Some(5), 2, &[500]),
    ];
    report(&mut tree, 2, full(accounts), 1);
    assert_eq!((tree.count(), tree.me().host.name.as_str()), (2, "top"));
    assert_eq!(tree.get(id(2)).unwrap().parent, Some(id(ME)));
    check(&tree);
}

#[test]
fn what_a_full_account_does_not_mention_is_gone() {
    let mut tree = tree();
    link(&mut tree, 2, 1);
    let leaf = |number| account(Some(2), number, &[300]);
    report(&mut tree, 2, full(vec![account(None, 2, &[100, 200]), leaf(3), leaf(4)]), 1);
    // In two parts.
    let first =
        Report { begins: true, accounts: vec![account(None, 2, &[100])], ..Report::default() };
    report(&mut tree, 2, first, 2);
    assert_eq!(tree.count(), 4, "nothing is gone before the end");
    let last = Report { ends: true, accounts: vec![leaf(4)], ..Report::default() };
    report(&mut tree, 2, last, 2);
    assert_eq!(tree.count(), 3);
    assert!(tree.get(id(3)).is_none());
    assert_eq!(tree.get(id(2)).unwrap().host.probes.len(), 1);
    check(&tree);
}

#[test]
fn changes_say_only_what_changed() {
    let mut tree = tree();
    link(&mut tree, 2, 1);
    report(&mut tree, 2, full(vec![account(None, 2, &[100, 200])]), 1);
    let change = Account {
        uuid: id(2),
        header: None,
        probes: vec![probe("p0", 300, 2)],
        complete: false,
        ran: vec![(ProbeName::new("p1").unwrap(), at(9).wall)],
        gone: vec![],
    };
    let event = Event::Reported {
        link: id(2),
        report: Report { accounts: vec![change], ..Report::default() },
        narrate: true,
    };
    let out = tree.apply(event, at(9));
    assert_eq!(out.transitions.len(), 1);
    assert_eq!(out.transitions[0].kind, Kind::ProbeChanged);
    let probes = &tree.get(id(2)).unwrap().host.probes;
    assert_eq!(probes["p0"].result.status, Status::CRIT);
    assert_eq!(probes["p1"].result.date, at(9).wall);
    let freshness: Vec<_> = out.touched.iter().map(|touched| &touched.what).collect();
    assert!(matches!(freshness[0], What::Probe(_, Freshness::Status)));
    assert!(matches!(freshness[1], What::Probe(_, Freshness::Ran)));
}

#[test]
fn what_was_known_before_a_restart_is_unknown_until_heard_and_down_when_late() {
    let mut before = tree();
    link(&mut before, 2, 1);
    report(&mut before, 2, full(vec![account(None, 2, &[300]), account(Some(2), 3, &[100])]), 1);
    let known = [2, 3].map(|number| before.known(id(number)).unwrap());
    let mut tree = tree();
    for known in known {
        assert!(tree.apply(Event::Remembered { known }, at(100)).transitions.is_empty());
    }
    let result = ProbeResult::clone(&probe("p0", 300, 1).result);
    let restored = Event::Restored { instance: id(2), result, since: at(1).wall };
    tree.apply(restored, at(100));
    assert_eq!(tree.presence(tree.get(id(2)).unwrap()), Presence::Unknown);
    assert_eq!(tree.presence(tree.get(id(3)).unwrap()), Presence::Unknown);
    assert_eq!(tree.me().global_status(), Status::CRIT, "what was known counts");
    assert!(pass(&mut tree, 100, 160).is_empty());
    assert_eq!(kinds(&pass(&mut tree, 161, 170)), [(Kind::InstanceDown, "host2")]);
    assert_eq!(kinds(&link(&mut tree, 2, 171)), [(Kind::InstanceUp, "host2")]);
    check(&tree);
}

#[test]
fn down_is_not_told_again_after_a_restart_but_up_is() {
    let mut before = tree();
    link(&mut before, 2, 1);
    report(&mut before, 2, full(vec![account(None, 2, &[100])]), 1);
    assert_eq!(pass(&mut before, 2, 40).len(), 1);
    let known = before.known(id(2)).unwrap();
    assert!(known.down);
    let mut tree = tree();
    tree.apply(Event::Remembered { known }, at(100));
    assert!(pass(&mut tree, 100, 200).is_empty());
    assert_eq!(tree.me().global_status(), Status::DOWN);
    assert_eq!(kinds(&link(&mut tree, 2, 201)), [(Kind::InstanceUp, "host2")]);
}

#[test]
fn when_we_overslept_nobody_else_was_silent() {
    let mut tree = tree();
    link(&mut tree, 2, 1);
    tick(&mut tree, 2);
    assert!(tick(&mut tree, 500).is_empty());
    assert_eq!(pass(&mut tree, 501, 520).len(), 1);
}

#[test]
fn one_instance_cannot_fill_the_tree() {
    let mut tree = tree();
    link(&mut tree, 2, 1);
    let many = (0..MAX_INSTANCES_BELOW as u128 + 10).map(|n| account(Some(2), n + 10, &[]));
    let accounts = [account(None, 2, &[])].into_iter().chain(many).collect();
    report(&mut tree, 2, full(accounts), 1);
    assert_eq!(tree.count(), MAX_INSTANCES_BELOW + 2);
    let probes: Vec<i64> = vec![100; MAX_PROBES_PER_HOST + 5];
    report(&mut tree, 2, full(vec![account(None, 2, &probes)]), 2);
    assert_eq!(tree.get(id(2)).unwrap().host.probes.len(), MAX_PROBES_PER_HOST);
}

#[test]
fn nothing_hangs_deeper_than_the_tree_allows() {
    let mut tree = tree();
    link(&mut tree, 2, 1);
    // Chains of sixty; each time the chain so far is hung below the end of a new one.
    let chain = |first: u128| (first..first + 60).map(move |number| (number, number - 1));
    for round in 0..20u128 {
        let first = 1_000 + round * 100;
        let mut accounts = vec![account(None, 2, &[])];
        for (number, parent) in chain(first) {
            let parent = if number == first { 2 } else { parent };
            accounts.push(account(Some(parent), number, &[]));
        }
        if round > 0 {
            accounts.push(account(Some(first + 59), first - 100, &[]));
        }
        report(&mut tree, 2, Report { accounts, ..Report::default() }, 1);
    }
    check(&tree);
    for instance in tree.all() {
        let above = std::iter::successors(instance.parent, |up| tree.get(*up)?.parent).count();
        assert!(above <= 64, "{above} levels");
    }
}

#[test]
fn one_host_cannot_fill_the_memory() {
    let mut tree = tree();
    link(&mut tree, 2, 1);
    report(&mut tree, 2, full(vec![account(None, 2, &[])]), 1);
    let big = Json::string(&"x".repeat(60_000));
    for number in 0..200 {
        let mut probe = probe(&format!("p{number}"), 100, 1);
        Arc::make_mut(&mut probe.result).detail = big.clone();
        let mut change = account(None, 2, &[]);
        (change.header, change.complete, change.probes) = (None, false, vec![probe]);
        report(&mut tree, 2, Report { accounts: vec![change], ..Report::default() }, 2);
    }
    let host = tree.get(id(2)).unwrap();
    assert!(host.host.probes.len() * 60_000 < MAX_BYTES_PER_HOST + 100_000);
    assert!(host.problem.as_ref().unwrap().contains("more than is taken"));
}

#[test]
fn a_change_of_what_is_not_known_asks_for_a_full_account() {
    let mut tree = tree();
    link(&mut tree, 2, 1);
    report(&mut tree, 2, full(vec![account(None, 2, &[100])]), 1);
    let ran = |name: &str| Account {
        uuid: id(2),
        header: None,
        probes: vec![],
        complete: false,
        ran: vec![(ProbeName::new(name).unwrap(), at(2).wall)],
        gone: vec![],
    };
    let tell = |tree: &mut Tree, account| {
        let report = Report { accounts: vec![account], ..Report::default() };
        tree.apply(Event::Reported { link: id(2), report, narrate: false }, at(2)).amiss
    };
    assert!(!tell(&mut tree, ran("p0")));
    assert!(tell(&mut tree, ran("p1")));
}
