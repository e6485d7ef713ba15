//! Titles and bodies of messages: templates of minijinja.
//!
//! A template sees the variables of [`VARIABLES`] and nothing else: no file, no environment, no clock. Its
//! work and its output are bounded. One that fails loses no message: the usual text is used, and what went
//! wrong is told to whoever looks after the channel.

use std::{io, time::Duration};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value, context};
use thiserror::Error;

use super::{Kind, Message, Priority, message::Line};
use crate::config::ChannelConfig;

pub mod sample;

/// The usual templates.
const TITLE: &str = include_str!("template/title.txt");
const BODY: &str = include_str!("template/body.txt");
/// How much a template may do, in steps of its machine.
const FUEL: u64 = 100_000;
/// The longest body, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// The longest title, in bytes.
const MAX_TITLE_BYTES: usize = 1_024;
/// The longest title that is made of the usual template, in characters.
const MAX_USUAL_TITLE_CHARS: usize = 200;

/// All that templates can use, and what it is.
pub const VARIABLES: &[(&str, &str)] = &[
    ("key", "what receivers tell doubles by: the same at each attempt"),
    ("channel", "the name of the channel"),
    (
        "kind",
        "problem, worsened, improved, joined, reminder, recovered, flapping, calm, summary, digest, notice or test",
    ),
    ("priority", "normal or high"),
    ("title", "one line: host, what, how bad"),
    ("subject", "`host` or `host / probe`"),
    ("host", "the host that it is about first"),
    ("probe", "its probe; empty: the host itself"),
    ("group", "the group of that host"),
    ("labels", "its labels: `labels.env`"),
    ("status", "how bad it is: a number from 100 to 999"),
    ("level", "the same as a word: OK, INFO, WARN, CRIT, ERROR, DOWN"),
    ("was", "the status that this channel was told before; none: it was told nothing"),
    ("was_level", "the same as a word"),
    ("worst", "the worst status so far"),
    ("worst_level", "the same as a word"),
    ("output", "what the probe said last"),
    ("since", "when it began: for `clock` and `ago`"),
    ("at", "when the message was decided"),
    ("now", "when it is sent"),
    ("late", "how late it is, in seconds, if that is a minute or more: for `duration`"),
    (
        "lines",
        "what else is in it, worst first, each with subject, host, probe, status, level, since, output",
    ),
    ("more", "how many more there are than `lines` has"),
    ("total", "how many belong to it, the first one included"),
    ("bad", "how many of them are not over"),
    ("reminder", "which reminder it is; 0: none"),
    ("is_first", "it is the first message of its incident to this channel"),
    ("runbook", "where it says what to do; empty: nowhere"),
    ("link", "the page of the incident; empty: there is no `PageUrl`"),
    ("incident", "the id of the incident; empty: there is none"),
    ("probes_in_error", "names of all probes of that host that are not OK"),
    ("sender", "the name of the host that sends it"),
];

/// Filters besides those of minijinja, and what they do.
pub const FILTERS: &[(&str, &str)] = &[
    ("clock", "a time as date, time and zone: `2026-03-01 14:05 CET`"),
    ("ago", "how long before `now` a time was: `3 h 5 min`"),
    ("duration", "seconds as `12 min`"),
    ("first_line", "the first line that says something"),
];

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Mistake {
    /// The line within the template, from 1.
    pub line: usize,
    pub message: String,
}

/// The templates of a channel.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    zone: TimeZone,
    has_title: bool,
    has_body: bool,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub title: String,
    pub body: String,
    /// Why a template of the channel was not used.
    pub trouble: Option<String>,
}

impl Templates {
    /// Those of a channel; times are shown in the zone of its hours, else of this machine.
    pub fn of(channel: &ChannelConfig) -> Result<Templates, Mistake> {
        let zone = channel.hours.as_ref().map(|hours| hours.zone.clone());
        let zone = zone.unwrap_or_else(TimeZone::system);
        Templates::new(channel.title.as_deref(), channel.body.as_deref(), zone)
    }

