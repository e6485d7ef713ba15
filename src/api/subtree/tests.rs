use std::io::Read as _;

use jiff::Timestamp;
use serde_json::Value;

use super::*;
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

fn probe(name: &str, status: i64) -> Probe {
    let result = ProbeResult {
        name: ProbeName::new(name).unwrap(),
        version: "1.0".into(),
        value: Json::string("value"),
        message: format!("{name} says \"{status}\" & <more>, as probes do"),
        date: now().wall,
        metrics: Json::parse(r#"[{"Tags":{"Disk":"/"},"Value":91.5},{"Value":3}]"#).unwrap(),
        detail: Json::null(),
        status: Status::new(status).unwrap(),
        exit_code: 0,
        interval: 60,
    };
    Probe { since: result.date, result: Arc::new(result), stale: false }
}

fn account(number: u128, parent: Option<u128>, probes: Vec<Probe>) -> Account {
    let header = Header {
        parent: parent.map(id),
        version: "Wigo v1".into(),
        name: format!("host{number}"),
        group: "web".into(),
        labels: [("role".to_owned(), "web".to_owned())].into(),
        presence: Presence::Alive,
        since: None,
        last_update: None,
        problem: None,
        disabled: Default::default(),
        remote_control: Default::default(),
    };
    Account {
        uuid: id(number),
        header: Some(header),
        probes,
        complete: true,
        ran: Vec::new(),
        gone: Vec::new(),
    }
}

fn link(tree: &mut Tree, number: u128) {
    let contact = Contact::Push { address: "192.0.2.1:5".into(), encrypted: true };
    let limit = Duration::from_secs(14);
    let name = format!("host{number}");
    tree.apply(Event::Linked { link: id(number), name, contact, limit, grace: limit }, now());
}

fn report(tree: &mut Tree, link: u128, accounts: Vec<Account>, whole: bool) {
    let report = Report { begins: whole, ends: whole, accounts, gone: Vec::new() };
    tree.apply(Event::Reported { link: id(link), report, narrate: false }, now());
}

/// This instance (1); below it 2 with 20 and 21, and 3 with 30, which has 300; and 4 alone.
fn small() -> Tree {
    let mut tree = Tree::new(Instance::new(id(1), "Wigo v1", Host::new("top", "hq")));
    for direct in [2, 3, 4] {
        link(&mut tree, direct);
    }
    let one = |number, parent| account(number, parent, vec![probe("load", 100)]);
    report(&mut tree, 2, vec![one(2, None), one(20, Some(2)), one(21, Some(2))], true);
    report(&mut tree, 3, vec![one(3, None), one(30, Some(3)), one(300, Some(30))], true);
    report(&mut tree, 4, vec![one(4, None)], true);
    tree
}

fn joined(tree: &View, fragments: &Arc<Fragments>, top: u128, compressed: bool) -> Vec<u8> {
    let joined = Joined::new(tree.clone(), fragments.clone(), id(top), compressed);
    joined.flat_map(Result::unwrap).collect()
}

fn unpacked(document: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(document).read_to_end(&mut text).unwrap();
    text
}

fn text(tree: &View, fragments: &Arc<Fragments>, top: u128) -> String {
    let text = joined(tree, fragments, top, false);
    assert!(unpacked(&joined(tree, fragments, top, true)) == text, "compressed it is the same");
    String::from_utf8(text).unwrap()
}

#[test]
fn an_instance_stands_in_the_one_above_it() {
    let (tree, fragments) = (small().view(), Arc::new(Fragments::new()));
    let whole: Value = serde_json::from_str(&text(&tree, &fragments, 1)).unwrap();
    let below = |value: &Value, number| value["RemoteWigos"][id(number).to_string()].clone();
    let leaf = below(&below(&below(&whole, 3), 30), 300);
    assert_eq!(
        (&leaf["Hostname"], &leaf["RemoteWigos"]),
        (&"host300".into(), &Value::from_iter::<[(String, Value); 0]>([]))
    );
    assert_eq!(leaf["LocalHost"]["Probes"]["load"]["Status"], 100);
    assert_eq!((&leaf["Via"], &leaf["Contact"]), (&id(3).to_string().into(), &Value::Null));
    let direct = below(&whole, 2);
    assert_eq!(direct["RemoteWigos"].as_object().unwrap().len(), 2);
    assert_eq!(
        (&direct["Presence"], direct["Contact"].to_string().as_str()),
        (&"alive".into(), r#"{"Address":"192.0.2.1:5","Encrypted":true,"Kind":"push"}"#)
    );
    assert_eq!((&whole["Via"], &whole["Hostname"]), (&"".into(), &"top".into()));
    let part: Value = serde_json::from_str(&text(&tree, &fragments, 2)).unwrap();
    assert_eq!(part, direct);
}

#[test]
fn only_what_changed_is_rendered_again() {
    let (mut tree, fragments) = (small(), Arc::new(Fragments::new()));
    let held = |tree: &Tree, number| fragments.of(tree, tree.get(id(number)).unwrap());
    let before = text(&tree.view(), &fragments, 1);
    let kept: Vec<_> =
        [1, 2, 3, 4, 20, 21, 30, 300].map(|number| (number, held(&tree, number))).into();
    report(&mut tree, 3, vec![account(300, Some(30), vec![probe("load", 300)])], false);
    let after = text(&tree.view(), &fragments, 1);
    assert_ne!(before, after);
    let changed: Vec<u128> = kept
        .iter()
        .filter(|(number, fragment)| !Arc::ptr_eq(fragment, &held(&tree, *number)))
        .map(|(number, _)| *number)
        .collect();
    // It, and all above it, whose global status is another.
    assert_eq!(changed, [1, 3, 30, 300]);
}

#[test]
fn an_answer_is_that_of_its_tree_and_not_of_a_later_one() {
    let (mut tree, fragments) = (small(), Arc::new(Fragments::new()));
    let (early, before) = (tree.view(), text(&tree.view(), &fragments, 1));
    report(&mut tree, 4, vec![account(4, None, vec![probe("load", 250)])], false);
    let after = text(&tree.view(), &fragments, 1);
    assert_eq!(text(&early, &fragments, 1), before);
    assert_eq!(text(&tree.view(), &fragments, 1), after);
}

#[test]
fn what_is_behind_a_lost_instance_is_shown_as_unknown_and_stale() {
    let (mut tree, fragments) = (small(), Arc::new(Fragments::new()));
    let tag_before = tag(7, &tree, id(20));
    text(&tree.view(), &fragments, 1);
    tree.apply(Event::Parted { link: id(2), how: Parting::Stopping }, now());
    let shown: Value = serde_json::from_str(&text(&tree.view(), &fragments, 20)).unwrap();
    assert_eq!((&shown["Presence"], &shown["IsAlive"]), (&"unknown".into(), &false.into()));
    assert_eq!(shown["LocalHost"]["Probes"]["load"]["Stale"], true);
    assert_ne!(tag(7, &tree, id(20)), tag_before);
}

#[test]
fn a_tag_is_another_when_something_in_the_answer_is() {
    let mut tree = small();
    let tags = |tree: &Tree| [1, 2, 4, 3, 300].map(|number| tag(7, tree, id(number)));
    let before = tags(&tree);
    assert_eq!(tags(&tree), before);
    report(
        &mut tree,
        3,
        vec![account(300, Some(30), vec![probe("load", 100), probe("x", 100)])],
        false,
    );
    let after = tags(&tree);
    let same: Vec<bool> =
        before.iter().zip(&after).map(|(before, after)| before == after).collect();
    assert_eq!(same, [false, true, true, false, false]);
    assert_ne!(tag(8, &tree, id(1)), after[0], "another process means something else");
}

#[test]
fn fragments_of_what_is_gone_are_let_go() {
    let (mut tree, fragments) = (small(), Arc::new(Fragments::new()));
    text(&tree.view(), &fragments, 1);
    tree.apply(Event::Parted { link: id(3), how: Parting::Goodbye }, now());
    fragments.forget_gone(&tree);
    assert_eq!(fragments.count(), tree.count());
}

#[test]
fn gzip_is_given_to_those_who_take_it() {
    let check = |list: &'static str, takes| {
        let headers =
            HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(list))]);
        assert_eq!(accepts_gzip(&headers), takes, "{list}");
    };
    check("gzip", true);
    check("deflate, GZip;q=0.5, br", true);
    check("gzip;q=0, identity", false);
    check("zstd, br", false);
    assert!(!accepts_gzip(&HeaderMap::new()));
}

