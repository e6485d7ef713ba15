//! `wigocli why`: why somebody was told of something, or nobody.

use std::fmt::Write as _;

use serde::Deserialize;

use super::{
    Error, Verdict,
    args::WhyArgs,
    client::{Client, percent_encoded},
    printable::{printable, printable_json},
    render::{Look, date, painted, status_colour},
    screen::Screen,
    story::{Decision, level},
};

/// The answer, of which only what is shown is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Why {
    host: String,
    probe: String,
    standing: Option<Standing>,
    decisions: Vec<Decision>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Standing {
    status: i64,
    confirmed: i64,
    since: i64,
    flapping: bool,
    silenced: Option<String>,
    acked: Option<String>,
    behind: Option<String>,
}

/// Shows how it stands, then the newest decisions.
pub fn show(
    client: &Client,
    query: &WhyArgs,
    json: bool,
    screen: &Screen,
) -> Result<Verdict, Error> {
    let path = path(query);
    let answer = client.get_text(&path)?;
    let text = match json {
        true => format!("{}\n", printable_json(answer.trim())),
        false => story(&client.parse(&path, &answer)?, query.limit, &screen.look),
    };
    screen.print(&text)?;
    Ok(Verdict::Fine)
}

fn path(query: &WhyArgs) -> String {
    let mut path = format!("/api/why?host={}", percent_encoded(&query.host));
    if let Some(probe) = &query.probe {
        let _ = write!(path, "&probe={}", percent_encoded(probe));
    }
    if let Some(at) = query.at {
        let _ = write!(path, "&at={at}");
    }
    path
}

fn story(why: &Why, limit: u32, look: &Look) -> String {
    let place = [&*why.host, &why.probe].map(printable).join(" ");
    let mut text = String::new();
    match &why.standing {
        Some(standing) => standing.write(&mut text, place.trim_end(), look),
        None => {
            let _ = writeln!(text, "{} : nothing to tell", place.trim_end());
        }
    }
    if why.decisions.is_empty() {
        let _ = writeln!(text, "\nno decision is remembered");
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    for decision in why.decisions.iter().take(limit) {
        text.push('\n');
        decision.write(&mut text, look);
    }
    if why.decisions.len() > limit {
        let more = why.decisions.len() - limit;
        let _ = writeln!(
            text,
            "\n{more} older decisions: ask with a higher --limit or an earlier --at"
        );
    }
    text
}

impl Standing {
    fn write(&self, out: &mut String, place: &str, look: &Look) {
        let mut line = format!("{place} : {} since {}", level(self.status), date(self.since, look));
        if self.status != self.confirmed {
            let _ = write!(line, ", not confirmed yet: {} counts", level(self.confirmed));
        }
        let _ = writeln!(out, "{}", painted(line, status_colour(self.status), look));
        let held = [
            ("flapping", self.flapping.then(String::new)),
            ("silenced", self.silenced.clone()),
            ("acknowledged", self.acked.clone()),
            ("behind", self.behind.clone()),
        ];
        for (word, detail) in held {
            let Some(detail) = detail else { continue };
            let line = format!("\t{word} {}", printable(&detail));
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn the_question_names_host_probe_and_time() {
        let query =
            WhyArgs { host: "a b".into(), probe: Some("disk".into()), at: Some(5), limit: 1 };
        assert_eq!(path(&query), "/api/why?host=a%20b&probe=disk&at=5");
    }

    #[test]
    fn how_it_stands_comes_before_the_newest_decisions() {
        let look = Look { colour: false, zone: TimeZone::UTC };
        let why: Why = serde_json::from_str(
            r#"{"Host": "db1", "Probe": "disk", "Standing": {"Status": 300, "Confirmed": 100, "Since": 60,
            "Flapping": true, "Silenced": "by alice", "Acked": null, "Behind": null},
            "Decisions": [{"At": 60, "Host": "db1", "Probe": "disk", "Status": 300, "Outcome": "held"},
            {"At": 50, "Host": "db1", "Probe": "disk", "Status": 300, "Outcome": "held"}]}"#,
        )
        .unwrap();
        let expected = "\
db1 disk : CRIT since 1970-01-01T00:01:00 (UTC), not confirmed yet: OK counts
\tflapping
\tsilenced by alice

1970-01-01T00:01:00 (UTC)  CRIT  db1 disk: nobody is told

1 older decisions: ask with a higher --limit or an earlier --at
";
        assert_eq!(story(&why, 1, &look), expected);
        let nothing = story(&Why { host: "db1".into(), ..Why::default() }, 1, &look);
        assert_eq!(nothing, "db1 : nothing to tell\n\nno decision is remembered\n");
    }
}