    /// Templates of these texts; `None` stands for the usual ones.
    pub fn new(
        title: Option<&str>,
        body: Option<&str>,
        zone: TimeZone,
    ) -> Result<Templates, Mistake> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_fuel(Some(FUEL));
        environment.set_keep_trailing_newline(false);
        environment.add_filter("duration", |seconds: i64| words(seconds));
        environment.add_filter("first_line", |text: &str| first_line(text).to_owned());
        let all = [
            ("usual title", Some(TITLE)),
            ("usual body", Some(BODY)),
            ("title", title),
            ("body", body),
        ];
        for (name, text) in all {
            let Some(text) = text else { continue };
            environment
                .add_template_owned(name, text.to_owned())
                .map_err(|error| mistake(&error))?;
        }
        Ok(Templates { environment, zone, has_title: title.is_some(), has_body: body.is_some() })
    }

    /// Title and body of a message.
    pub fn render(&self, message: &Message, late: Option<Duration>, now: Timestamp) -> Rendered {
        let values = values(message, late, now);
        let mut trouble = Vec::new();
        let mut one = |name: &str, is_own: bool, limit: usize| {
            if is_own {
                match self.fill(name, &values, now, limit) {
                    Ok(text) if !text.trim().is_empty() || name == "body" => return text,
                    Ok(_) => trouble.push(format!("the template of the {name} gives nothing")),
                    Err(error) => {
                        trouble.push(format!("the template of the {name} fails: {}", said(&error)));
                    }
                }
            }
            // Should even this fail, what the message says itself is left.
            self.fill(&format!("usual {name}"), &values, now, limit).unwrap_or_else(
                |_| match name {
                    "title" => message.title.clone(),
                    _ => message.output.clone(),
                },
            )
        };
        let title = one("title", self.has_title, MAX_TITLE_BYTES);
        let body = one("body", self.has_body, MAX_BODY_BYTES);
        let title: String =
            title.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let trouble = (!trouble.is_empty()).then(|| trouble.join("; "));
        Rendered {
            title: shortened(title, MAX_USUAL_TITLE_CHARS),
            body: body.trim().to_owned(),
            trouble,
        }
    }

    fn fill(
        &self,
        name: &str,
        values: &Value,
        now: Timestamp,
        limit: usize,
    ) -> Result<String, Error> {
        let mut environment = self.environment.clone();
        let zone = self.zone.clone();
        environment.add_filter("clock", move |second: i64| clock(second, &zone));
        environment.add_filter("ago", move |second: i64| words(now.as_second() - second));
        let mut output = Bounded { bytes: Vec::new(), limit };
        environment.get_template(name)?.render_captured_to(values, &mut output)?;
        // Cut between characters, should the limit have been within one.
        Ok(String::from_utf8_lossy(&output.bytes).trim_end_matches('\u{fffd}').to_owned())
    }
}

/// Whether a text can be a template: its syntax, and that what it names is there.
pub fn check(text: &str) -> Result<(), Mistake> {
    let templates = Templates::new(None, Some(text), TimeZone::UTC)?;
    let template = templates.environment.get_template("body").map_err(|error| mistake(&error))?;
    let mut unknown: Vec<String> = template.undeclared_variables(false).into_iter().collect();
    let globals: Vec<&str> = templates.environment.globals().map(|(name, _)| name).collect();
    unknown.retain(|name| {
        VARIABLES.iter().all(|(known, _)| known != name) && !globals.contains(&name.as_str())
    });
    unknown.sort();
    if let Some(name) = unknown.first() {
        let line = text.lines().position(|line| line.contains(name.as_str())).unwrap_or_default();
        let known: Vec<&str> = VARIABLES.iter().map(|(name, _)| *name).collect();
        let message = format!("there is no variable `{name}`; there are {}", known.join(", "));
        return Err(Mistake { line: line + 1, message });
    }
    // What is wrong only when it runs: a filter or a test that is not there, a loop without end.
    for message in sample::all() {
        let values = values(&message, Some(Duration::from_secs(720)), message.at);
        let filled = templates.fill("body", &values, message.at, MAX_BODY_BYTES);
        filled.map_err(|error| mistake(&error))?;
    }
    Ok(())
}

