//! The command line of `generate_cert`, as the original read it: flags with one dash or two, a value after
//! a blank or `=`.

use std::time::{Duration, SystemTime};

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use thiserror::Error;

use super::{KeyKind, Plan, RSA_BITS};

/// How long a certificate is valid unless told otherwise: a year of hours, as ever.
const DEFAULT_DURATION: Duration = Duration::from_secs(8_760 * 3_600);
/// Most host names in one certificate: each handshake carries them all.
const MAX_HOSTS: usize = 100;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    Help,
    Version,
    /// Make files; `force` replaces those that are there.
    Make {
        plan: Plan,
        force: bool,
    },
}

/// A command line that cannot be understood.
#[derive(Debug, PartialEq, Error)]
pub enum BadOption {
    #[error("`{0}` is no flag of this program")]
    Unknown(String),
    #[error("`-{0}` needs a value")]
    NoValue(&'static str),
    #[error("`{value}` is no value for `-{flag}`: {expected}")]
    Value { flag: &'static str, value: String, expected: &'static str },
    #[error("`-rsa-bits` and `-ecdsa-curve` exclude each other")]
    TwoKinds,
    #[error(
        "`-host` is missing: the names and addresses by which the server is reached, with commas"
    )]
    NoHost,
    #[error("`-host` names more than {MAX_HOSTS} hosts")]
    TooManyHosts,
    #[error("the certificate would begin or end at a time that no calendar has")]
    Dates,
}

/// All flags: the name, and whether it needs a value.
const FLAGS: [(&str, bool); 10] = [
    ("ca", false),
    ("duration", true),
    ("ecdsa-curve", true),
    ("force", false),
    ("help", false),
    ("h", false),
    ("host", true),
    ("rsa-bits", true),
    ("start-date", true),
    ("version", false),
];

#[derive(Default)]
struct Given {
    hosts: Vec<String>,
    authority: bool,
    force: bool,
    duration: Option<Duration>,
    start: Option<SystemTime>,
    curve: Option<KeyKind>,
    rsa: Option<KeyKind>,
}

/// Reads the arguments without the program's name. A flag that is given twice counts the last time.
pub fn parse(
    arguments: impl IntoIterator<Item = String>,
    now: SystemTime,
) -> Result<Command, BadOption> {
    let mut given = Given::default();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let unknown = || BadOption::Unknown(argument.clone());
        let flag = argument.strip_prefix('-').ok_or_else(unknown)?;
        let flag = flag.strip_prefix('-').unwrap_or(flag);
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (flag, None),
        };
        let &(name, needs) = FLAGS.iter().find(|(known, _)| *known == name).ok_or_else(unknown)?;
        let value = match value {
            None if needs => arguments.next().ok_or(BadOption::NoValue(name))?,
            None => "true".to_owned(),
            Some(value) => value,
        };
        match name {
            "help" | "h" => return Ok(Command::Help),
            "version" => return Ok(Command::Version),
            _ => given.take(name, &value)?,
        }
    }
    let force = given.force;
    Ok(Command::Make { plan: given.plan(now)?, force })
}

impl Given {
    fn take(&mut self, flag: &'static str, value: &str) -> Result<(), BadOption> {
        let bad = |expected| BadOption::Value { flag, value: value.to_owned(), expected };
        match flag {
            "ca" => self.authority = boolean(value).ok_or_else(|| bad("true or false"))?,
            "force" => self.force = boolean(value).ok_or_else(|| bad("true or false"))?,
            "duration" => {
                let expected = "hours, minutes and seconds like 8760h or 1h30m, more than nothing";
                self.duration = Some(duration(value).ok_or_else(|| bad(expected))?);
            }
            "start-date" => {
                let expected = "a date like `Jan 2 15:04:05 2026` (UTC) or 2026-01-02T15:04:05Z";
                self.start = Some(date(value).ok_or_else(|| bad(expected))?);
            }
            "ecdsa-curve" => {
                self.curve = Some(match value {
                    "P256" => KeyKind::P256,
                    "P384" => KeyKind::P384,
                    "P224" | "P521" => {
                        return Err(bad("keys on that curve cannot be made, P256 and P384 can"));
                    }
                    _ => return Err(bad("P256 or P384")),
                });
            }
            "rsa-bits" => {
                let bits = value.parse().ok().filter(|bits| RSA_BITS.contains(bits));
                self.rsa = Some(KeyKind::Rsa(bits.ok_or_else(|| bad("2048, 3072 or 4096"))?));
            }
            "host" => {
                let hosts = value.split(',').map(str::trim).filter(|host| !host.is_empty());
                self.hosts = hosts.map(str::to_owned).collect();
            }
            _ => unreachable!("a flag of the table without a line here: {flag}"),
        }
        Ok(())
    }

    fn plan(self, now: SystemTime) -> Result<Plan, BadOption> {
        let key = match (self.rsa, self.curve) {
            (Some(_), Some(_)) => return Err(BadOption::TwoKinds),
            (rsa, curve) => rsa.or(curve).unwrap_or(KeyKind::P256),
        };
        match self.hosts.len() {
            0 => return Err(BadOption::NoHost),
            1..=MAX_HOSTS => {}
            _ => return Err(BadOption::TooManyHosts),
        }
        let not_before = self.start.unwrap_or(now);
        let not_after = not_before
            .checked_add(self.duration.unwrap_or(DEFAULT_DURATION))
            .ok_or(BadOption::Dates)?;
        Ok(Plan { hosts: self.hosts, authority: self.authority, key, not_before, not_after })
    }
}

