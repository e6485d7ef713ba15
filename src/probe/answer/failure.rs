//! Runs that failed: status 500 and a message that tells the probe's author what happened.
//!
//! Messages begin as those of the original do (`error: exit status 4`, `Probe timeout`), so that what
//! looks for them finds them.

use serde_json::{Value, json};

use super::{About, Answer, Dialect, MAX_STREAM, text};
use crate::{
    json::Json,
    probe::run::{End, Ended, MAX_OUTPUT},
    status::Status,
    tree::ProbeResult,
};

/// The answer of a run that failed and said nothing that could be read.
pub fn of(about: &About<'_>, ended: &Ended) -> Answer {
    let (what, exit_code) = what_happened(ended);
    let said = last_words(ended).map(|words| format!(": {words}")).unwrap_or_default();
    let mut result = about.result(Status::ERROR, format!("{what}{said}"));
    result.exit_code = exit_code;
    result.detail = output_as_detail(ended);
    answer(result)
}

/// The answer of a probe that is not run at all, and why.
pub fn refused(about: &About<'_>, why: &str) -> Answer {
    let mut result = about.result(Status::ERROR, format!("not run: {why}"));
    result.exit_code = -1;
    answer(result)
}

/// The answer of a probe that could not be started, and why.
pub fn not_started(about: &About<'_>, why: &str) -> Answer {
    let mut result = about.result(Status::ERROR, format!("error starting command: {why}"));
    result.exit_code = -1;
    answer(result)
}

/// A failed result as answer.
pub fn answer(mut result: ProbeResult) -> Answer {
    result.value = Json::string("ERROR");
    Answer::Results { dialect: Dialect::Failure, results: vec![result], advice: Vec::new() }
}

/// What happened, and the exit code to show.
pub fn what_happened(ended: &Ended) -> (String, i32) {
    match &ended.end {
        End::Exited(code) => (format!("error: exit status {code}"), *code),
        End::Signaled(signal) => (format!("error: signal: {}", signal_name(*signal)), -1),
        End::TimedOut(limit) => (format!("Probe timeout after {} s", limit.as_secs()), -1),
        End::Flooded => {
            let mib = MAX_OUTPUT >> 20;
            (format!("error: killed after printing more than {mib} MiB"), -1)
        }
        End::NotStarted(error) => (format!("error starting command: {error}"), -1),
    }
}

/// Both streams, as a detail to look at.
pub fn output_as_detail(ended: &Ended) -> Json {
    let mut detail = serde_json::Map::new();
    for (name, stream) in [("Stdout", &ended.stdout), ("Stderr", &ended.stderr)] {
        if !stream.kept.is_empty() {
            detail.insert(name.into(), Value::from(text::stream(&stream.kept, MAX_STREAM)));
        }
    }
    if detail.is_empty() { Json::string("") } else { Json::from_value(&json!(detail)) }
}

/// The line that most likely says why: the last one on stderr, else the first one on stdout.
fn last_words(ended: &Ended) -> Option<String> {
    let stderr = String::from_utf8_lossy(&ended.stderr.kept);
    let stdout = String::from_utf8_lossy(&ended.stdout.kept);
    let not_blank = |line: &&str| !line.trim().is_empty();
    let line = stderr.lines().rev().find(not_blank).or_else(|| stdout.lines().find(not_blank))?;
    Some(text::quote(line.as_bytes()))
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed (perhaps out of memory: see the kernel's log)",
        11 => "segmentation fault",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        24 => "CPU time limit exceeded",
        25 => "file size limit exceeded",
        31 => "bad system call",
        _ => return format!("number {signal}"),
    };
    name.into()
}