fn mistake(error: &Error) -> Mistake {
    Mistake { line: error.line().unwrap_or(1), message: said(error) }
}

/// What went wrong, in a sentence.
fn said(error: &Error) -> String {
    match error.kind() {
        ErrorKind::OutOfFuel => "it does not come to an end".to_owned(),
        ErrorKind::WriteFailure => "it gives too much text".to_owned(),
        kind => match error.detail() {
            Some(detail) => format!("{kind}: {detail}"),
            None => kind.to_string(),
        },
    }
}

fn values(message: &Message, late: Option<Duration>, now: Timestamp) -> Value {
    let level = |status: crate::status::Status| status.level().word();
    let lists_all = matches!(message.kind, Kind::Summary | Kind::Digest);
    let lines: Vec<Value> = message
        .lines
        .iter()
        .filter(|line| lists_all || line.subject != message.subject)
        .map(line)
        .collect();
    let listed = u32::try_from(message.lines.len()).unwrap_or(u32::MAX);
    let has_lead = message.lines.iter().any(|line| line.subject == message.subject);
    let named = if lists_all || has_lead { listed } else { listed.saturating_add(1) };
    context! {
        key => message.key,
        channel => message.channel,
        kind => message.kind.word(),
        priority => match message.priority { Priority::Normal => "normal", Priority::High => "high" },
        title => message.title,
        subject => message.subject.to_string(),
        host => message.subject.host,
        probe => message.subject.probe.as_ref().map_or("", |probe| probe.as_str()),
        group => message.group,
        labels => message.labels,
        status => message.status.number(),
        level => level(message.status),
        was => message.was.map(|was| was.number()),
        was_level => message.was.map(level),
        worst => message.worst.number(),
        worst_level => level(message.worst),
        output => message.output.trim(),
        since => message.since.as_second(),
        at => message.at.as_second(),
        now => now.as_second(),
        late => late.map(|late| late.as_secs()),
        lines => lines,
        more => message.bad.saturating_sub(named),
        total => message.total,
        bad => message.bad,
        reminder => message.reminder,
        is_first => message.is_first,
        runbook => message.runbook.as_deref().unwrap_or_default(),
        link => message.link.as_deref().unwrap_or_default(),
        incident => message.incident.map(|id| id.to_string()).unwrap_or_default(),
        probes_in_error => message.probes_in_error,
        sender => message.sender,
    }
}

fn line(line: &Line) -> Value {
    context! {
        subject => line.subject.to_string(),
        host => line.subject.host,
        probe => line.subject.probe.as_ref().map_or("", |probe| probe.as_str()),
        status => line.status.number(),
        level => line.status.level().word(),
        since => line.since.as_second(),
        output => line.output.trim(),
    }
}

fn clock(second: i64, zone: &TimeZone) -> String {
    match Timestamp::from_second(second) {
        Ok(at) => at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string(),
        Err(_) => second.to_string(),
    }
}

/// A time span in its two largest units.
fn words(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let of = |first: i64, first_word: &str, rest: i64, rest_word: &str| match rest {
        0 => format!("{first} {first_word}"),
        _ => format!("{first} {first_word} {rest} {rest_word}"),
    };
    let span = SignedDuration::from_secs(seconds);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", span.as_mins()),
        3_600..86_400 => of(span.as_hours(), "h", span.as_mins() % 60, "min"),
        _ => of(span.as_hours() / 24, "d", span.as_hours() % 24, "h"),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()
}

fn shortened(text: String, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text,
        Some(_) => text.chars().take(limit - 1).chain(['…']).collect(),
    }
}

/// Takes no more than its limit.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            return Err(io::Error::other("it gives too much text"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
