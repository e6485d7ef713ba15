//! Whether an instance reports.

use std::fmt;

/// Whether an instance reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Presence {
    /// It reports.
    Alive,
    /// It was not heard of since we began to listen, or is behind one that does not report: neither up
    /// nor down.
    Unknown,
    /// It said that it stops, and is not late to come back yet.
    Stopped,
    /// It should report and does not.
    Down,
}

impl Presence {
    const ALL: [Presence; 4] =
        [Presence::Alive, Presence::Unknown, Presence::Stopped, Presence::Down];

    /// The stable word for it.
    pub fn word(self) -> &'static str {
        match self {
            Presence::Alive => "alive",
            Presence::Unknown => "unknown",
            Presence::Stopped => "stopped",
            Presence::Down => "down",
        }
    }

    /// The presence behind a stable word.
    pub fn parse(word: &str) -> Option<Presence> {
        Presence::ALL.into_iter().find(|presence| presence.word() == word)
    }
}

impl fmt::Display for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
