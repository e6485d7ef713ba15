use std::collections::BTreeMap;

use uuid::Uuid;

use super::{
    item::{About, Item, Position, id, position, write},
    resume::History,
    scope::{NoScope, Scope, Wanted},
};
use crate::tree::{Host, Instance, Tree};

const ME: Uuid = Uuid::from_u128(1);
const CHILD: Uuid = Uuid::from_u128(2);

fn scope(query: &str) -> Result<Scope, NoScope> {
    let tree = Tree::new(Instance::new(ME, "Wigo v1", Host::new("top", "web")));
    Scope::read(query, &tree.view())
}

fn host(uuid: Uuid, parent: Option<Uuid>, heard: bool) -> About {
    About::Host { uuid, parent, group: "web".into(), heard }
}

fn probe(uuid: Uuid, ran: bool) -> About {
    About::Probe { uuid, group: "web".into(), ran }
}

fn log(host: &str, probe: &str) -> About {
    About::Log { id: 1, host: host.into(), group: "web".into(), probe: probe.into() }
}

#[test]
fn each_scope_takes_its_part() {
    let news = BTreeMap::from([
        ("everyone", About::Everyone),
        ("own row", host(ME, None, false)),
        ("own row heard", host(ME, None, true)),
        ("child", host(CHILD, Some(ME), false)),
        ("child heard", host(CHILD, Some(ME), true)),
        ("own probe", probe(ME, false)),
        ("own probe ran", probe(ME, true)),
        ("child's probe", probe(CHILD, false)),
        ("own log", log("top", "door")),
        ("child's log", log("below", "")),
        ("rows", About::Rows),
        ("entries", About::Entries),
    ]);
    let check = |query: &str, expected: &[&str]| {
        let scope = scope(query).unwrap();
        let taken = news.iter().filter(|(_, about)| scope.takes(about)).map(|(name, _)| *name);
        let mut expected = expected.to_vec();
        expected.push("everyone");
        expected.sort_unstable();
        assert_eq!(taken.collect::<Vec<_>>(), expected, "{query}");
        let mut wanted = Wanted::default();
        wanted.add(&scope);
        wanted.add(&scope);
        wanted.remove(&scope);
        assert!(news.values().all(|about| wanted.takes(about) == scope.takes(about)), "{query}");
        wanted.remove(&scope);
        assert!(wanted.is_empty() && !wanted.takes(&About::Everyone));
    };
    let rows = ["own row", "child", "own probe", "child's probe", "rows"];
    check("", &[&rows[..], &["own log", "child's log", "entries"]].concat());
    check("scope=group&group=web", &rows);
    check("scope=group&group=db", &["rows"]);
    let of_host = ["own row", "own row heard", "child", "own probe", "own probe ran"];
    check("scope=host&host=top", &[&of_host[..], &["own log", "rows", "entries"]].concat());
    check("scope=logs&probe=door", &["own log", "entries"]);
    check("scope=logs&hostname=below", &["child's log", "entries"]);
    check("scope=overview", &[]);
    check("scope=none", &[]);
}

#[test]
fn what_is_no_scope_is_refused() {
    assert_eq!(scope("scope=host&host=nobody"), Err(NoScope::UnknownHost("nobody".into())));
    for query in ["scope=some", "scope=host", "scope=group&group="] {
        assert!(matches!(scope(query), Err(NoScope::Query(_))), "{query}");
    }
}

#[test]
fn an_id_is_understood_by_the_process_that_gave_it() {
    let place = Position { revision: 7, journal: u64::MAX };
    let text = id(0xabc, place);
    assert_eq!(position(0xabc, &text), Some(place));
    assert_eq!(position(0xabd, &text), None);
    for nonsense in ["", "abc", "abc-1", "abc-1-x", "abc-1-2-3", "abc--1-2", "é"] {
        assert_eq!(position(0xabc, nonsense), None, "{nonsense}");
    }
}

#[test]
fn a_text_cannot_end_its_event() {
    let item = Item::new(About::Everyone, "probe", &"a\n\nevent: bye\r\ndata: \u{2028}");
    let mut text = String::new();
    write(&mut text, item.event, "1", &item.data);
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(text.starts_with("event: probe\nid: 1\ndata: \"a\\n\\n") && text.ends_with("\n\n"));
    assert!(!text.contains('\r'));
}

#[test]
fn what_is_gone_is_remembered_as_far_as_it_goes() {
    let mut history = History::default();
    let gone = |history: &History, revision| {
        let gone = history.gone_since(revision);
        gone.map(|items| items.map(|item| item.data.to_string()).collect::<Vec<_>>())
    };
    assert_eq!(gone(&history, 5), None, "nobody collects");
    history.begin(3);
    let item = |number: u64| Item::gone(About::Rows, "host_gone", &number);
    for number in 4..8 {
        history.remember(number, item(number));
    }
    assert_eq!(gone(&history, 2), None);
    assert_eq!(gone(&history, 5), Some(vec!["6".into(), "7".into()]));
    assert_eq!(gone(&history, 7), Some(Vec::new()));
    for number in 8..2_000 {
        history.remember(number, item(number));
    }
    assert_eq!(gone(&history, 5), None, "some of it was forgotten");
    assert_eq!(gone(&history, 1_990).map(|items| items.len()), Some(9));
    assert!(history.has_changed("orders", 5), "nobody knows");
    assert!(!history.has_changed("orders", 1_990));
    history.note_changed("orders", 1_995);
    assert!(history.has_changed("orders", 1_995) && !history.has_changed("orders", 1_996));
    history.end();
    assert!(history.has_changed("orders", 1_996), "nobody knows");
    assert_eq!(gone(&history, 1_999), None);
}
