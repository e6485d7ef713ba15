//! What is shown of an agent's answer, as text for people. Pure: an answer in, lines out.
//!
//! The layout is the one of the original wigocli: tabs as indents, probe names in 25 columns, a whole line
//! in one colour. Nothing is cut. All text of an agent passes [`printable`].

use std::{borrow::Cow, cmp::Reverse, fmt::Write as _};

use anstyle::{AnsiColor, Style};
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize as _;

use super::{
    model::{LogEntry, Probe, Wigo},
    printable::printable,
};
use crate::tree::Presence;

/// An entry that the agent got to know this much later than it happened says so, in seconds.
const LATE_SECONDS: i64 = 60;

/// How things look on this screen.
#[derive(Clone, Debug)]
pub struct Look {
    pub colour: bool,
    /// For times that the agent gives as a number.
    pub zone: TimeZone,
}

/// An instance and what is below it. With `detail` everything, without it what is not well: all probes of
/// its host if one is not OK, and the instances from WARN on, or that do not report, with their probes that are not OK.
pub fn summary(wigo: &Wigo, detail: bool, look: &Look) -> String {
    let local = sorted_probes(wigo);
    let local = if detail || wigo.local_host.status != 100 { local } else { Vec::new() };
    head(wigo, local, look) + &remotes(wigo, detail, look)
}

/// The same of an instance below, of whose probes only those that are not OK are shown without `detail`.
pub fn remote_summary(wigo: &Wigo, detail: bool, look: &Look) -> String {
    let mut local = sorted_probes(wigo);
    local.retain(|(_, probe)| detail || probe.status != 100);
    head(wigo, local, look) + &remotes(wigo, detail, look)
}

/// One probe with its detail.
pub fn probe(name: &str, probe: &Probe, look: &Look) -> String {
    let mut text = format!("Probe {} : \n\n", printable(name));
    let mut field = |name: &str, value: &str| {
        let line = format!(" {name:<14} : {value}");
        text.push_str(line.trim_end());
        text.push('\n');
    };
    field("Status", &painted(probe.status, status_colour(probe.status), look));
    let mut message = probe.message.trim_end().lines().map(printable);
    field("Message", &message.next().unwrap_or_default());
    message.for_each(|line| field("", &line));
    field("Last execution", &printable(&probe.probe_date));
    if probe.since != 0 {
        field("Since", &date(probe.since, look));
    }
    if probe.interval != 0 {
        field("Interval", &format!("{} s", probe.interval));
    }
    if probe.stale {
        field("Stale", "not confirmed since the restart");
    }
    if let Some(detail) = probe.detail.as_ref().and_then(|detail| indented(detail.get())) {
        let _ = write!(text, "\n Detail : \n\n{detail}\n");
    }
    text
}

/// One entry of the log, as one line.
pub fn log_entry(entry: &LogEntry, look: &Look) -> String {
    let when = match entry.timestamp {
        0 => printable(&entry.date).into_owned(),
        second => date(second, look),
    };
    let (word, colour) = match entry.level {
        ..=1 => ("DEBUG", None),
        2 => ("OK", None),
        3 => ("INFO", Some(AnsiColor::Yellow)),
        4 => ("ERROR", Some(AnsiColor::Red)),
        5 => ("WARNING", Some(AnsiColor::Yellow)),
        6 => ("CRITICAL", Some(AnsiColor::Red)),
        7.. => ("EMERGENCY", Some(AnsiColor::Red)),
    };
    let place = [&*entry.host, &entry.probe].map(printable).join(" ");
    let message = first_line(&entry.message);
    let late = match entry.learned.saturating_sub(entry.timestamp) {
        LATE_SECONDS.. if entry.timestamp != 0 => {
            format!(" (known since {})", date(entry.learned, look))
        }
        _ => String::new(),
    };
    let line = format!("{when}  {word:<9}  {}  {message}{late}", place.trim_end());
    painted(line, colour, look) + "\n"
}

fn head(wigo: &Wigo, local: Vec<(&String, &Probe)>, look: &Look) -> String {
    let host = &wigo.local_host;
    let mut text = format!("{} running on {} \n", printable(&wigo.version), printable(&host.name));
    let _ = writeln!(text, "Local Status \t: {}", host.status);
    let _ = writeln!(text, "Global Status\t: {}\n", wigo.global_status);
    if wigo.presence() != Presence::Alive {
        text += &(absent(wigo, look) + "\n\n");
    } else if !wigo.problem.is_empty() {
        let _ =
            writeln!(text, "{}\n", painted(first_line(&wigo.problem), Some(AnsiColor::Red), look));
    }
    if !local.is_empty() {
        text.push_str("Local probes : \n\n");
        local.into_iter().for_each(|(name, probe)| text += &probe_line("", name, probe, look));
        text.push('\n');
    }
    text
}

