//! What a probe says: one line of Wigo's JSON.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Failure;
use crate::status::Status;

/// Longest line printed, in bytes; the agent keeps 1 MiB.
const MAX_LINE_BYTES: usize = 900 * 1024;

/// The result of one run, worst status first come.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    status: Status,
    message: String,
    metrics: Vec<Value>,
    detail: Map<String, Value>,
}

impl Answer {
    /// All is well, and this is the sentence that says so.
    pub fn new(message: impl Into<String>) -> Answer {
        let message = message.into();
        Answer { status: Status::OK, message, metrics: Vec::new(), detail: Map::new() }
    }

    /// The status so far.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The sentence so far.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The metrics so far.
    pub fn metrics(&self) -> &[Value] {
        &self.metrics
    }

    /// What was noted under `key`.
    pub fn detail(&self, key: &str) -> Option<&Value> {
        self.detail.get(key)
    }

    /// Makes it at least as bad as `status`.
    pub fn raise(&mut self, status: Status) {
        self.status = self.status.max(status);
    }

    /// Replaces the sentence for people.
    pub fn say(&mut self, message: impl Into<String>) {
        self.message = message.into();
    }

    /// Adds a number to the history. What is not finite is no measurement and is left out.
    pub fn measure(&mut self, tags: &[(&str, &str)], value: f64) {
        if value.is_finite() {
            let tags: Map<_, _> = tags.iter().map(|(k, v)| (k.to_string(), (*v).into())).collect();
            self.metrics.push(json!({ "Tags": tags, "Value": compact(value) }));
        }
    }

    /// Adds to what is shown when somebody looks closer.
    pub fn note(&mut self, key: &str, value: impl Into<Value>) {
        self.detail.insert(key.to_owned(), value.into());
    }

    /// The line to print, without its end. Too long a one loses Metrics and Detail, and says so.
    pub fn to_line(&self) -> String {
        let line = self.render(&self.message, &self.metrics, &self.detail);
        if line.len() <= MAX_LINE_BYTES {
            return line;
        }
        let kept: String = self.message.chars().take(1000).collect();
        let message = format!(
            "{kept} (metrics and detail left out: {} bytes, at most {MAX_LINE_BYTES} are sent)",
            line.len()
        );
        self.render(&message, &[], &Map::new())
    }

    fn render(&self, message: &str, metrics: &[Value], detail: &Map<String, Value>) -> String {
        let line = Line {
            version: env!("CARGO_PKG_VERSION"),
            status: self.status,
            value: self.status.level().word(),
            message,
            metrics,
            detail,
        };
        serde_json::to_string(&line).expect("strings, numbers and string keys always serialise")
    }
}

impl From<&Failure> for Answer {
    fn from(failure: &Failure) -> Answer {
        let mut answer = Answer::new(failure.sentence());
        answer.raise(failure.status());
        answer
    }
}

/// Two decimals are enough for people, and whole numbers stay whole.
pub(super) fn compact(value: f64) -> Value {
    let rounded = (value * 100.0).round() / 100.0;
    if rounded.fract() == 0.0 && rounded.abs() < 9e15 {
        json!(rounded as i64)
    } else {
        json!(rounded)
    }
}

/// `base + count`, within the hundred or two that belong to the level of `base`.
pub(super) fn counted(base: Status, count: usize) -> Status {
    let last = if base >= Status::CRIT { 499 } else { 299 };
    let number = i64::from(base.number()).saturating_add(i64::try_from(count).unwrap_or(last));
    Status::new(number.min(last)).unwrap_or(base)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Line<'a> {
    version: &'a str,
    status: Status,
    value: &'a str,
    message: &'a str,
    metrics: &'a [Value],
    detail: &'a Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_that_of_the_probe_contract() {
        let mut answer = Answer::new("swap is \"full\"\n");
        answer.raise(Status::WARN);
        answer.raise(Status::OK);
        answer.measure(&[("type", "SwapFree")], 1.005_9);
        answer.measure(&[("type", "nothing")], f64::NAN);
        answer.note("why", json!(["a"]));
        assert_eq!(
            answer.to_line(),
            format!(
                r#"{{"Version":"{}","Status":200,"Value":"WARN","Message":"swap is \"full\"\n","Metrics":[{{"Tags":{{"type":"SwapFree"}},"Value":1.01}}],"Detail":{{"why":["a"]}}}}"#,
                env!("CARGO_PKG_VERSION")
            )
        );
    }

    #[test]
    fn a_line_that_the_agent_would_cut_keeps_status_and_message() {
        let mut answer = Answer::new("5000 disks");
        answer.raise(Status::CRIT);
        answer.note("long", "x".repeat(MAX_LINE_BYTES));
        let line = answer.to_line();
        let value: Value = serde_json::from_str(&line).unwrap();
        assert!(line.len() < 2000);
        assert_eq!(value["Status"], 300);
        assert!(value["Message"].as_str().unwrap().starts_with("5000 disks (metrics and detail"));
    }

    #[test]
    fn counts_stay_within_their_level() {
        assert_eq!(counted(Status::CRIT, 2).number(), 302);
        assert_eq!(counted(Status::CRIT, 5000).number(), 499);
        assert_eq!(counted(Status::WARN, usize::MAX).number(), 299);
    }
}
