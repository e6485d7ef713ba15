//! The tables of notifications: the state of the policy, incidents with their moments, the outbox, which is
//! the history of messages as well, and the decisions.
//!
//! What the desk decides comes in one piece ([`Commit`]) and is on the disk when the call returns, or not
//! there at all. Each commit has a number, so that one whose end was not heard of can be handed in again.
//! What workers report of deliveries survives the end of the process at once, and that of the machine
//! soon: what is lost with it is sent again under the same key.

mod commit;
mod connection;
mod outbox;
mod purge;
mod read;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use rusqlite::Connection;
use uuid::Uuid;

use super::{
    StoreError,
    database::{meta, set_meta},
    shared::Shared,
};
use crate::{
    notify::{
        Decision, Incident, Kind, Message, Moment,
        policy::{Changed, Stored},
    },
    status::Status,
    tree::ProbeName,
};

use connection::Connections;
pub(super) use purge::purge;

/// The tables, each with its columns, as they are carried over from a damaged database.
pub(super) const TABLES: [(&str, &str); 7] = [
    ("notify_state", "kind, key, value"),
    ("incident", "id, opened, closed, status, worst, host, probe, grp, listed, value"),
    ("incident_member", "incident, host, probe, grp"),
    ("incident_moment", MOMENT_COLUMNS),
    ("notification", NOTIFICATION_COLUMNS),
    ("notification_try", "notification, at, ok, text, milliseconds"),
    ("decision", DECISION_COLUMNS),
];

const MOMENT_COLUMNS: &str = "id, incident, at, event, host, probe, status, text, by";
const NOTIFICATION_COLUMNS: &str = "id, key, channel, kind, incident, host, probe, title, status, at, \
                                    state, attempts, next, delivered, answer, expires, text, copied, \
                                    message";
const DECISION_COLUMNS: &str =
    "id, at, host, probe, entry, incident, channel, status, outcome, reason, chain, key";

/// In `meta`: the entry of the journal up to which the policy has seen all…
pub(super) const CURSOR: &str = "notify_cursor";
/// …and which process wrote the last commit, and its number there.
pub(super) const PROCESS: &str = "notify_process";
pub(super) const COMMITS: &str = "notify_commits";

/// The most rows that a query returns.
pub const MAX_NOTIFY_PAGE: usize = 1_000;

/// What came of one turn of the desk: stored together or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Commit {
    /// A number of the process, by chance.
    pub process: i64,
    /// Grows with each commit of the process. One that is there already is not written again.
    pub number: i64,
    /// The entry of the journal up to which the policy has seen all.
    pub cursor: u64,
    /// Pieces of the policy's state.
    pub changed: Vec<Changed>,
    /// Incidents as they are now.
    pub incidents: Vec<Incident>,
    pub moments: Vec<Moment>,
    pub decisions: Vec<Decision>,
    pub messages: Vec<Message>,
}

/// Where the desk stopped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resumed {
    /// The entry of the journal up to which the policy has seen all; `None`: this is the first start.
    pub cursor: Option<u64>,
    /// The state of the policy.
    pub state: Stored,
}

/// How far a message is. The words are stored: they never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is to be delivered.
    Waiting,
    /// The receiver has taken it.
    Sent,
    /// The receiver refused it for good, or its channel is gone.
    Dead,
    /// It was not delivered in time.
    Expired,
}

impl State {
    /// The stable word for it.
    pub fn word(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Sent => "sent",
            State::Dead => "dead",
            State::Expired => "expired",
        }
    }

    /// The state behind a stable word.
    pub fn parse(word: &str) -> Option<State> {
        [State::Waiting, State::Sent, State::Dead, State::Expired]
            .into_iter()
            .find(|state| state.word() == word)
    }
}

/// A message of the outbox, without what only its channel needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// Only grows.
    pub id: i64,
    /// See [`Message::key`].
    pub key: String,
    pub channel: String,
    pub kind: Kind,
    pub incident: Option<Uuid>,
    pub host: String,
    pub probe: Option<ProbeName>,
    pub title: String,
    pub status: Status,
    /// When it was decided.
    pub at: Timestamp,
    pub state: State,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next; `None` unless it waits.
    pub next: Option<Timestamp>,
    pub delivered: Option<Timestamp>,
    /// What the receiver said, or why it failed.
    pub answer: String,
    pub expires: Timestamp,
}