/// What `GET /api` costs: `cargo test --release --lib cost_of -- --ignored --nocapture`.
#[test]
#[ignore = "measures"]
fn cost_of_a_large_tree() {
    fn resident_kib() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
    for hosts in [1_000u128, 10_000] {
        let mut tree = Tree::new(Instance::new(id(1), "Wigo v1", Host::new("top", "hq")));
        let probes = |status| (0..20).map(|n| probe(&format!("probe_{n}"), status)).collect();
        for host in 2..hosts + 2 {
            link(&mut tree, host);
            report(&mut tree, host, vec![account(host, None, probes(100))], true);
        }
        let fragments = Arc::new(Fragments::new());
        let mut status = 200;
        for compressed in [true, false] {
            for what in ["first", "unchanged", "one change"] {
                if what == "one change" {
                    report(&mut tree, 5, vec![account(5, None, probes(status))], true);
                    status += 1;
                }
                let (before, begun) = (resident_kib(), Instant::now());
                let view = tree.view();
                let tag = tag(7, &view, id(1));
                let tagged = begun.elapsed();
                let chunks = Joined::new(view, fragments.clone(), id(1), compressed);
                let bytes: usize = chunks.map(|chunk| chunk.unwrap().len()).sum();
                println!(
                    "{hosts} hosts, compressed {compressed}, {what}: {:?} (tag {tagged:?}), {bytes} bytes, \
                     {} KiB more than before {tag:?}",
                    begun.elapsed(),
                    resident_kib() as i64 - before as i64,
                );
            }
        }
    }
}
