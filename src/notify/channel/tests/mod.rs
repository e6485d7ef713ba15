//! All channels over HTTP against receivers on this machine.

mod bodies;
mod contract;
mod receivers;
mod recipients;
mod server;
mod transport;

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Delivery, address::Address, client::Client};
use crate::{
    config::Secret,
    notify::{Kind, Line, Message, Priority, Subject},
    status::Status,
    tree::ProbeName,
};

/// A disk that is nearly full, at 03:04:05 on 2 January 2026.
pub(super) fn delivery() -> Delivery {
    let at = "2026-01-02T03:04:05.25Z".parse().unwrap();
    let incident = Uuid::from_u128(0x1234_5678_9abc_def0_1234_5678_9abc_def0);
    let probe = |name| ProbeName::new(name).unwrap();
    let message = Message {
        key: format!("{incident}:7:chat"),
        channel: "chat".into(),
        kind: Kind::Problem,
        priority: Priority::Normal,
        incident: Some(incident),
        thread: format!("{incident}:chat"),
        is_first: true,
        at,
        since: "2026-01-02T03:03:00Z".parse().unwrap(),
        status: Status::CRIT,
        was: None,
        worst: Status::CRIT,
        title: "db1 / disk is CRIT: 95 % used".into(),
        subject: Subject::probe("db1", probe("disk")),
        group: "databases".into(),
        labels: BTreeMap::from([("env".into(), "prod".into())]),
        output: "95 % used".into(),
        lines: vec![Line {
            subject: Subject::probe("db2", probe("load")),
            status: Status::WARN,
            since: at,
            output: "load 40".into(),
        }],
        total: 2,
        bad: 2,
        runbook: Some("https://wiki.example.org/disk_full".into()),
        link: Some(format!("https://wigo.example.org/incidents/{incident}")),
        reminder: 0,
        sender: "master1".into(),
        sender_uuid: Uuid::from_u128(7),
        result: None,
        probes_in_error: vec!["disk".into()],
        expires: "2026-01-03T03:04:05Z".parse().unwrap(),
    };
    let title = message.title.clone();
    let body = "Since 03:03\n95 % used".to_owned();
    Delivery { message, attempt: 1, late: None, title, body, now: at }
}

/// Everything in it that comes from outside is meant to break something.
pub(super) fn hostile() -> Delivery {
    let evil = "a\nb\r\n\u{1b}[31m\u{202e}@everyone @here <!channel> <@U1> <b>&amp;*x* _y_ `z` ~q~ |s| \
                [c](https://evil.example) @**all** \\ \" '\n```\n`` 🔥é $(id) {{x}} \0";
    let Delivery { mut message, now, .. } = delivery();
    let long: String = evil.repeat(1_000);
    assert!(long.len() > 100_000);
    message.key = format!("{}é\n@", message.key);
    message.title = evil.into();
    message.subject.host = format!("{evil}{}", "h".repeat(500));
    message.subject.probe = Some(ProbeName::new(&"```*_🔥@all<>&".repeat(9)).unwrap());
    message.group = long[..5_000].into();
    message.labels = (0..60).map(|n| (format!("1-{n} é\n"), evil.repeat(9))).collect();
    message.output = long.clone();
    message.lines[0].output = long.clone();
    message.runbook = Some("https://wiki.example.org/a)|<b>[*](x)?q=\"'`".into());
    message.link = Some("javascript:alert(1)".into());
    message.sender = evil.repeat(9);
    Delivery { title: evil.repeat(30), body: long, message, attempt: 3, late: None, now }
}

/// When it is over.
pub(super) fn recovery() -> Delivery {
    let mut delivery = delivery();
    let message = &mut delivery.message;
    message.key = message.key.replace(":7:", ":8:");
    message.kind = Kind::Recovered;
    (message.status, message.was, message.bad) = (Status::OK, Some(Status::CRIT), 0);
    (message.is_first, message.lines) = (false, Vec::new());
    message.at = "2026-01-02T04:00:00Z".parse().unwrap();
    delivery.title = "db1 / disk is OK again after 57 min".into();
    delivery.now = message.at;
    delivery
}

/// One for each test: reading all the certificates of this machine takes a while.
fn client() -> Client {
    thread_local! {
        static CLIENT: Client = Client::new(None).unwrap();
    }
    CLIENT.with(Client::clone)
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text)
}
