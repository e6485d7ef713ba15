//! `wigocli incidents`: what is broken, worst first; or one incident with all that is known of it.

use std::fmt::Write as _;

use serde::Deserialize;

use super::{
    Error, Verdict,
    args::IncidentsArgs,
    client::{Client, percent_encoded},
    printable::{printable, printable_json},
    render::{Look, date, painted, status_colour},
    screen::Screen,
    story::{Decision, Notification, level},
    tabular::columns,
};

/// Where an agent has its incidents.
const PATH: &str = "/api/incidents";
/// Digits of an id that are shown; the least that name one.
const ID_DIGITS: usize = 8;
/// The digits of a whole id with its dashes.
const WHOLE_ID: usize = 36;
/// Incidents among which the beginning of an id is looked for.
const MAX_LOOKED_AT: usize = 500;
/// Decisions that are shown with an incident.
const MAX_DECISIONS: usize = 5;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Page {
    open: usize,
    incidents: Vec<Incident>,
    more: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Incident {
    id: String,
    title: String,
    state: String,
    status: i64,
    worst: i64,
    opened: i64,
    closed: Option<i64>,
    members: u32,
    bad: u32,
    ack: Option<Ack>,
    silenced: bool,
    told: Vec<Told>,
    subjects: Vec<Subject>,
    unlisted: u32,
    timeline: Vec<Moment>,
    notifications: Vec<Notification>,
    decisions: Vec<Decision>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Ack {
    author: String,
    reason: String,
    until: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Told {
    channel: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Subject {
    host: String,
    probe: String,
    status: i64,
    since: i64,
    recovered: Option<i64>,
    output: String,
    runbook: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Moment {
    at: i64,
    event: String,
    host: String,
    probe: String,
    text: String,
    by: Option<String>,
}

/// Shows those that are open, those that are over, or one.
pub fn show(
    client: &Client,
    query: &IncidentsArgs,
    json: bool,
    screen: &Screen,
) -> Result<Verdict, Error> {
    let path = match &query.id {
        Some(id) => format!("{PATH}/{}", percent_encoded(&found(client, id)?)),
        None => path(query),
    };
    let answer = client.get_text(&path)?;
    let text = match (json, &query.id) {
        (true, _) => format!("{}\n", printable_json(answer.trim())),
        (false, Some(_)) => whole(&client.parse(&path, &answer)?, &screen.look),
        (false, None) => list(&client.parse(&path, &answer)?, &screen.look),
    };
    screen.print(&text)?;
    Ok(Verdict::Fine)
}

/// The whole id of an incident of which `id` is the beginning.
pub fn found(client: &Client, id: &str) -> Result<String, Error> {
    match find(client, id)? {
        Some(id) => Ok(id),
        None => Err(Error::NoIncident { id: id.into() }),
    }
}

/// The same; `None`: there is none, or this cannot be the id of one.
pub fn find(client: &Client, id: &str) -> Result<Option<String>, Error> {
    let is_id = id.chars().all(|c| c.is_ascii_hexdigit() || c == '-') && id.len() >= ID_DIGITS;
    if !is_id {
        return Ok(None);
    }
    let wanted = id.to_ascii_lowercase();
    let page: Page = client.get_json(&format!("{PATH}?state=all&limit={MAX_LOOKED_AT}"))?;
    let mut ids = page.incidents.into_iter().map(|incident| incident.id);
    let mut ids = ids.by_ref().filter(|known| known.starts_with(&wanted));
    match (ids.next(), ids.next()) {
        (Some(_), Some(_)) => Err(Error::SeveralIncidents { id: id.into() }),
        (Some(found), None) => Ok(Some(found)),
        // It may be older than those that were looked at.
        (None, _) if wanted.len() == WHOLE_ID && page.more => Ok(Some(wanted)),
        (None, _) => Ok(None),
    }
}

fn path(query: &IncidentsArgs) -> String {
    let state = if query.closed { "closed" } else { "open" };
    let mut path = format!("{PATH}?state={state}&limit={}", query.limit);
    let names = [("host", &query.host), ("probe", &query.probe), ("group", &query.group)];
    for (name, value) in names {
        if let Some(value) = value {
            let _ = write!(path, "&{name}={}", percent_encoded(value));
        }
    }
    path
}

fn list(page: &Page, look: &Look) -> String {
    if page.incidents.is_empty() {
        return "no incidents\n".to_owned();
    }
    let rows = page.incidents.iter().map(|incident| {
        let status = if incident.closed.is_some() { incident.worst } else { incident.status };
        let until = incident.closed.map(|at| format!(" to {}", date(at, look)));
        [
            level(status),
            incident.id.chars().take(ID_DIGITS).collect(),
            format!("{}{}", date(incident.opened, look), until.unwrap_or_default()),
            incident.extent(),
            incident.marks(),
            printable(&incident.title).into_owned(),
        ]
    });
    let mut text: String = columns(rows);
    if look.colour {
        let coloured = text
            .lines()
            .zip(&page.incidents)
            .map(|(line, incident)| painted(line, status_colour(incident.status), look) + "\n");
        text = coloured.collect();
    }
    let shown = page.incidents.iter().filter(|incident| incident.closed.is_none()).count();
    if page.more {
        let _ = match shown {
            0 => writeln!(text, "there are more: ask with a higher --limit"),
            _ => writeln!(text, "{} are open: ask with a higher --limit", page.open),
        };
    }
    text
}

impl Incident {
    /// How much of it is bad still.
    fn extent(&self) -> String {
        match (self.bad, self.members) {
            (_, 0 | 1) => "-".to_owned(),
            (bad, members) => format!("{bad} of {members}"),
        }
    }

    /// Who looks after it and who knows of it.
    fn marks(&self) -> String {
        let mut marks = Vec::new();
        if let Some(ack) = &self.ack {
            marks.push(format!("acked by {}", printable(&ack.author)));
        }
        if self.silenced {
            marks.push("silenced".to_owned());
        }
        let told: Vec<_> = self.told.iter().map(|told| printable(&told.channel)).collect();
        marks.push(match told.is_empty() {
            true => "nobody was told".to_owned(),
            false => format!("told {}", told.join(" ")),
        });
        marks.join(", ")
    }
}

fn whole(incident: &Incident, look: &Look) -> String {
    let mut text = String::new();
    let status = if incident.closed.is_some() { incident.worst } else { incident.status };
    let title = painted(printable(&incident.title), status_colour(status), look);
    let _ = writeln!(text, "{title}\n");
    let mut field = |name: &str, value: String| {
        let _ = writeln!(text, " {name:<8} : {value}");
    };
    field("Id", printable(&incident.id).into_owned());
    field("State", format!("{}, {}", printable(&incident.state), incident.marks()));
    field("Opened", date(incident.opened, look));
    if let Some(closed) = incident.closed {
        field("Closed", date(closed, look));
    }
    if let Some(Ack { author, reason, until }) = &incident.ack {
        let until = until.map(|at| format!(", until {}", date(at, look))).unwrap_or_default();
        let by = format!("{}{until}", printable(author));
        let why =
            if reason.is_empty() { String::new() } else { format!(": {}", printable(reason)) };
        field("Acked by", by + &why);
    }
    let _ = writeln!(text, "\nBroken : {} of {}\n", incident.bad, incident.members);
    for subject in &incident.subjects {
        subject.write(&mut text, look);
    }
    if incident.unlisted > 0 {
        let _ = writeln!(text, "\tand {} more", incident.unlisted);
    }
    text.push_str("\nTimeline : \n\n");
    for Moment { at, event, host, probe, text: said, by } in &incident.timeline {
        let place = [&**host, probe].map(printable).join(" ");
        let by = by.as_deref().map(|by| format!(" ({})", printable(by))).unwrap_or_default();
        let line = format!("\t{}  {event:<14}  {place}", date(*at, look), event = printable(event));
        let _ = writeln!(text, "{}  {}{by}", line.trim_end(), printable(said));
    }
    if !incident.notifications.is_empty() {
        text.push_str("\nMessages : \n\n");
    }
    for message in &incident.notifications {
        let (channel, kind) = (printable(&message.channel), printable(&message.kind));
        let outcome = message.outcome(look);
        let at = date(message.at, look);
        let _ = writeln!(text, "\t{at}  {}  {channel} {kind}: {outcome}", message.id);
    }
    if !incident.decisions.is_empty() {
        text.push_str("\nWhy : \n");
    }
    for decision in incident.decisions.iter().take(MAX_DECISIONS) {
        text.push('\n');
        decision.write(&mut text, look);
    }
    text
}

impl Subject {
    fn write(&self, out: &mut String, look: &Look) {
        let place = [&*self.host, &self.probe].map(printable).join(" ");
        let place = place.trim_end();
        let since = date(self.since, look);
        let line = match self.recovered {
            None => format!("\t{}  {place}  since {since}", level(self.status)),
            Some(at) => format!("\tover  {place}  {since} to {}", date(at, look)),
        };
        let colour = status_colour(self.status);
        let _ = writeln!(out, "{}", painted(line, colour, look));
        for line in self.output.trim().lines() {
            let _ = writeln!(out, "\t\t{}", printable(line));
        }
        if let Some(runbook) = &self.runbook {
            let _ = writeln!(out, "\t\tsee {}", printable(runbook));
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    const LOOK: Look = Look { colour: false, zone: TimeZone::UTC };

    #[test]
    fn incidents_are_listed_in_columns() {
        let page: Page = serde_json::from_str(
            r#"{"Open": 2, "More": true, "Incidents": [
            {"Id": "0123456789", "Title": "core is DOWN", "State": "open", "Status": 999, "Opened": 60,
             "Members": 45, "Bad": 40, "Ack": {"Author": "alice\u001b"}, "Told": [{"Channel": "mail"}]},
            {"Id": "abcdef0123", "Title": "db1 / disk was WARN", "State": "closed", "Status": 100,
             "Worst": 250, "Opened": 0, "Closed": 30, "Members": 1, "Silenced": true}]}"#,
        )
        .unwrap();
        let text = list(&page, &LOOK);
        let expected = "\
DOWN  01234567  1970-01-01T00:01:00 (UTC)                               40 of 45  \
acked by alice\\u{1b}, told mail  core is DOWN
WARN  abcdef01  1970-01-01T00:00:00 (UTC) to 1970-01-01T00:00:30 (UTC)  -         \
silenced, nobody was told        db1 / disk was WARN
2 are open: ask with a higher --limit
";
        assert_eq!(text, expected);
        assert_eq!(list(&Page::default(), &LOOK), "no incidents\n");
    }

    #[test]
    fn one_incident_is_told_from_what_is_bad_to_why() {
        let incident: Incident = serde_json::from_str(
            r#"{"Id": "1", "Title": "db1 / disk is CRIT", "State": "open", "Status": 300, "Opened": 60,
            "Members": 3, "Bad": 2, "Unlisted": 1, "Subjects": [
            {"Host": "db1", "Probe": "disk", "Status": 300, "Since": 60, "Output": "95 %\nof 40",
             "Runbook": "https://x/y"},
            {"Host": "db1", "Probe": "load", "Status": 100, "Since": 60, "Recovered": 90}],
            "Timeline": [{"At": 60, "Event": "acknowledged", "Host": "db1", "Probe": "disk",
             "Text": "looked after", "By": "alice"}],
            "Notifications": [{"Id": 3, "At": 60, "Channel": "mail", "Kind": "problem", "State": "dead",
             "Attempts": 2, "Answer": "no\u001b"}],
            "Decisions": [{"At": 60, "Host": "db1", "Status": 300, "Outcome": "held"}]}"#,
        )
        .unwrap();
        let text = whole(&incident, &LOOK);
        for part in [
            "db1 / disk is CRIT\n\n Id       : 1\n State    : open, nobody was told\n",
            "\tCRIT  db1 disk  since 1970-01-01T00:01:00 (UTC)\n\t\t95 %\n\t\tof 40\n\t\tsee https://x/y\n",
            "\tover  db1 load  1970-01-01T00:01:00 (UTC) to 1970-01-01T00:01:30 (UTC)\n\tand 1 more\n",
            "acknowledged    db1 disk  looked after (alice)\n",
            "  3  mail problem: given up after 2 attempts: no\\u{1b}\n",
            "\nWhy : \n\n1970-01-01T00:01:00 (UTC)  CRIT  db1: nobody is told\n",
        ] {
            assert!(text.contains(part), "{part}\nin {text}");
        }
    }

    #[test]
    fn the_filters_go_into_the_question() {
        let query = IncidentsArgs {
            closed: true,
            host: Some("a b".into()),
            group: Some("g".into()),
            limit: 7,
            ..IncidentsArgs::default()
        };
        assert_eq!(path(&query), "/api/incidents?state=closed&limit=7&host=a%20b&group=g");
    }
}
