use std::collections::BTreeMap;

use tempfile::TempDir;

use super::*;
use crate::{
    notify::{Event, Outcome, Priority, Reason, Step, Subject, incident::Member},
    store::{Settings, Store},
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn open(folder: &TempDir) -> Store {
    let path = folder.path().join("wigo.db");
    // What the tests write happened long ago, and must not be deleted as old meanwhile.
    let opened = Store::open(Settings { path, origin: Uuid::from_u128(1), keep_days: 40_000 });
    opened.store.flush().unwrap();
    opened.store
}

fn store() -> (TempDir, Store, NotifyStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let notify = store.notify();
    (folder, store, notify)
}

fn probe(name: &str) -> ProbeName {
    ProbeName::parse(name).unwrap()
}

fn message(incident: u128, number: u32, channel: &str) -> Message {
    let incident = Uuid::from_u128(incident);
    Message {
        key: format!("{incident}:{number}:{channel}"),
        channel: channel.into(),
        kind: Kind::Problem,
        priority: Priority::Normal,
        incident: Some(incident),
        thread: incident.to_string(),
        is_first: number == 1,
        at: at(100),
        since: at(99),
        status: Status::CRIT,
        was: None,
        worst: Status::CRIT,
        title: "db1 / disk is CRIT".into(),
        subject: Subject::probe("db1", probe("disk")),
        group: "db".into(),
        labels: BTreeMap::new(),
        output: "95 %".into(),
        lines: vec![],
        total: 1,
        bad: 1,
        runbook: None,
        link: None,
        reminder: 0,
        sender: "top".into(),
        sender_uuid: Uuid::from_u128(1),
        result: None,
        probes_in_error: vec![],
        expires: at(90_000),
    }
}

fn commit(number: i64, messages: Vec<Message>) -> Commit {
    Commit { process: 7, number, cursor: 10 + number.unsigned_abs(), messages, ..Commit::default() }
}

fn attempt(key: &str, ok: bool, state: State, next: Option<Timestamp>) -> Attempt {
    let tried = Try { at: at(101), ok, text: "said".into(), took: Duration::from_millis(3) };
    Attempt {
        key: key.into(),
        tried: Some(tried),
        state,
        next,
        text: Some("as sent".into()),
        instead: None,
    }
}

fn keys(due: &[Due]) -> Vec<&str> {
    due.iter().map(|due| due.message.key.as_str()).collect()
}

fn incident(id: u128, host: &str, opened: i64, status: Status, closed: Option<i64>) -> Incident {
    let member = |name: &str| Member {
        subject: Subject::probe(host, probe(name)),
        group: "db".into(),
        labels: BTreeMap::new(),
        since: at(opened),
        status,
        worst: status,
        output: String::new(),
        runbook: None,
        recovered: closed.map(at),
    };
    Incident {
        id: Uuid::from_u128(id),
        opened: at(opened),
        closed: closed.map(at),
        status,
        worst: status,
        lead: Subject::probe(host, probe("disk")),
        members: vec![member("disk"), member("load")],
        unlisted: 0,
        ack: None,
        told: BTreeMap::new(),
        messages: 1,
    }
}

fn decision(host: &str, second: i64, incident: Option<u128>) -> Decision {
    Decision {
        at: at(second),
        subject: Subject::probe(host, probe("disk")),
        entry: Some(u64::MAX),
        incident: incident.map(Uuid::from_u128),
        channel: None,
        status: Status::CRIT,
        outcome: Outcome::Held,
        chain: vec![Step { reason: Reason::Silenced, passed: false, detail: "by alice".into() }],
        message: None,
    }
}

#[test]
fn a_commit_is_there_whole_and_once_however_often_it_is_handed_in() {
    let (folder, store, notify) = store();
    assert_eq!(notify.load().unwrap(), Resumed::default());
    let piece = |key: &str, value: Option<&str>| Changed {
        kind: "subject",
        key: key.into(),
        value: value.map(Into::into),
    };
    let moment = Moment {
        incident: Uuid::from_u128(5),
        at: at(100),
        event: Event::Acknowledged,
        subject: Some(Subject::host("db1")),
        status: Some(Status::DOWN),
        text: "seen".into(),
        by: Some("alice".into()),
    };
    let first = Commit {
        changed: vec![piece("a", Some("1")), piece("b", Some("2"))],
        moments: vec![moment.clone()],
        decisions: vec![decision("db1", 100, Some(5))],
        incidents: vec![incident(5, "db1", 100, Status::CRIT, None)],
        ..commit(1, vec![message(5, 1, "mail")])
    };
    notify.commit(&first).unwrap();
    notify.commit(&first).unwrap();
    notify.commit(&Commit { changed: vec![piece("a", None)], ..commit(2, vec![]) }).unwrap();
    let check = |notify: &NotifyStore| {
        let resumed = notify.load().unwrap();
        assert_eq!(resumed.cursor, Some(12));
        assert_eq!(resumed.state.pieces, [("subject".into(), "b".into(), "2".into())]);
        assert_eq!(notify.moments(Uuid::from_u128(5)).unwrap(), std::slice::from_ref(&moment));
        let found = notify.decisions(&DecisionQuery { limit: 9, ..Default::default() }).unwrap();
        assert_eq!(found.items[0].decision, decision("db1", 100, Some(5)));
        assert_eq!((found.items.len(), found.more), (1, false));
        assert_eq!(notify.incident(Uuid::from_u128(5)).unwrap().as_ref(), first.incidents.first());
        assert_eq!(keys(&notify.due("mail", at(100), 9).unwrap().0), [&first.messages[0].key]);
    };
    check(&notify);
    drop((notify, store));
    let again = open(&folder);
    check(&again.notify());
    // Another process begins its numbers anew.
    again.notify().commit(&Commit { process: 8, ..commit(1, vec![]) }).unwrap();
    assert_eq!(again.notify().load().unwrap().cursor, Some(11));
}

#[test]
fn a_message_waits_for_the_earlier_ones_of_its_incident_on_its_channel_only() {
    let (_folder, _store, notify) = store();
    let messages = vec![
        message(1, 1, "mail"),
        message(1, 2, "mail"),
        message(2, 1, "mail"),
        message(1, 1, "sms"),
    ];
    let key: Vec<String> = messages.iter().map(|message| message.key.clone()).collect();
    notify.commit(&commit(1, messages)).unwrap();
    assert_eq!(keys(&notify.due("mail", at(200), 9).unwrap().0), [&key[0], &key[2]]);
    assert_eq!(keys(&notify.due("sms", at(200), 9).unwrap().0), [&key[3]]);
    // A failure: its successor goes on waiting, others do not.
    notify.attempted(&[attempt(&key[0], false, State::Waiting, Some(at(260)))]).unwrap();
    let (due, later) = notify.due("mail", at(200), 9).unwrap();
    assert_eq!((keys(&due), later), (vec![key[2].as_str()], Some(at(260))));
    notify.attempted(&[attempt(&key[0], true, State::Sent, None)]).unwrap();
    let (due, later) = notify.due("mail", at(200), 9).unwrap();
    assert_eq!((keys(&due), later), (vec![key[1].as_str(), &key[2]], None));
    let row = &notify.notifications_of(&key[..1]).unwrap()[0];
    assert_eq!((row.state, row.attempts, &*row.answer), (State::Sent, 2, "said"));
    assert_eq!((row.delivered, row.next), (Some(at(101)), None));
    let tries: Vec<bool> = notify.tries(row.id).unwrap().iter().map(|tried| tried.ok).collect();
    assert_eq!(tries, [false, true]);
    assert_eq!(notify.message(row.id).unwrap().unwrap().1, "as sent");
    let count = notify.channel_count("mail").unwrap();
    assert_eq!(count, ChannelCount { waiting: 2, dead: 0, delivered: Some(at(101)) });
}

#[test]
fn what_a_channel_cannot_deliver_goes_to_another_once() {
    let (_folder, _store, notify) = store();
    let message_of = |number| message(1, number, "http");
    notify.commit(&commit(1, vec![message_of(1), message_of(2), message(2, 1, "http")])).unwrap();
    let copy = |message: &Message| Message {
        key: format!("{}:mail", message.key),
        channel: "mail".into(),
        ..message.clone()
    };
    let dead = Attempt {
        instead: Some(Box::new(copy(&message_of(1)))),
        ..attempt(&message_of(1).key, false, State::Dead, None)
    };
    notify.attempted(&[dead]).unwrap();
    assert_eq!(keys(&notify.due("mail", at(200), 9).unwrap().0), [copy(&message_of(1)).key]);
    // The next of the incident knows that somebody else has heard of it.
    let (due, _) = notify.due("http", at(200), 9).unwrap();
    let known: Vec<(&str, bool)> =
        due.iter().map(|due| (due.message.key.as_str(), due.is_copied)).collect();
    let (second, other) = (message_of(2).key, message(2, 1, "http").key);
    assert_eq!(known, [(&*second, true), (&*other, false)]);
    let overdue = notify.overdue("http", at(150), 9).unwrap();
    assert_eq!(overdue.len(), 2);
    for _ in 0..2 {
        notify.copy(&[(second.clone(), copy(&message_of(2)))]).unwrap();
    }
    assert_eq!(notify.overdue("http", at(150), 9).unwrap(), [message(2, 1, "http")]);
    assert_eq!(notify.overdue("http", at(100), 9).unwrap(), []);
    assert_eq!(notify.channel_count("mail").unwrap().waiting, 2);
    assert_eq!(notify.channel_count("http").unwrap().dead, 1);
}

#[test]
fn a_dead_message_can_be_sent_again_and_a_removed_channel_has_only_dead_ones() {
    let (_folder, _store, notify) = store();
    notify.commit(&commit(1, vec![message(1, 1, "mail"), message(2, 1, "mail")])).unwrap();
    assert_eq!(notify.waiting_channels().unwrap(), ["mail"]);
    assert_eq!(notify.abandon("mail", "channel removed").unwrap(), 2);
    assert_eq!(notify.waiting_channels().unwrap(), Vec::<String>::new());
    let query = NotificationQuery { state: Some(State::Dead), limit: 1, ..Default::default() };
    let page = notify.notifications(&query).unwrap();
    assert!(page.more);
    let id = page.items[0].id;
    assert_eq!(page.items[0].answer, "channel removed");
    assert_eq!(notify.resend(id, at(500), at(999)).unwrap().as_deref(), Some("mail"));
    let (due, _) = notify.due("mail", at(500), 9).unwrap();
    assert_eq!((due[0].message.expires, due[0].attempts), (at(999), 0));
    assert_eq!(notify.resend(id + 1, at(500), at(999)).unwrap(), None);
    let older = NotificationQuery { before: Some(id), ..query };
    assert_eq!(notify.notifications(&older).unwrap().items.len(), 1);
}

#[test]
fn incidents_are_found_by_their_members_open_and_worst_first() {
    let (_folder, _store, notify) = store();
    let incidents = vec![
        incident(1, "db1", 100, Status::WARN, None),
        incident(2, "db2", 101, Status::CRIT, None),
        incident(3, "db1", 50, Status::CRIT, Some(60)),
        incident(4, "db3", 102, Status::WARN, None),
    ];
    notify.commit(&Commit { incidents, ..commit(1, vec![]) }).unwrap();
    let ask = |query: IncidentQuery| -> Vec<u128> {
        let page = notify.incidents(&IncidentQuery { limit: 9, ..query }).unwrap();
        page.items.iter().map(|incident| incident.id.as_u128()).collect()
    };
    let all = IncidentQuery::default;
    let host = |name: &str| Some(name.to_owned());
    assert_eq!(ask(all()), [2, 4, 1, 3]);
    assert_eq!(notify.open_incidents().unwrap(), 3);
    assert_eq!(ask(IncidentQuery { before: Some(Uuid::from_u128(4)), ..all() }), [1, 3]);
    assert_eq!(ask(IncidentQuery { open: Some(false), ..all() }), [3]);
    assert_eq!(ask(IncidentQuery { host: host("db1"), open: Some(true), ..all() }), [1]);
    assert_eq!(ask(IncidentQuery { probe: Some("load".into()), host: host("db2"), ..all() }), [2]);
    assert_eq!(ask(IncidentQuery { probe: Some(String::new()), ..all() }), [0; 0]);
    assert_eq!(ask(IncidentQuery { since: Some(at(61)), ..all() }), [2, 4, 1]);
    assert_eq!(ask(IncidentQuery { until: Some(at(101)), ..all() }), [1, 3]);
    // One that comes in is found as well, and what is closed does not come first any more.
    let mut changed = incident(2, "db2", 101, Status::OK, Some(200));
    changed.members.push(Member { subject: Subject::host("web1"), ..changed.members[0].clone() });
    notify.commit(&Commit { incidents: vec![changed], ..commit(2, vec![]) }).unwrap();
    assert_eq!(ask(IncidentQuery { host: host("web1"), ..all() }), [2]);
    assert_eq!(ask(all()), [4, 1, 2, 3]);
}

#[test]
fn decisions_are_found_by_what_they_are_about_and_when() {
    let (_folder, _store, notify) = store();
    let decisions =
        vec![decision("a", 10, None), decision("b", 11, Some(5)), decision("a", 12, Some(5))];
    notify.commit(&Commit { decisions, ..commit(1, vec![]) }).unwrap();
    let ask = |query: DecisionQuery| -> Vec<i64> {
        let page = notify.decisions(&DecisionQuery { limit: 9, ..query }).unwrap();
        page.items.iter().map(|stored| stored.decision.at.as_second()).collect()
    };
    let all = DecisionQuery::default;
    assert_eq!(ask(DecisionQuery { host: Some("a".into()), ..all() }), [12, 10]);
    assert_eq!(ask(DecisionQuery { incident: Some(Uuid::from_u128(5)), ..all() }), [12, 11]);
    assert_eq!(ask(DecisionQuery { until: Some(at(11)), ..all() }), [11, 10]);
    assert_eq!(ask(DecisionQuery { since: Some(at(11)), ..all() }), [12, 11]);
    assert_eq!(ask(DecisionQuery { probe: Some(String::new()), ..all() }), [0; 0]);
}

#[test]
fn what_is_old_goes_but_not_what_waits_or_is_open() {
    let (_folder, _store, notify) = store();
    notify
        .commit(&Commit {
            incidents: vec![
                incident(1, "a", 1, Status::OK, Some(100)),
                incident(2, "a", 1, Status::CRIT, None),
            ],
            moments: vec![Moment {
                incident: Uuid::from_u128(1),
                at: at(1),
                event: Event::Opened,
                subject: None,
                status: None,
                text: String::new(),
                by: None,
            }],
            decisions: vec![decision("a", 100, None), decision("a", 300, None)],
            ..commit(1, vec![message(1, 1, "mail"), message(2, 1, "mail")])
        })
        .unwrap();
    notify.attempted(&[attempt(&message(1, 1, "mail").key, true, State::Sent, None)]).unwrap();
    let purge = |step| notify.connections.desk("", |connection| purge(connection, 200_000, step));
    assert!(purge(1).unwrap());
    assert!(!purge(10).unwrap());
    let count = |table: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        notify
            .connections
            .desk("", |connection| connection.query_row(&sql, [], |row| row.get(0)))
            .unwrap()
    };
    let left: Vec<i64> = TABLES.iter().map(|(table, _)| count(table)).collect();
    // notify_state, incident, its members and moments, notification and its tries, decision
    assert_eq!(left, [0, 1, 2, 0, 1, 0, 1]);
    assert_eq!(notify.open_incidents().unwrap(), 1);
    assert_eq!(notify.waiting_channels().unwrap(), ["mail"]);
}

#[test]
fn what_people_are_to_be_told_survives_a_damaged_database() {
    let (folder, store, notify) = store();
    let piece = Changed { kind: "window", key: "1".into(), value: Some("{}".into()) };
    notify
        .commit(&Commit {
            changed: vec![piece],
            incidents: vec![incident(2, "a", 1, Status::CRIT, None)],
            ..commit(1, vec![message(2, 1, "mail")])
        })
        .unwrap();
    store.close(Duration::from_secs(10)).unwrap();
    drop((notify, store));
    let path = folder.path().join("wigo.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("DROP TABLE position").unwrap();
    drop(connection);
    let store = open(&folder);
    let notify = store.notify();
    assert!(store.health().notes.iter().any(|note| note.text.contains("damaged")));
    let resumed = notify.load().unwrap();
    assert_eq!(resumed.cursor, Some(11));
    assert_eq!(resumed.state.pieces, [("window".into(), "1".into(), "{}".into())]);
    assert_eq!(keys(&notify.due("mail", at(200), 9).unwrap().0).len(), 1);
    assert_eq!(notify.open_incidents().unwrap(), 1);
}
