//! What people have done to the probes of a host, and what others may do there.

use jiff::Timestamp;

/// That somebody has switched a probe off.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Disabled {
    /// In the words of whoever did it; may be empty.
    pub reason: String,
    pub author: String,
    /// How often it ran before, in seconds.
    pub interval: u32,
    pub created: Timestamp,
    /// When it is switched on again by itself; `None`: somebody has to.
    pub until: Option<Timestamp>,
}

/// What an instance lets the one above it do with its probes; the later ones allow more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum RemoteControl {
    /// It does not say: an earlier Wigo, or one not heard since our start.
    #[default]
    Unknown,
    /// Look at the schedule.
    Read,
    /// Disable and run probes and change their intervals.
    Control,
}

impl RemoteControl {
    /// The stable word for it.
    pub fn word(self) -> &'static str {
        match self {
            RemoteControl::Unknown => "unknown",
            RemoteControl::Read => "read",
            RemoteControl::Control => "control",
        }
    }

    /// What a word means; one that only later instances know is as good as none.
    pub fn parse(word: &str) -> RemoteControl {
        match word {
            "read" => RemoteControl::Read,
            "control" => RemoteControl::Control,
            _ => RemoteControl::Unknown,
        }
    }

    /// What it means that changes are allowed, or are not.
    pub fn allowing(changes: bool) -> RemoteControl {
        if changes { RemoteControl::Control } else { RemoteControl::Read }
    }
}
