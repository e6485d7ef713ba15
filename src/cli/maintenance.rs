//! `wigocli maintenance`: times in which work is done and nothing is said.

use std::fmt::Write as _;

use serde::Deserialize;

use super::{
    Error, Verdict,
    args::{MaintenanceAction, WindowArgs},
    client::Client,
    held::query,
    printable::{printable, printable_json},
    render::{Look, date},
    screen::Screen,
    tabular::columns,
};

/// Where an agent has its windows.
const PATH: &str = "/api/maintenance";
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Windows {
    windows: Vec<Window>,
}

/// A window, of which only what is shown is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Window {
    id: u64,
    name: String,
    scope: String,
    target: String,
    probe: String,
    reason: String,
    author: String,
    every: String,
    from: Option<i64>,
    to: Option<i64>,
    days: Vec<i64>,
    at: String,
    seconds: u64,
    zone: String,
    ends: Option<i64>,
    held: u64,
    open: bool,
    next: Vec<Occurrence>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Occurrence {
    from: i64,
    to: i64,
}

/// Lists the windows, makes one, or removes one.
pub fn run(
    client: &Client,
    action: Option<&MaintenanceAction>,
    json: bool,
    screen: &Screen,
) -> Result<Verdict, Error> {
    let look = &screen.look;
    let (path, answer) = match action {
        None | Some(MaintenanceAction::List) => (PATH.to_owned(), client.get_text(PATH)?),
        Some(MaintenanceAction::Add(window)) => asked(client, window, false)?,
        Some(MaintenanceAction::Preview(window)) => asked(client, window, true)?,
        Some(MaintenanceAction::Remove { id }) => {
            let path = format!("{PATH}/{id}/remove");
            let answer = client.post_for_answer(&path)?;
            (path, answer)
        }
    };
    let text = match (json, action) {
        (true, _) => format!("{}\n", printable_json(answer.trim())),
        (false, None | Some(MaintenanceAction::List)) => {
            match windows(&client.parse::<Windows>(&path, &answer)?.windows, look) {
                text if text.is_empty() => "no maintenance windows\n".to_owned(),
                text => text,
            }
        }
        (false, Some(MaintenanceAction::Add(_))) => {
            let window: Window = client.parse(&path, &answer)?;
            format!("{} is made; it is open\n{}", window.id, window.occurrences(look))
        }
        (false, Some(MaintenanceAction::Preview(_))) => {
            let window: Window = client.parse(&path, &answer)?;
            format!("it would be open\n{}", window.occurrences(look))
        }
        (false, Some(MaintenanceAction::Remove { id })) => format!("{id} is removed\n"),
    };
    screen.print(&text)?;
    Ok(Verdict::Fine)
}

fn asked(client: &Client, window: &WindowArgs, preview: bool) -> Result<(String, String), Error> {
    let path = path(window, preview);
    let answer = client.post_for_answer(&path)?;
    Ok((path, answer))
}

fn path(window: &WindowArgs, preview: bool) -> String {
    let WindowArgs { name, host, group, labels, probe, reason, from, to, .. } = window;
    let flag = |is: bool| is.then_some("true");
    let text = Option::as_deref;
    let pairs = [
        ("name", Some(&**name)),
        ("host", text(host)),
        ("group", text(group)),
        ("labels", text(labels)),
        ("all", flag(window.all)),
        ("probe", text(probe)),
        ("reason", text(reason)),
        ("from", text(from)),
        ("to", text(to)),
        ("for", text(&window.span)),
        ("every", text(&window.every)),
        ("days", text(&window.days)),
        ("at", text(&window.at)),
        ("zone", text(&window.zone)),
        ("ends", text(&window.ends)),
        ("preview", flag(preview)),
    ];
    format!("{PATH}{}", query(pairs))
}

/// A line for each window.
pub fn windows(windows: &[Window], look: &Look) -> String {
    columns(windows.iter().map(|window| window.row(look)))
}