/// A message that is to be delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct Due {
    pub message: Message,
    /// How often it was tried.
    pub attempts: u32,
    /// Of this message or of an earlier one of its incident, another channel got a copy.
    pub is_copied: bool,
}

/// One attempt to deliver a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Try {
    pub at: Timestamp,
    /// The receiver has taken it.
    pub ok: bool,
    /// What the receiver said, or why it failed.
    pub text: String,
    pub took: Duration,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Of the message.
    pub key: String,
    /// `None`: nothing was tried, it came to its end by itself.
    pub tried: Option<Try>,
    pub state: State,
    /// When it is tried again; of what waits.
    pub next: Option<Timestamp>,
    /// Title and body as they were sent; `None`: not rendered.
    pub text: Option<String>,
    /// The copy for another channel, since this one failed.
    pub instead: Option<Box<Message>>,
}

/// Which incidents are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IncidentQuery {
    /// Only open ones, or only closed ones.
    pub open: Option<bool>,
    /// With a member of this host, group or probe: one that fits all that is given. A probe of `""`
    /// means the host itself.
    pub host: Option<String>,
    pub group: Option<String>,
    pub probe: Option<String>,
    /// Not closed before this time.
    pub since: Option<Timestamp>,
    /// Opened before this time.
    pub until: Option<Timestamp>,
    /// Those that come after this one.
    pub before: Option<Uuid>,
    pub limit: usize,
}

/// Which messages are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NotificationQuery {
    pub host: Option<String>,
    /// `""`: the host itself.
    pub probe: Option<String>,
    pub incident: Option<Uuid>,
    pub channel: Option<String>,
    pub state: Option<State>,
    /// Decided at this time or later.
    pub since: Option<Timestamp>,
    /// Older than the one with this id.
    pub before: Option<i64>,
    pub limit: usize,
}

/// Which decisions are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DecisionQuery {
    pub host: Option<String>,
    /// `""`: the host itself.
    pub probe: Option<String>,
    pub incident: Option<Uuid>,
    /// Decided at this time or later.
    pub since: Option<Timestamp>,
    /// Decided at this time or before.
    pub until: Option<Timestamp>,
    /// Older than the one with this id.
    pub before: Option<i64>,
    pub limit: usize,
}

/// A decision with its id.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredDecision {
    /// Only grows.
    pub id: i64,
    pub decision: Decision,
}

/// Some of what was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// There are more after these.
    pub more: bool,
}

/// How many messages of a channel there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelCount {
    pub waiting: u64,
    /// Dead or expired.
    pub dead: u64,
    /// When one was delivered last.
    pub delivered: Option<Timestamp>,
}

/// The tables of notifications. Cheap to clone. Every call blocks; those that write, for a lock of others
/// up to about five seconds.
#[derive(Clone)]
pub struct NotifyStore {
    shared: Arc<Shared>,
    connections: Arc<Connections>,
}

impl NotifyStore {
    pub(super) fn of(shared: &Arc<Shared>) -> NotifyStore {
        NotifyStore { shared: shared.clone(), connections: Arc::new(Connections::of(&shared.path)) }
    }

    /// Where the desk stopped.
    pub fn load(&self) -> Result<Resumed, StoreError> {
        self.shared.ask("the state of notifications", read::resumed)
    }

    /// Writes what came of a turn of the desk. It is on the disk when this returns.
    pub fn commit(&self, commit: &Commit) -> Result<(), StoreError> {
        self.connections
            .desk("write notifications to", |connection| commit::write(connection, commit))
    }

