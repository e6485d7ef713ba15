//! The scale on which everything is measured: one type, and the one place that knows its ranges.
//!
//! 100 OK, 101–199 INFO, 200–299 WARN, 300–499 CRIT, 500+ ERROR, 999 DOWN (a host that is gone).

use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad something is. Higher is worse; always within 100…999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Status(u16);

impl Status {
    /// All is well. Also the status of a host without any result.
    pub const OK: Status = Status(100);
    /// Something a person should look at in office hours.
    pub const WARN: Status = Status(200);
    /// Something is broken.
    pub const CRIT: Status = Status(300);
    /// The probe itself failed, so nothing is known.
    pub const ERROR: Status = Status(500);
    /// A host that does not report any more. No probe can say this of itself.
    pub const DOWN: Status = Status(999);
    /// The highest status that a probe may give.
    pub const WORST_OF_PROBE: Status = Status(998);

    /// The status for a number on the scale; `None` below 100 and above 999.
    pub fn new(number: i64) -> Option<Status> {
        match number {
            100..=999 => Some(Status(number as u16)),
            _ => None,
        }
    }

    /// The number that travels in JSON and SQLite, 100…999.
    pub fn number(self) -> u16 {
        self.0
    }

    /// The range this status falls in.
    pub fn level(self) -> Level {
        match self.0 {
            0..=100 => Level::Ok,
            101..=199 => Level::Info,
            200..=299 => Level::Warn,
            300..=499 => Level::Crit,
            999.. => Level::Down,
            _ => Level::Error,
        }
    }

    /// The worst of many; OK when there is none.
    pub fn worst(of: impl IntoIterator<Item = Status>) -> Status {
        of.into_iter().max().unwrap_or(Status::OK)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A range of the scale, by the words people use. Ordered from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// 100
    Ok,
    /// 101–199
    Info,
    /// 200–299
    Warn,
    /// 300–499
    Crit,
    /// 500–998
    Error,
    /// 999
    Down,
}

impl Level {
    /// The word shown to people.
    pub fn word(self) -> &'static str {
        match self {
            Level::Ok => "OK",
            Level::Info => "INFO",
            Level::Warn => "WARN",
            Level::Crit => "CRIT",
            Level::Error => "ERROR",
            Level::Down => "DOWN",
        }
    }

    /// The level that a word stands for, whatever its case.
    pub fn parse(word: &str) -> Option<Level> {
        let all = [Level::Ok, Level::Info, Level::Warn, Level::Crit, Level::Error, Level::Down]
            .into_iter();
        all.into_iter().find(|level| level.word().eq_ignore_ascii_case(word))
    }

    /// The lowest status of this level.
    pub fn least(self) -> Status {
        Status(match self {
            Level::Ok => 100,
            Level::Info => 101,
            Level::Warn => 200,
            Level::Crit => 300,
            Level::Error => 500,
            Level::Down => 999,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_documentation() {
        let level = |n| Status::new(n).map(Status::level);
        for word in ["ok", "INFO", "Warn", "crit", "error", "down"] {
            let level = Level::parse(word).unwrap();
            assert_eq!((level.least().level(), level.word()), (level, &*word.to_uppercase()));
        }
        assert_eq!(Level::parse("warning"), None);
        assert_eq!(level(100), Some(Level::Ok));
        assert_eq!(level(101), Some(Level::Info));
        assert_eq!(level(199), Some(Level::Info));
        assert_eq!(level(200), Some(Level::Warn));
        assert_eq!(level(299), Some(Level::Warn));
        assert_eq!(level(300), Some(Level::Crit));
        assert_eq!(level(499), Some(Level::Crit));
        assert_eq!(level(500), Some(Level::Error));
        assert_eq!(level(998), Some(Level::Error));
        assert_eq!(level(999), Some(Level::Down));
        assert_eq!(level(99), None);
        assert_eq!(level(-1), None);
        assert_eq!(level(70000), None);
    }

    #[test]
    fn worst_of_none_is_ok() {
        assert_eq!(Status::worst([]), Status::OK);
        assert_eq!(Status::worst([Status::WARN, Status::CRIT, Status::OK]), Status::CRIT);
    }
}