impl Window {
    fn row(&self, look: &Look) -> [String; 8] {
        let target = match &*self.scope {
            "all" => "everything".to_owned(),
            "host" => self.target.clone(),
            scope => format!("{scope} {}", self.target),
        };
        let place = [&*target, &self.probe].map(printable).join(" ");
        let state = match (self.open, self.next.first()) {
            (true, _) => "open now".to_owned(),
            (false, Some(next)) => format!("opens {}", date(next.from, look)),
            (false, None) => "over".to_owned(),
        };
        let reason = match &*self.reason {
            "" => String::new(),
            reason => format!(": {}", printable(reason)),
        };
        [
            self.id.to_string(),
            printable(&self.name).into_owned(),
            place.trim_end().to_owned(),
            state,
            self.schedule(look),
            format!("held {}", self.held),
            format!("by {}{reason}", printable(&self.author)),
            self.ends.map(|at| format!("until {}", date(at, look))).unwrap_or_default(),
        ]
    }

    fn schedule(&self, look: &Look) -> String {
        if let (Some(from), Some(to)) = (self.from, self.to) {
            return format!("{} to {}", date(from, look), date(to, look));
        }
        let day = |day: &i64| match (self.every.as_str(), day) {
            ("week", 1..=7) => WEEKDAYS[(day - 1) as usize].to_owned(),
            (_, -1) => "last".to_owned(),
            (_, day) => day.to_string(),
        };
        let days: Vec<_> = self.days.iter().map(day).collect();
        let (every, zone) = (printable(&self.every), printable(&self.zone));
        let (days, length) = (days.join(","), span(self.seconds));
        format!("every {every} {days} {} {zone} for {length}", printable(&self.at))
    }

    fn occurrences(&self, look: &Look) -> String {
        let mut text = String::new();
        for Occurrence { from, to } in &self.next {
            let _ = writeln!(text, "\t{} to {}", date(*from, look), date(*to, look));
        }
        if self.next.is_empty() { "\tnever\n".to_owned() } else { text }
    }
}

/// A time span as it is given: in the largest unit of which it is so many.
fn span(seconds: u64) -> String {
    let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
    let unit = units.iter().find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{seconds}s"), |(unit, word)| format!("{}{word}", seconds / unit))
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    const LOOK: Look = Look { colour: false, zone: TimeZone::UTC };

    #[test]
    fn windows_are_listed_with_when_they_are_open_next() {
        let answer: Windows = serde_json::from_str(
            r#"{"Windows": [
            {"Id": 1, "Name": "kernel", "Scope": "group", "Target": "web", "Author": "alice", "Held": 4,
             "Every": "week", "Days": [1, 7], "At": "02:00", "Seconds": 7200, "Zone": "Europe/Paris",
             "Open": false, "Next": [{"From": 60, "To": 120}], "Ends": 600, "Reason": "patch\u001b"},
            {"Id": 2, "Name": "move", "Scope": "all", "Author": "bob", "Every": "once", "From": 0, "To": 60,
             "Open": true}]}"#,
        )
        .unwrap();
        let expected = "\
1  kernel  group web   opens 1970-01-01T00:01:00 (UTC)  every week mon,sun 02:00 Europe/Paris for 2h            held 4  by alice: patch\\u{1b}  until 1970-01-01T00:10:00 (UTC)
2  move    everything  open now                         1970-01-01T00:00:00 (UTC) to 1970-01-01T00:01:00 (UTC)  held 0  by bob
";
        assert_eq!(windows(&answer.windows, &LOOK), expected);
        let next = answer.windows[0].occurrences(&LOOK);
        assert_eq!(next, "\t1970-01-01T00:01:00 (UTC) to 1970-01-01T00:02:00 (UTC)\n");
        assert_eq!(answer.windows[1].occurrences(&LOOK), "\tnever\n");
        let spans = [90, 60, 7_200, 86_400, 0].map(span);
        assert_eq!(spans, ["90s", "1m", "2h", "1d", "0s"]);
    }

    #[test]
    fn all_that_is_said_of_a_window_is_asked_for() {
        let args = WindowArgs {
            name: "a b".into(),
            host: None,
            group: Some("web".into()),
            labels: None,
            all: false,
            probe: Some("disk".into()),
            reason: None,
            from: None,
            to: None,
            span: Some("2h".into()),
            every: Some("week".into()),
            days: Some("mon,sun".into()),
            at: Some("02:00".into()),
            zone: None,
            ends: None,
        };
        assert_eq!(
            path(&args, true),
            "/api/maintenance?name=a%20b&group=web&probe=disk&for=2h&every=week&days=mon%2Csun\
             &at=02%3A00&preview=true"
        );
    }
}
