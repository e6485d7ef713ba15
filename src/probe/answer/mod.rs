//! What a probe said: four ways of answering, told apart by what was printed and the exit code.
//!
//! 1. **Wigo JSON**: an object with `Status`, `Message`, … ([`wigo`]).
//! 2. **Checkmk local lines**: one service a line ([`checkmk`]).
//! 3. **Nagios plugin**: text, perhaps `|` and performance data, exit code 0…3 ([`nagios`]).
//! 4. **Silence**: just an exit code 0…3, read like a Nagios plugin's.
//!
//! Exit codes 12 and 13 mean "disabled" and "does not apply here", whatever was printed. Everything
//! else is a failure of the probe: status 500, with a message for its author. A failing probe is data
//! like any other, never an error of ours.

mod bounds;
mod checkmk;
mod failure;
mod nagios;
mod text;
mod wigo;

use std::path::Path;

use jiff::Timestamp;

use super::{
    diagnose,
    run::{End, Ended},
};
use crate::{
    json::Json,
    status::Status,
    tree::{ProbeName, ProbeResult},
};

pub use failure::refused;

/// Longest message that is kept, in bytes.
pub const MAX_MESSAGE: usize = 4 << 10;
/// Longest detail that is kept, in bytes of JSON.
pub const MAX_DETAIL: usize = 64 << 10;
/// Most metrics of one result.
pub const MAX_METRICS: usize = 1_000;
/// Longest list of metrics that is kept, in bytes of JSON.
pub const MAX_METRICS_BYTES: usize = 256 << 10;
/// How much of a stream a detail shows, in bytes: both fit in [`MAX_DETAIL`] even if each has to be
/// escaped.
pub const MAX_STREAM: usize = 15 << 10;
/// Deepest nesting of a probe's JSON.
pub const MAX_NESTING: usize = 32;
/// How much of what was printed a message quotes, in characters.
pub const QUOTED_CHARS: usize = 200;
/// Most services of one Checkmk probe.
pub const MAX_SERVICES: usize = 200;
/// Exit code by which a probe says that it is switched off.
pub const EXIT_DISABLED: i32 = 12;
/// Exit code by which a probe says that it does not apply to this host.
pub const EXIT_SKIPPED: i32 = 13;

/// Which of the ways of answering was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Wigo,
    Checkmk,
    Nagios,
    Silence,
    /// None: the probe failed or was not understood.
    Failure,
}

impl Dialect {
    /// How it is called when talking to the probe's author.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Wigo => "Wigo JSON",
            Dialect::Checkmk => "Checkmk local lines",
            Dialect::Nagios => "Nagios plugin output",
            Dialect::Silence => "silence with an exit code",
            Dialect::Failure => "a failure",
        }
    }
}

/// What a run means.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Results to keep; the first is that of the probe itself, the others are its services.
    Results {
        dialect: Dialect,
        results: Vec<ProbeResult>,
        /// Advice for the author of the probe; never part of a result.
        advice: Vec<String>,
    },
    /// Exit 12: switched off by its configuration.
    Disabled,
    /// Exit 13: does not apply to this host.
    Skipped,
}

/// Which run is being read.
#[derive(Clone, Copy, Debug)]
pub struct About<'run> {
    pub name: &'run ProbeName,
    /// Seconds between runs.
    pub interval: u32,
    /// When the run ended.
    pub date: Timestamp,
}

impl About<'_> {
    /// An empty result of this probe, to be filled in.
    fn result(&self, status: Status, message: impl Into<String>) -> ProbeResult {
        ProbeResult {
            name: self.name.clone(),
            version: String::new(),
            value: Json::null(),
            message: text::message(&message.into()),
            date: self.date,
            metrics: Json::null(),
            detail: Json::null(),
            status,
            exit_code: 0,
            interval: self.interval,
        }
    }
}

/// Understands a run of `program` that is over.
pub fn understand(about: &About<'_>, program: &Path, ended: &Ended) -> Answer {
    let code = match ended.end {
        End::Exited(EXIT_DISABLED) => return Answer::Disabled,
        End::Exited(EXIT_SKIPPED) => return Answer::Skipped,
        End::Exited(code) => code,
        End::NotStarted(ref error) => {
            return failure::not_started(about, &diagnose::explain(program, error));
        }
        _ => return failure::of(about, ended),
    };
    let printed = String::from_utf8_lossy(&ended.stdout.kept);
    let printed = printed.trim_matches(['\u{feff}', '\0', ' ', '\t', '\r', '\n']);
    let mut answer = if printed.is_empty() {
        said_nothing(about, ended, code)
    } else if wigo::looks_like(printed) {
        wigo::answer(about, ended, printed, code)
    } else if let Some(answer) = checkmk::answer(about, ended, printed, code) {
        answer
    } else {
        match nagios::status(code) {
            Some(status) => nagios::answer(about, printed, status, code),
            None => failure::of(about, ended),
        }
    };
    if let Answer::Results { dialect, advice, .. } = &mut answer {
        advice.extend(general_advice(*dialect, ended));
    }
    answer
}

/// The answer of a run without standard output.
fn said_nothing(about: &About<'_>, ended: &Ended, code: i32) -> Answer {
    let complained = !ended.stderr.kept.trim_ascii().is_empty();
    let status = match nagios::status(code) {
        Some(status) if status == Status::OK || !complained => status,
        // Last words on stderr and no result: it broke, whatever its code would mean.
        _ => return failure::of(about, ended),
    };
    let mut result = about.result(status, format!("nothing printed, exit code {code}"));
    result.exit_code = code;
    result.value = Json::string(status.level().word());
    Answer::Results { dialect: Dialect::Silence, results: vec![result], advice: Vec::new() }
}

/// What an author should know about a run that was understood all the same.
fn general_advice(dialect: Dialect, ended: &Ended) -> Vec<String> {
    let mut advice = Vec::new();
    // What failed, shows it in its detail.
    let broke = dialect == Dialect::Failure
        || dialect == Dialect::Wigo && !matches!(ended.end, End::Exited(0));
    if !broke && !ended.stderr.kept.is_empty() {
        let quoted = text::quote(&ended.stderr.kept);
        advice
            .push(format!("standard error is not part of a good result, it is dropped: {quoted}"));
    }
    if ended.stdout.dropped > 0 {
        let kept = ended.stdout.kept.len();
        advice.push(format!(
            "standard output was cut after {kept} bytes, {} more were dropped",
            ended.stdout.dropped
        ));
    }
    if ended.left_open {
        advice.push(
            "something it started was still holding its output open after it had ended: it was \
             killed; start it with its output redirected if it must not belong to the probe"
                .into(),
        );
    }
    if std::str::from_utf8(&ended.stdout.kept).is_err() {
        advice
            .push("standard output is not UTF-8: what could not be read became `\u{fffd}`".into());
    }
    advice
}

#[cfg(test)]
mod tests;
