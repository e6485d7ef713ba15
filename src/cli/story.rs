//! Decisions and messages, in lines that read as a story.

use std::fmt::Write as _;

use serde::Deserialize;

use super::{
    printable::printable,
    render::{Look, date, painted, status_colour},
};
use crate::status::Status;

/// A question has so much room before its answer.
const QUESTION_WIDTH: usize = 40;

/// A decision, of which only what is shown is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Decision {
    pub at: i64,
    pub host: String,
    pub probe: String,
    pub channel: Option<String>,
    pub status: i64,
    pub outcome: String,
    pub chain: Vec<Step>,
    pub notification: Option<Notification>,
}

/// One question and its answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Step {
    pub reason: String,
    pub passed: bool,
    pub detail: String,
}

/// A message, of which only what is shown is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Notification {
    pub id: i64,
    pub channel: String,
    pub kind: String,
    pub title: String,
    pub status: i64,
    pub at: i64,
    pub state: String,
    pub attempts: u32,
    pub next: Option<i64>,
    pub delivered: Option<i64>,
    pub answer: String,
    pub tries: Vec<Try>,
}

/// One attempt to deliver a message.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Try {
    pub at: i64,
    pub ok: bool,
    pub text: String,
    pub milliseconds: u64,
}

/// What a question asks, so that `yes` lets the message pass.
fn question(reason: &str) -> &str {
    match reason {
        "result" => "something changed",
        "enabled" => "such changes are to be told",
        "confirmed" => "enough runs confirm it",
        "flapping" => "it does not change all the time",
        "blind" => "this monitor is not cut off itself",
        "parent" => "what it depends on is up",
        "rechecked" => "seen again since its parent is back",
        "acknowledged" => "nobody looks after it yet",
        "silenced" => "nobody silenced it",
        "maintenance" => "no maintenance window is open",
        "quiet" => "no quiet hours, or too bad for them",
        "incident" => "it belongs to an incident",
        "routed" => "the channel is for this",
        "level" => "it is bad enough",
        "rescue_only" => "not only recoveries are told",
        "told" => "the channel does not know it yet",
        "repeat" => "it is time for a reminder",
        "escalation" => "the channel is for what lasts so long",
        "grouping" => "no other message tells it",
        "rate_limit" => "not too many messages at once",
        other => other,
    }
}

/// The word for a status; the number itself if it is not on the scale.
pub fn level(status: i64) -> String {
    Status::new(status).map_or_else(|| status.to_string(), |known| known.level().word().to_owned())
}

impl Decision {
    /// What came of it, in a few words.
    fn outcome(&self) -> String {
        let channel = self.channel.as_deref().map(printable);
        let state = self.notification.as_ref().map(|message| message.state.as_str());
        match (self.outcome.as_str(), channel) {
            ("sent", Some(channel)) => match state {
                Some("waiting") => format!("{channel} is to be told"),
                Some("dead" | "expired") => format!("{channel} could not be told"),
                _ => format!("{channel} is told"),
            },
            ("waiting", Some(channel)) => format!("{channel} is told later"),
            ("grouped", Some(channel)) => format!("{channel} is told with others"),
            ("held", Some(channel)) => format!("{channel} is not told"),
            ("held", None) => "nobody is told".to_owned(),
            ("waiting", None) => "nobody is told yet".to_owned(),
            (outcome, Some(channel)) => format!("{channel}: {}", printable(outcome)),
            (outcome, None) => printable(outcome).into_owned(),
        }
    }

    /// The heading, one line a question, and what became of the message.
    pub fn write(&self, out: &mut String, look: &Look) {
        let place = [&*self.host, &self.probe].map(printable).join(" ");
        let line = format!(
            "{}  {}  {}: {}",
            date(self.at, look),
            level(self.status),
            place.trim_end(),
            self.outcome()
        );
        let _ = writeln!(out, "{}", painted(line, status_colour(self.status), look));
        for Step { reason, passed, detail } in &self.chain {
            let (mark, question) =
                (if *passed { "yes" } else { "NO " }, printable(question(reason)));
            let line = format!("\t{mark}  {question:<QUESTION_WIDTH$}  {}", printable(detail));
            let _ = writeln!(out, "{}", line.trim_end());
        }
        if let Some(notification) = &self.notification {
            notification.write(out, look);
        }
    }
}