fn remotes(wigo: &Wigo, detail: bool, look: &Look) -> String {
    let mut text = String::new();
    below(wigo, &mut Below { text: &mut text, version: &wigo.version, detail, look }, 0);
    if text.is_empty() { text } else { format!("Remote Wigos : \n\n{text}") }
}

/// What is carried down the tree while the instances below are drawn.
struct Below<'a> {
    text: &'a mut String,
    /// The version of the instance at the top, from which others may differ.
    version: &'a str,
    detail: bool,
    look: &'a Look,
}

fn below(wigo: &Wigo, draw: &mut Below<'_>, depth: usize) {
    let look = draw.look;
    let mut remotes: Vec<_> = wigo.remote_wigos.values().map(|wigo| (wigo.worst(), wigo)).collect();
    remotes.retain(|(worst, wigo)| draw.detail || *worst >= 200 || !wigo.is_well());
    remotes.sort_by_key(|(worst, wigo)| (Reverse(*worst), wigo.name()));
    let indent = "\t".repeat(depth);
    for (_, remote) in remotes {
        let headline = if remote.presence() == Presence::Alive {
            let other = remote.version != draw.version;
            let colour = other.then_some(AnsiColor::Red);
            let version = painted(printable(&remote.version), colour, look);
            let name = printable(remote.name());
            let problem = first_line(&remote.problem);
            let colour = (!problem.is_empty()).then_some(AnsiColor::Red);
            let problem = painted(problem, colour, look);
            format!("{name} ( {} ) - {version}: {problem}", printable(&remote.local_host.name))
        } else {
            absent(remote, look)
        };
        let _ = writeln!(draw.text, "{indent}{headline}");
        for (name, probe) in sorted_probes(remote) {
            if draw.detail || probe.status != 100 {
                draw.text.push_str(&probe_line(&indent, name, probe, look));
            }
        }
        draw.text.push('\n');
        below(remote, draw, depth + 1);
    }
}

/// The headline of an instance that does not report.
fn absent(wigo: &Wigo, look: &Look) -> String {
    let (presence, name) = (wigo.presence(), printable(wigo.name()));
    let (message, problem) = (first_line(&wigo.global_message), first_line(&wigo.problem));
    let word = presence.word().to_uppercase();
    let mut text = match presence {
        Presence::Down => format!("{name} {word} : {message}"),
        _ => format!("{name} {word}"),
    };
    if !problem.is_empty() {
        let _ = write!(text, " : {problem}");
    }
    painted(text, Some(presence_colour(presence)), look)
}

pub(super) fn presence_colour(presence: Presence) -> AnsiColor {
    match presence {
        Presence::Down => AnsiColor::Red,
        _ => AnsiColor::Yellow,
    }
}

/// Worst first, then by name.
fn sorted_probes(wigo: &Wigo) -> Vec<(&String, &Probe)> {
    let mut probes: Vec<_> = wigo.local_host.probes.iter().collect();
    probes.sort_by_key(|(_, probe)| Reverse(probe.status)); // stable, and the map is in the order of names
    probes
}

fn probe_line(indent: &str, name: &str, probe: &Probe, look: &Look) -> String {
    let (name, message) = (printable(name), first_line(&probe.message));
    let mut line = format!("{indent}\t{name:<25} : {}  {message}", probe.status);
    if probe.stale {
        line.push_str(" (not confirmed since the restart)");
    }
    let colour = match probe.status {
        101..=299 => Some(AnsiColor::Yellow),
        300.. => Some(AnsiColor::Red),
        _ => None,
    };
    painted(line.trim_end(), colour, look) + "\n"
}

pub(super) fn first_line(message: &str) -> Cow<'_, str> {
    printable(message.trim().lines().next().unwrap_or_default())
}

pub(super) fn status_colour(status: i64) -> Option<AnsiColor> {
    Some(match status {
        ..200 => AnsiColor::Green,
        200..300 => AnsiColor::Yellow,
        300.. => AnsiColor::Red,
    })
}

pub(super) fn painted(
    text: impl std::fmt::Display,
    colour: Option<AnsiColor>,
    look: &Look,
) -> String {
    match colour.filter(|_| look.colour) {
        Some(colour) => {
            let style = Style::new().fg_color(Some(colour.into()));
            format!("{style}{text}{style:#}")
        }
        None => text.to_string(),
    }
}

/// A Unix second the way agents write dates.
pub(super) fn date(second: i64, look: &Look) -> String {
    match Timestamp::from_second(second) {
        Ok(at) => at.to_zoned(look.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S (%Z)").to_string(),
        Err(_) => second.to_string(),
    }
}

/// JSON over several lines, keys sorted, three spaces an indent; `None` if it is not JSON.
fn indented(json: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"   ");
    let mut text = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter)).ok()?;
    let text = String::from_utf8(text).ok()?;
    Some(text.lines().map(printable).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests;
