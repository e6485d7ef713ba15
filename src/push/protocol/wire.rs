//! The messages of version 1 as they travel: plain data, each field in its place for ever.
//!
//! bincode writes fields one after the other without names, so nothing here may be left out, reordered or
//! decided by looking ahead. Times are milliseconds since 1970, JSON is text, kinds are words. What is
//! received means nothing until it has passed the border: [`Report::checked`],
//! [`checked_entries`](super::checked_entries).

use std::{fmt, marker::PhantomData};

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, SeqAccess, Visitor},
};
use uuid::Uuid;

use crate::{hub, tree};

/// Most instances in one report.
pub const MAX_ACCOUNTS: usize = 20_000;
/// Most probes of one instance.
pub const MAX_PROBES: usize = 1_000;
/// Most labels of one instance.
pub const MAX_LABELS: usize = 64;
/// Most probes of one instance that are told to be switched off.
pub const MAX_DISABLED: usize = 1_000;
/// Most instances that an order has passed.
pub const MAX_WAY: usize = 32;
/// Most journal entries in one message.
pub const MAX_ENTRIES: usize = 5_000;

/// What an agent tells its master. With nothing in it: a sign of life.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct News {
    /// Grows by one with each message of a connection, from 1.
    pub sequence: u64,
    pub report: Option<Box<Report>>,
    /// From the sender's journal, in its order.
    #[serde(deserialize_with = "list::<_, _, MAX_ENTRIES>")]
    pub entries: Vec<Entry>,
    /// The id in the sender's journal up to which it has told now.
    pub position: Option<u64>,
}

/// What a master says to news.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Receipt {
    Taken,
    /// Something is missing: send a full account.
    Resync,
    /// The report was taken, the entries were not: send them again after this many milliseconds.
    Slow {
        pause_ms: u32,
    },
}

/// Why an agent ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parting {
    /// It stops and means to come back.
    Stopping,
    /// It leaves for good.
    Goodbye,
}

/// Why a master ends a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Farewell {
    pub why: String,
    /// Come back at a random time within this many milliseconds; `None`: as after a refusal.
    pub retry: Option<u32>,
}

/// [`tree::Report`]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub begins: bool,
    pub ends: bool,
    #[serde(deserialize_with = "list::<_, _, MAX_ACCOUNTS>")]
    pub accounts: Vec<Account>,
    #[serde(deserialize_with = "list::<_, _, MAX_ACCOUNTS>")]
    pub gone: Vec<Uuid>,
}

/// [`tree::Account`]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    pub uuid: Uuid,
    pub header: Option<Box<Header>>,
    #[serde(deserialize_with = "list::<_, _, MAX_PROBES>")]
    pub probes: Vec<Probe>,
    pub complete: bool,
    /// Name and time.
    #[serde(deserialize_with = "list::<_, _, MAX_PROBES>")]
    pub ran: Vec<(String, i64)>,
    #[serde(deserialize_with = "list::<_, _, MAX_PROBES>")]
    pub gone: Vec<String>,
}

/// [`tree::Header`]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    pub parent: Option<Uuid>,
    pub version: String,
    pub name: String,
    pub group: String,
    /// Name and value.
    #[serde(deserialize_with = "list::<_, _, MAX_LABELS>")]
    pub labels: Vec<(String, String)>,
    /// The word of a [`tree::Presence`].
    pub presence: String,
    pub since: Option<i64>,
    pub last_update: Option<i64>,
    pub problem: Option<String>,
    #[serde(deserialize_with = "list::<_, _, MAX_DISABLED>")]
    pub disabled: Vec<Disabled>,
    /// The word of a [`tree::RemoteControl`].
    pub remote_control: String,
}

/// [`tree::Disabled`]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Disabled {
    pub probe: String,
    pub reason: String,
    pub author: String,
    pub interval: u32,
    pub created: i64,
    pub until: Option<i64>,
}

/// [`tree::Probe`]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    pub name: String,
    pub version: String,
    pub value: String,
    pub message: String,
    pub date: i64,
    pub metrics: String,
    pub detail: String,
    pub status: u16,
    pub exit_code: i32,
    pub interval: u32,
    pub since: i64,
    pub stale: bool,
}

/// [`hub::Entry`] of any journal; `origin` and `origin_id` make it unique.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub origin: Uuid,
    pub origin_id: u64,
    /// The word of a [`tree::Kind`].
    pub kind: String,
    pub at_ms: i64,
    pub group: String,
    pub host: String,
    pub probe: Option<String>,
    pub was: Option<u16>,
    pub now: Option<u16>,
    pub message: String,
}

/// [`orders::Order`]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub id: Uuid,
    pub target: Uuid,
    pub what: What,
    pub author: Author,
    pub hops: u8,
    pub limit_ms: u32,
}

