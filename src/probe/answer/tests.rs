//! Output of probes, good and bad, and what is made of it.

mod any_output;
mod checkmk_lines;
mod failed_runs;
mod nagios_plugins;
mod wigo_json;

use std::{path::Path, time::Duration};

use jiff::Timestamp;
use serde_json::Value;

use super::*;
use crate::probe::run::Captured;

const INTERVAL: u32 = 60;

/// An answer taken apart: of a probe that is neither switched off nor skipped.
#[derive(Debug)]
struct Read {
    dialect: Dialect,
    results: Vec<ProbeResult>,
    advice: Vec<String>,
}

impl Read {
    fn own(&self) -> &ProbeResult {
        &self.results[0]
    }

    fn status(&self) -> u16 {
        self.own().status.number()
    }

    fn detail(&self) -> Value {
        self.own().detail.to_value()
    }

    fn metrics(&self) -> Value {
        self.own().metrics.to_value()
    }

    fn advises(&self, words: &str) -> bool {
        self.advice.iter().any(|advice| advice.contains(words))
    }
}

/// A run that ended like this, having printed this.
fn ended(end: End, stdout: &[u8], stderr: &[u8]) -> Ended {
    let kept = |bytes: &[u8]| Captured { kept: bytes.into(), dropped: 0 };
    Ended {
        end,
        stdout: kept(stdout),
        stderr: kept(stderr),
        took: Duration::from_millis(20),
        cpu: Duration::from_millis(10),
        peak_memory: 1 << 20,
        left_open: false,
    }
}

fn exited(code: i32, stdout: impl AsRef<[u8]>, stderr: impl AsRef<[u8]>) -> Ended {
    ended(End::Exited(code), stdout.as_ref(), stderr.as_ref())
}

fn answer_to(ended: &Ended) -> Answer {
    let name = ProbeName::new("probe").unwrap();
    let about = About { name: &name, interval: INTERVAL, date: Timestamp::UNIX_EPOCH };
    understand(&about, Path::new("/nowhere/probe"), ended)
}

fn read(ended: &Ended) -> Read {
    match answer_to(ended) {
        Answer::Results { dialect, results, advice } => Read { dialect, results, advice },
        other => panic!("{other:?} of {ended:?}"),
    }
}

/// What is made of `stdout` and exit code 0.
fn good(stdout: impl AsRef<[u8]>) -> Read {
    read(&exited(0, stdout, ""))
}

/// Holds what is made of a run to the dialect, status and message expected.
#[track_caller]
fn check(
    (stdout, stderr, code): (&str, &str, i32),
    (dialect, status, message): (Dialect, u16, &str),
) -> Read {
    let read = read(&exited(code, stdout, stderr));
    let own = read.own();
    assert_eq!((read.dialect, read.status(), &*own.message), (dialect, status, message));
    assert_eq!(own.exit_code, code);
    assert_eq!(own.name.as_str(), "probe");
    assert_eq!((own.interval, own.date), (INTERVAL, Timestamp::UNIX_EPOCH));
    read
}
