//! What a status means for who runs wigocli as a check.

use std::process::ExitCode;

use crate::status::{Level, Status};

/// The outcome of a run, worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// OK or INFO.
    Fine = 0,
    /// WARN.
    Warn = 1,
    /// CRIT and worse.
    Bad = 2,
    /// Nothing is known.
    Unknown = 3,
}

impl Verdict {
    /// What a status number from an agent means. One that is not on the scale means nothing: an original
    /// Wigo gives 0 where no probe said anything.
    pub fn of(status: i64) -> Verdict {
        match Status::new(status).map(Status::level) {
            Some(Level::Ok | Level::Info) => Verdict::Fine,
            Some(Level::Warn) => Verdict::Warn,
            Some(Level::Crit | Level::Error | Level::Down) => Verdict::Bad,
            None => Verdict::Unknown,
        }
    }
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> ExitCode {
        ExitCode::from(verdict as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_follow_the_scale() {
        let check = |status, code| assert_eq!(Verdict::of(status) as u8, code, "{status}");
        check(100, 0);
        check(199, 0);
        check(200, 1);
        check(299, 1);
        check(300, 2);
        check(999, 2);
        check(0, 3);
        check(-1, 3);
        check(1000, 3);
    }
}
