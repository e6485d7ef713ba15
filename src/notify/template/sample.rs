//! Messages to try channels and templates with.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::{
    notify::{Kind, Line, Message, Priority, Subject},
    status::Status,
    tree::ProbeName,
};

/// Kinds of which there is a sample.
pub const KINDS: [Kind; 12] = [
    Kind::Problem,
    Kind::Worsened,
    Kind::Improved,
    Kind::Joined,
    Kind::Reminder,
    Kind::Recovered,
    Kind::Flapping,
    Kind::Calm,
    Kind::Summary,
    Kind::Digest,
    Kind::Notice,
    Kind::Test,
];

/// One of each kind, at a fixed time.
pub fn all() -> impl Iterator<Item = Message> {
    KINDS.into_iter().map(|kind| of(kind, "channel", "monitor", "", Timestamp::UNIX_EPOCH))
}

/// The kind that this word names.
pub fn kind(word: &str) -> Option<Kind> {
    KINDS.into_iter().find(|kind| kind.word().eq_ignore_ascii_case(word.trim()))
}

/// A message as it could be, decided at `at`.
pub fn of(kind: Kind, channel: &str, sender: &str, page_url: &str, at: Timestamp) -> Message {
    let subject = |host: &str, probe: &str| Subject {
        host: host.to_owned(),
        probe: ProbeName::new(probe).ok(),
    };
    let ago =
        |minutes: i64| at.checked_sub(SignedDuration::from_mins(minutes)).unwrap_or(Timestamp::MIN);
    let lead = subject("db1", "hardware_disks");
    let line = |host: &str, status: Status, minutes: i64, output: &str| Line {
        subject: subject(host, "hardware_disks"),
        status,
        since: ago(minutes),
        output: output.to_owned(),
    };
    let incident = Uuid::new_v5(&Uuid::NAMESPACE_DNS, b"sample");
    let is_about_one = !matches!(kind, Kind::Summary | Kind::Digest | Kind::Notice | Kind::Test);
    let status = match kind {
        Kind::Recovered | Kind::Test => Status::OK,
        Kind::Improved | Kind::Notice => Status::WARN,
        _ => Status::CRIT,
    };
    let title = match kind {
        Kind::Summary => "2 problems since the maintenance window ended".to_owned(),
        Kind::Digest => "45 messages in the last minute".to_owned(),
        Kind::Notice => "client db9 waits to be allowed".to_owned(),
        Kind::Test => format!("a test of channel {channel} by {sender}"),
        _ => format!("{lead} is {}: 95 % of /var is used", status.level().word()),
    };
    let output = match kind {
        Kind::Recovered => "61 % of /var is used",
        Kind::Test => "If you can read this, messages arrive here. Nothing is broken.",
        Kind::Notice => "Somebody has to let it in.",
        Kind::Summary | Kind::Digest => "",
        _ => "95 % of /var is used, 2.1 GiB are free\n/var/lib/postgresql grew by 4 GiB in an hour",
    };
    Message {
        key: match is_about_one {
            true => format!("{incident}:1:{channel}"),
            false => format!("{}:{}:{channel}", kind.word(), at.as_second()),
        },
        channel: channel.to_owned(),
        kind,
        priority: if kind == Kind::Reminder { Priority::High } else { Priority::Normal },
        incident: is_about_one.then_some(incident),
        thread: format!("{incident}:1:{channel}"),
        is_first: matches!(kind, Kind::Problem),
        at,
        since: ago(if kind == Kind::Problem { 2 } else { 185 }),
        status,
        was: match kind {
            Kind::Worsened => Some(Status::WARN),
            Kind::Improved | Kind::Recovered | Kind::Reminder => Some(Status::CRIT),
            _ => None,
        },
        worst: if is_about_one { Status::CRIT } else { status },
        title,
        subject: if is_about_one { lead } else { Subject::host(sender) },
        group: "databases".to_owned(),
        labels: BTreeMap::from([("env".to_owned(), "prod".to_owned())]),
        output: output.to_owned(),
        lines: match kind {
            Kind::Notice | Kind::Test | Kind::Recovered | Kind::Problem => Vec::new(),
            _ => vec![
                line("db2", Status::CRIT, 170, "97 % of /var is used"),
                line("db3", Status::WARN, 140, "82 % of /var is used"),
            ],
        },
        total: if matches!(kind, Kind::Notice | Kind::Test | Kind::Problem) { 1 } else { 45 },
        bad: match kind {
            Kind::Notice | Kind::Test | Kind::Recovered => 0,
            Kind::Problem => 1,
            _ => 3,
        },
        runbook: is_about_one.then(|| "https://wiki.example.org/disks".to_owned()),
        link: (is_about_one && !page_url.is_empty())
            .then(|| format!("{page_url}/incidents/{incident}")),
        reminder: u32::from(kind == Kind::Reminder),
        sender: sender.to_owned(),
        sender_uuid: Uuid::new_v5(&Uuid::NAMESPACE_DNS, sender.as_bytes()),
        result: None,
        probes_in_error: if status == Status::OK {
            vec![]
        } else {
            vec!["hardware_disks".to_owned()]
        },
        expires: at.checked_add(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MAX),
    }
}