    /// What is to be delivered to a channel, at most `limit`: a message waits for the earlier ones of its
    /// incident there. Also when the next one is due that is not due at `now`.
    pub fn due(
        &self,
        channel: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<(Vec<Due>, Option<Timestamp>), StoreError> {
        self.connections.read_outbox("read the outbox of", |connection| {
            outbox::due(connection, channel, now, limit)
        })
    }

    /// Notes what came of attempts.
    pub fn attempted(&self, attempts: &[Attempt]) -> Result<(), StoreError> {
        self.connections.write_outbox("write to the outbox of", |connection| {
            outbox::attempted(connection, attempts)
        })
    }

    /// Has a message delivered again, until it expires. Returns its channel; `None`: there is none with this
    /// id.
    pub fn resend(
        &self,
        id: i64,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        self.connections.desk("write to the outbox of", |connection| {
            outbox::resend(connection, id, now, expires)
        })
    }

    /// Messages of a channel that have waited since before `since`, and of which no other channel got a copy.
    pub fn overdue(
        &self,
        channel: &str,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        self.connections.read_outbox("read the outbox of", |connection| {
            outbox::overdue(connection, channel, since, limit)
        })
    }

    /// Puts copies of messages into the outbox, each made of the one with the key beside it.
    pub fn copy(&self, copies: &[(String, Message)]) -> Result<(), StoreError> {
        self.connections
            .write_outbox("write to the outbox of", |connection| outbox::copy(connection, copies))
    }

    /// Gives up all messages that wait for a channel. Returns how many there were.
    pub fn abandon(&self, channel: &str, why: &str) -> Result<usize, StoreError> {
        self.connections.write_outbox("write to the outbox of", |connection| {
            outbox::abandon(connection, channel, why)
        })
    }

    /// How many messages a channel has.
    pub fn channel_count(&self, channel: &str) -> Result<ChannelCount, StoreError> {
        self.connections
            .read_outbox("read the outbox of", |connection| outbox::count(connection, channel))
    }

    /// The channels that messages wait for.
    pub fn waiting_channels(&self) -> Result<Vec<String>, StoreError> {
        self.connections.read_outbox("read the outbox of", outbox::waiting_channels)
    }

    /// Incidents that match: open ones first, the worst first, then the newest.
    pub fn incidents(&self, query: &IncidentQuery) -> Result<Page<Incident>, StoreError> {
        self.shared.ask("incidents", |connection| read::incidents(connection, query))
    }

    /// How many incidents are open.
    pub fn open_incidents(&self) -> Result<u64, StoreError> {
        self.shared.ask("incidents", read::open_incidents)
    }

    /// One incident.
    pub fn incident(&self, id: Uuid) -> Result<Option<Incident>, StoreError> {
        self.shared.ask("an incident", |connection| read::incident(connection, id))
    }

    /// What happened to an incident, the oldest first; the newest [`MAX_NOTIFY_PAGE`].
    pub fn moments(&self, incident: Uuid) -> Result<Vec<Moment>, StoreError> {
        self.shared.ask("an incident", |connection| read::moments(connection, incident))
    }

    /// Messages that match, the newest first.
    pub fn notifications(
        &self,
        query: &NotificationQuery,
    ) -> Result<Page<Notification>, StoreError> {
        self.shared.ask("notifications", |connection| read::notifications(connection, query))
    }

    /// One message.
    pub fn notification(&self, id: i64) -> Result<Option<Notification>, StoreError> {
        self.shared.ask("a notification", |connection| read::notification(connection, id))
    }

    /// The messages with these keys, in no particular order.
    pub fn notifications_of(&self, keys: &[String]) -> Result<Vec<Notification>, StoreError> {
        self.shared.ask("notifications", |connection| read::notifications_of(connection, keys))
    }

    /// A message as its channel gets it, and title and body as they were sent last (empty: not yet).
    pub fn message(&self, id: i64) -> Result<Option<(Message, String)>, StoreError> {
        self.shared.ask("a notification", |connection| read::message(connection, id))
    }

    /// The attempts to deliver a message, the oldest first; the newest [`MAX_NOTIFY_PAGE`].
    pub fn tries(&self, id: i64) -> Result<Vec<Try>, StoreError> {
        self.shared.ask("a notification", |connection| read::tries(connection, id))
    }

    /// Decisions that match, the newest first.
    pub fn decisions(&self, query: &DecisionQuery) -> Result<Page<StoredDecision>, StoreError> {
        self.shared.ask("decisions", |connection| read::decisions(connection, query))
    }
}

/// Notes in a new database how far the policy had come in the one before.
pub(super) fn carry_over_cursor(from: &Connection, into: &Connection) -> rusqlite::Result<()> {
    match meta(from, CURSOR)? {
        Some(cursor) => set_meta(into, CURSOR, cursor),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