/// What Go takes for a truth value.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// A duration as Go writes it: numbers with units, one after the other (`1h30m`, `1.5h`).
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(end);
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let seconds = match unit {
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        total = total.checked_add(part)?;
        rest = tail;
    }
    (total > Duration::ZERO).then_some(total)
}

/// A date of the form `Jan 2 15:04:05 2006`, in UTC, or one of RFC 3339.
fn date(text: &str) -> Option<SystemTime> {
    let timestamp = match text.parse::<Timestamp>() {
        Ok(timestamp) => timestamp,
        Err(_) => DateTime::strptime("%b %d %H:%M:%S %Y", text)
            .and_then(|date| date.to_zoned(TimeZone::UTC))
            .ok()?
            .timestamp(),
    };
    Some(timestamp.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn plan(line: &[&str]) -> Result<Plan, BadOption> {
        match parse(line.iter().map(ToString::to_string), NOW)? {
            Command::Make { plan, .. } => Ok(plan),
            other => panic!("{other:?}"),
        }
    }

    fn seconds(text: &str) -> Option<f64> {
        duration(text).map(|duration| duration.as_secs_f64())
    }

    #[test]
    fn the_documented_command_is_understood() {
        let plan = plan(&[
            "-ca=true",
            "-duration=876000h0m0s",
            "-host",
            "192.0.2.7, master.example,",
            "--rsa-bits=4096",
        ]);
        let expected = Plan {
            hosts: vec!["192.0.2.7".into(), "master.example".into()],
            authority: true,
            key: KeyKind::Rsa(4096),
            not_before: NOW,
            not_after: NOW + Duration::from_secs(876_000 * 3_600),
        };
        assert_eq!(plan, Ok(expected));
    }

    #[test]
    fn dashes_and_values_are_read_as_go_does() {
        let default = plan(&["-host=a"]).unwrap();
        assert_eq!((default.authority, default.key), (false, KeyKind::P256));
        assert_eq!(default.not_after, NOW + DEFAULT_DURATION);
        for line in [["--host", "a", "-ca"], ["-ca", "--host", "a"], ["--ca=1", "-host", "a"]] {
            assert!(plan(&line).unwrap().authority, "{line:?}");
        }
        assert!(!plan(&["-ca", "-ca=false", "-host=a"]).unwrap().authority);
        assert_eq!(plan(&["-host=a", "--ecdsa-curve", "P384"]).unwrap().key, KeyKind::P384);
        let forced = parse(["-host=a".into(), "--force".into()], NOW);
        assert!(matches!(forced, Ok(Command::Make { force: true, .. })));
        assert_eq!(parse(["-h".into()], NOW), Ok(Command::Help));
        assert_eq!(parse(["--version".into()], NOW), Ok(Command::Version));
    }

    #[test]
    fn mistakes_are_told_apart() {
        let many = format!("-host={}", "a,".repeat(MAX_HOSTS + 1));
        assert_eq!(plan(&[]), Err(BadOption::NoHost));
        assert_eq!(plan(&["-host", ","]), Err(BadOption::NoHost));
        assert_eq!(plan(&[&many]), Err(BadOption::TooManyHosts));
        assert_eq!(plan(&["-host"]), Err(BadOption::NoValue("host")));
        assert_eq!(plan(&["---host=a"]), Err(BadOption::Unknown("---host=a".into())));
        assert_eq!(plan(&["host"]), Err(BadOption::Unknown("host".into())));
        assert_eq!(plan(&["-ca", "true", "-host=a"]), Err(BadOption::Unknown("true".into())));
        let both = ["-host=a", "-rsa-bits=2048", "-ecdsa-curve=P256"];
        assert_eq!(plan(&both), Err(BadOption::TwoKinds));
        for wrong in [
            "-ca=maybe",
            "-rsa-bits=1024",
            "-rsa-bits=8192",
            "-rsa-bits=2050",
            "-ecdsa-curve=P224",
            "-ecdsa-curve=P521",
            "-ecdsa-curve=p256",
            "-duration=1",
            "-duration=-1h",
            "-duration=0h",
            "-duration=1d",
            "-duration=",
            "-start-date=tomorrow",
        ] {
            let error = plan(&["-host=a", wrong]).unwrap_err();
            assert!(matches!(error, BadOption::Value { .. }), "{wrong}: {error:?}");
        }
    }

    #[test]
    fn durations_of_go_are_read() {
        assert_eq!(seconds("876000h0m0s"), Some(3_153_600_000.0));
        assert_eq!(seconds("1h30m"), Some(5_400.0));
        assert_eq!(seconds("1.5h"), Some(5_400.0));
        assert_eq!(seconds(".5s"), Some(0.5));
        assert_eq!(seconds("1500ms"), Some(1.5));
        assert_eq!(seconds("2us3ns"), Some(0.000_002_003));
        for wrong in ["h", "1h30", "1..2h", "1 h", ".h", "1e400h", &"9".repeat(400)] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_end_counts_from_the_start() {
        let begin = SystemTime::from("2030-01-02T15:04:05Z".parse::<Timestamp>().unwrap());
        for text in ["Jan 2 15:04:05 2030", "Jan 02 15:04:05 2030", "2030-01-02T16:04:05+01:00"] {
            let plan = plan(&["-host=a", "-start-date", text, "-duration=1h"]).unwrap();
            assert_eq!(plan.not_before, begin, "{text}");
            assert_eq!(plan.not_after, begin + Duration::from_secs(3_600), "{text}");
        }
    }
}