impl Notification {
    /// How it is, in a few words.
    pub fn outcome(&self, look: &Look) -> String {
        match &*self.answer {
            "" => self.state(look),
            answer => format!("{}: {}", self.state(look), printable(answer)),
        }
    }

    fn state(&self, look: &Look) -> String {
        match (self.state.as_str(), self.delivered, self.next) {
            ("sent", Some(at), _) => format!("delivered {}", date(at, look)),
            ("waiting", _, Some(next)) if self.attempts > 0 => {
                format!("waits, tried {} times, next {}", self.attempts, date(next, look))
            }
            ("waiting", ..) => "waits".to_owned(),
            ("dead", ..) => format!("given up after {} attempts", self.attempts),
            ("expired", ..) => format!("waited for too long, {} attempts", self.attempts),
            (state, ..) => printable(state).into_owned(),
        }
    }

    fn write(&self, out: &mut String, look: &Look) {
        let _ = writeln!(out, "\tmessage {}: {}", self.id, printable(&self.title));
        for Try { at, ok, text, milliseconds } in &self.tries {
            let ended = if *ok { "delivered" } else { "failed" };
            let text = printable(text);
            let at = date(*at, look);
            let _ = writeln!(out, "\t\t{at}  {ended} after {milliseconds} ms: {text}");
        }
        // The last attempt has said the rest.
        let _ = match (self.tries.is_empty(), self.state.as_str()) {
            (true, _) => writeln!(out, "\t\t{}", self.outcome(look)),
            (false, "sent") => Ok(()),
            (false, _) => writeln!(out, "\t\t{}", self.state(look)),
        };
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    const LOOK: Look = Look { colour: false, zone: TimeZone::UTC };

    fn written(json: &str) -> String {
        let decision: Decision = serde_json::from_str(json).unwrap();
        let mut out = String::new();
        decision.write(&mut out, &LOOK);
        out
    }

    #[test]
    fn a_decision_reads_as_a_story_with_its_attempts() {
        let text = written(
            r#"{"At": 60, "Host": "db1", "Probe": "disk", "Channel": "mail", "Status": 300,
            "Outcome": "sent", "Chain": [{"Reason": "confirmed", "Passed": true, "Detail": "2 of 3 runs"}],
            "Notification": {"Id": 7, "Title": "db1 / disk\u001b", "State": "waiting", "Attempts": 1,
            "Next": 120, "Answer": "refused",
            "Tries": [{"At": 61, "Ok": false, "Text": "refused", "Milliseconds": 9}]}}"#,
        );
        let expected = "\
1970-01-01T00:01:00 (UTC)  CRIT  db1 disk: mail is to be told
\tyes  enough runs confirm it                    2 of 3 runs
\tmessage 7: db1 / disk\\u{1b}
\t\t1970-01-01T00:01:01 (UTC)  failed after 9 ms: refused
\t\twaits, tried 1 times, next 1970-01-01T00:02:00 (UTC)
";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_stopped_it_stands_out() {
        let text = written(
            r#"{"At": 60, "Host": "db1", "Probe": "", "Status": 999, "Outcome": "held", "Chain": [
            {"Reason": "silenced", "Passed": false, "Detail": "by alice"},
            {"Reason": "new_one", "Passed": true, "Detail": ""}]}"#,
        );
        assert!(text.contains("DOWN  db1: nobody is told\n"), "{text}");
        assert!(text.contains("\tNO   nobody silenced it "), "{text}");
        assert!(text.ends_with("\tyes  new_one\n"), "{text}");
    }

    #[test]
    fn every_reason_that_is_stored_has_a_question() {
        use crate::notify::Reason;
        for reason in [
            Reason::Result,
            Reason::Enabled,
            Reason::Confirmed,
            Reason::Flapping,
            Reason::Blind,
            Reason::Parent,
            Reason::Rechecked,
            Reason::Acknowledged,
            Reason::Silenced,
            Reason::Maintenance,
            Reason::Quiet,
            Reason::Incident,
            Reason::Routed,
            Reason::Level,
            Reason::RescueOnly,
            Reason::Told,
            Reason::Repeat,
            Reason::Escalation,
            Reason::Grouping,
            Reason::RateLimit,
        ] {
            let word = serde_json::to_value(reason).unwrap();
            let word = word.as_str().unwrap();
            let asked = question(word);
            assert!(asked != word && asked.len() <= QUESTION_WIDTH, "{word}: {asked}");
        }
    }
}