/// [`orders::What`]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum What {
    Schedule,
    Disable { probe: String, reason: String, back_after_s: Option<u32> },
    Interval { probe: String, seconds: u32 },
    Run { probe: String },
}

/// [`orders::Author`]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Author {
    pub name: String,
    pub is_operator: bool,
    pub address: String,
    #[serde(deserialize_with = "list::<_, _, MAX_WAY>")]
    pub by_way_of: Vec<String>,
}

/// [`orders::Outcome`]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// JSON.
    Schedule(String),
    Result(Box<Probe>),
    Accepted(String),
    /// The word of a [`orders::RefusalKind`], and why.
    Refused {
        kind: String,
        why: String,
    },
    Away(String),
}

/// How many bytes a message takes when it is sent, for who divides a long report into parts.
pub fn encoded_bytes<T: Serialize>(message: &T) -> u64 {
    use bincode::Options;
    // Only types that cannot be encoded at all fail, and there are none here.
    bincode::DefaultOptions::new().serialized_size(message).unwrap_or(u64::MAX)
}

impl From<&tree::Report> for Report {
    fn from(report: &tree::Report) -> Report {
        Report {
            begins: report.begins,
            ends: report.ends,
            accounts: report.accounts.iter().map(Account::from).collect(),
            gone: report.gone.clone(),
        }
    }
}

impl From<&tree::Account> for Account {
    fn from(account: &tree::Account) -> Account {
        let ran = account.ran.iter().map(|(name, at)| (name.to_string(), at.as_millisecond()));
        Account {
            uuid: account.uuid,
            header: account.header.as_ref().map(|header| Box::new(Header::from(header))),
            probes: account.probes.iter().map(Probe::from).collect(),
            complete: account.complete,
            ran: ran.collect(),
            gone: account.gone.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<&tree::Header> for Header {
    fn from(header: &tree::Header) -> Header {
        let labels = header.labels.iter().map(|(name, value)| (name.clone(), value.clone()));
        Header {
            parent: header.parent,
            version: header.version.clone(),
            name: header.name.clone(),
            group: header.group.clone(),
            labels: labels.collect(),
            presence: header.presence.word().to_owned(),
            since: header.since.map(Timestamp::as_millisecond),
            last_update: header.last_update.map(Timestamp::as_millisecond),
            problem: header.problem.clone(),
            disabled: header.disabled.iter().take(MAX_DISABLED).map(Disabled::from).collect(),
            remote_control: header.remote_control.word().to_owned(),
        }
    }
}

impl From<(&tree::ProbeName, &tree::Disabled)> for Disabled {
    fn from((probe, disabled): (&tree::ProbeName, &tree::Disabled)) -> Disabled {
        Disabled {
            probe: probe.to_string(),
            reason: disabled.reason.clone(),
            author: disabled.author.clone(),
            interval: disabled.interval,
            created: disabled.created.as_millisecond(),
            until: disabled.until.map(Timestamp::as_millisecond),
        }
    }
}

impl From<&tree::Probe> for Probe {
    fn from(probe: &tree::Probe) -> Probe {
        let result = &probe.result;
        Probe {
            name: result.name.to_string(),
            version: result.version.clone(),
            value: result.value.as_str().to_owned(),
            message: result.message.clone(),
            date: result.date.as_millisecond(),
            metrics: result.metrics.as_str().to_owned(),
            detail: result.detail.as_str().to_owned(),
            status: result.status.number(),
            exit_code: result.exit_code,
            interval: result.interval,
            since: probe.since.as_millisecond(),
            stale: probe.stale,
        }
    }
}

impl From<&hub::Entry> for Entry {
    fn from(entry: &hub::Entry) -> Entry {
        let transition = &entry.transition;
        Entry {
            origin: entry.origin,
            origin_id: entry.origin_id,
            kind: transition.kind.word().to_owned(),
            at_ms: transition.at.as_millisecond(),
            group: transition.group.clone(),
            host: transition.host.clone(),
            probe: transition.probe.as_ref().map(ToString::to_string),
            was: transition.was.map(crate::status::Status::number),
            now: transition.now.map(crate::status::Status::number),
            message: transition.message.clone(),
        }
    }
}

/// Reads a list that may have `MAX` elements. It grows as they appear, whatever number is announced.
fn list<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct List<T, const MAX: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for List<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MAX} elements")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(element) = elements.next_element()? {
                if list.len() == MAX {
                    return Err(A::Error::custom(format!("a list of more than {MAX} elements")));
                }
                list.push(element);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_seq(List::<T, MAX>(PhantomData))
}

#[cfg(test)]
mod tests;
