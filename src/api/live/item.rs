//! Pieces of news, each rendered once for all who read it.

use std::fmt::Write;

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A place in the news: what has happened up to here is known to the reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Of the tree.
    pub revision: u64,
    /// The newest entry of the log.
    pub journal: u64,
}

/// What a piece of news is about, by which it finds its readers.
#[derive(Clone, Debug, PartialEq)]
pub enum About {
    /// For all.
    Everyone,
    /// For all who hold rows.
    Rows,
    /// For all who hold entries of the log.
    Entries,
    /// The row of a host. `heard`: it is as it was, but was heard again.
    Host { uuid: Uuid, parent: Option<Uuid>, group: Box<str>, heard: bool },
    /// The row of a probe. `ran`: it says what it said before.
    Probe { uuid: Uuid, group: Box<str>, ran: bool },
    /// All that is known of an instance.
    Instance { uuid: Uuid, group: Box<str> },
    /// An entry of the log.
    Log { id: u64, host: String, group: String, probe: String },
}

/// A piece of news.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub about: About,
    pub event: &'static str,
    /// JSON in one line.
    pub data: Box<str>,
    /// What it is about is not there any more.
    pub is_gone: bool,
}

/// What happened in one round.
#[derive(Clone, Debug)]
pub struct Batch {
    pub items: Vec<Item>,
    /// Of the tree as it was when the items were rendered.
    pub revision: u64,
    /// Where a reader is who knows all of them; if more of the round follows, where it was before.
    pub position: Position,
}

/// What the reader holds may be wrong: fetch again.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Reset<'a> {
    why: &'a str,
}

impl Item {
    pub fn new(about: About, event: &'static str, data: &impl Serialize) -> Item {
        let data = serde_json::to_string(data).expect("views have text for keys");
        Item { about, event, data: data.into(), is_gone: false }
    }

    /// News of what is not there any more.
    pub fn gone(about: About, event: &'static str, data: &impl Serialize) -> Item {
        Item { is_gone: true, ..Item::new(about, event, data) }
    }

    /// Tells readers that what they hold may be wrong.
    pub fn reset(about: About, why: &str) -> Item {
        Item::new(about, "reset", &Reset { why })
    }
}

/// Writes an event as it travels.
pub fn write(out: &mut String, event: &str, id: &str, data: &str) {
    // A text has no line break: JSON writes them as `\n`.
    let _ = write!(out, "event: {event}\nid: {id}\ndata: {data}\n\n");
}

/// An id, which only this process understands.
pub fn id(process: u64, position: Position) -> String {
    format!("{process:x}-{}-{}", position.revision, position.journal)
}

/// The place that an id stands for, if this process gave it.
pub fn position(process: u64, id: &str) -> Option<Position> {
    let mut parts = id.split('-');
    let of = u64::from_str_radix(parts.next()?, 16).ok()?;
    let position =
        Position { revision: parts.next()?.parse().ok()?, journal: parts.next()?.parse().ok()? };
    (of == process && parts.next().is_none()).then_some(position)
}
