//! `wigocli tree`: the whole tree, one line a host. Pure: an answer in, lines out.

use std::cmp::Reverse;

use super::{
    model::Wigo,
    printable::printable,
    render::{Look, date, first_line, painted, presence_colour, status_colour},
};
use crate::{status::Status, tree::Presence};

/// Names are lined up as long as they are not longer than this, in characters.
const MAX_COLUMN: usize = 48;

/// A line in its columns.
struct Line<'tree> {
    /// The lines that lead to it, and its name.
    name: String,
    group: String,
    wigo: &'tree Wigo,
}

/// An instance and all below it, worst first.
pub fn draw(top: &Wigo, look: &Look) -> String {
    let mut lines = Vec::new();
    add(top, "", "", "", &mut lines);
    let name = width(lines.iter().map(|line| &line.name));
    let group = width(lines.iter().map(|line| &line.group));
    lines.iter().map(|line| text(line, name, group, look)).collect()
}

/// Adds an instance whose own line begins with `before` and `branch`, and those below it with `before` and
/// `trunk`.
fn add<'tree>(
    wigo: &'tree Wigo,
    before: &str,
    branch: &str,
    trunk: &str,
    lines: &mut Vec<Line<'tree>>,
) {
    let name = format!("{before}{branch}{}", printable(wigo.name()));
    let group = printable(&wigo.local_host.group).into_owned();
    lines.push(Line { name, group, wigo });
    let mut below: Vec<(i64, &Wigo)> =
        wigo.remote_wigos.values().map(|wigo| (wigo.worst(), wigo)).collect();
    below.sort_by_key(|(worst, wigo)| (Reverse(*worst), wigo.name()));
    let before = format!("{before}{trunk}");
    let last = below.len().saturating_sub(1);
    for (number, (_, wigo)) in below.into_iter().enumerate() {
        let (branch, trunk) =
            if number == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        add(wigo, &before, branch, trunk, lines);
    }
}

/// What a column has to hold.
fn width<'text>(texts: impl Iterator<Item = &'text String>) -> usize {
    let widths = texts.map(|text| text.chars().count());
    widths.filter(|width| *width <= MAX_COLUMN).max().unwrap_or(0)
}

fn text(line: &Line<'_>, name: usize, group: usize, look: &Look) -> String {
    let (wigo, presence) = (line.wigo, line.wigo.presence());
    let status = wigo.local_host.status;
    let level = Status::new(status).map_or("?", |status| status.level().word());
    let (word, colour) = match presence {
        Presence::Alive => (level.to_owned(), status_colour(status)),
        presence => (presence.word().to_uppercase(), Some(presence_colour(presence))),
    };
    let state = painted(format!("{word:<7} {status:>3}"), colour, look);
    let mut notes = Vec::new();
    if presence != Presence::Alive && wigo.presence_since != 0 {
        notes.push(format!("since {}", date(wigo.presence_since, look)));
    }
    let problem = first_line(&wigo.problem);
    if !problem.is_empty() {
        notes.push(problem.into_owned());
    }
    let probes = wigo.local_host.probes.values();
    match probes.filter(|probe| probe.status != 100).count() {
        0 => {}
        1 => notes.push("1 probe not well".into()),
        more => notes.push(format!("{more} probes not well")),
    }
    let (before, gap) = (&line.name, if group == 0 { "" } else { "  " });
    let text = format!("{before:<name$}  {state}  {:<group$}{gap}{}", line.group, notes.join(", "));
    format!("{}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    const PLAIN: Look = Look { colour: false, zone: TimeZone::UTC };

    #[test]
    fn every_host_has_a_line_in_its_place() {
        let tree = r#"{"Uuid":"a","Hostname":"hub","GlobalStatus":999,"IsAlive":true,"Presence":"alive",
            "LocalHost":{"Name":"hub","Group":"hq","Status":250,"Probes":{
                "load":{"Status":250},"disks":{"Status":110},"ntp":{"Status":100}}},
            "RemoteWigos":{
                "b":{"Hostname":"edge","GlobalStatus":300,"IsAlive":true,"Problem":"slow\nand more",
                    "LocalHost":{"Group":"web","Status":100},"RemoteWigos":{
                    "c":{"Hostname":"leaf","GlobalStatus":300,"IsAlive":true,
                        "LocalHost":{"Status":300,"Probes":{"p":{"Status":300}}}},
                    "d":{"Hostname":"quiet","GlobalStatus":100,"IsAlive":false,"Presence":"unknown",
                        "LocalHost":{"Status":100}}}},
                "e":{"Hostname":"gone\u001b[2J\u202e","GlobalStatus":999,"IsAlive":false,
                    "Presence":"down","PresenceSince":60,"LocalHost":{"Group":"w\u0007","Status":999}},
                "f":{"Hostname":"old","GlobalStatus":999,"IsAlive":false,"LocalHost":{"Status":999}},
                "g":{"Hostname":"well","GlobalStatus":100,"LocalHost":{"Status":0}}}}"#;
        let tree: Wigo = serde_json::from_str(tree).unwrap();
        assert_eq!(
            draw(&tree, &PLAIN),
            "\
hub                       WARN    250  hq      2 probes not well
├─ gone\\u{1b}[2J\\u{202e}  DOWN    999  w\\u{7}  since 1970-01-01T00:01:00 (UTC)
├─ old                    DOWN    999
├─ edge                   OK      100  web     slow
│  ├─ leaf                CRIT    300          1 probe not well
│  └─ quiet               UNKNOWN 100
└─ well                   ?         0
"
        );
        let coloured = draw(&tree, &Look { colour: true, zone: TimeZone::UTC });
        assert!(coloured.contains("\x1b[33mUNKNOWN 100\x1b[0m"), "{coloured}");
    }
}
