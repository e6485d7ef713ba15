//! `wigocli ack`, `silence`, `unsilence` and `held`: what holds messages back.

use std::fmt::Write as _;

use serde::Deserialize;

use super::{
    Error, Verdict,
    args::{AckArgs, Covered, SilenceArgs, UnsilenceArgs},
    client::{Client, percent_encoded},
    incidents,
    maintenance::{Window, windows},
    printable::{printable, printable_json},
    render::{Look, date},
    screen::Screen,
    story::level,
    tabular::columns,
};

/// Where an agent tells what holds messages back.
const PATH: &str = "/api/suppressions";

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Held {
    suppressions: Vec<Suppression>,
    flapping: Vec<String>,
    behind_something_down: Vec<Behind>,
    windows: Vec<Window>,
    blind: bool,
    quiet: Quiet,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Suppression {
    id: u64,
    kind: String,
    scope: String,
    target: String,
    probe: String,
    reason: String,
    author: String,
    status: i64,
    until: Option<i64>,
    held: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Behind {
    host: String,
    behind: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Quiet {
    active: bool,
    until: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Lifted {
    lifted: Vec<u64>,
}

/// Pairs of a query, in an address.
pub fn query<'a>(pairs: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> String {
    let pairs = pairs.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let pairs: Vec<_> =
        pairs.map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// Says that somebody looks after a host, a probe or an incident.
pub fn acknowledge(
    client: &Client,
    ack: &AckArgs,
    json: bool,
    screen: &Screen,
) -> Result<Verdict, Error> {
    let incident = match ack.probe {
        None => incidents::find(client, &ack.what)?,
        Some(_) => None,
    };
    let base = match &incident {
        Some(id) => format!("/api/incidents/{}/ack", percent_encoded(id)),
        None => format!("/api/hosts/{}/ack", percent_encoded(&ack.what)),
    };
    let path = base
        + &query([
            ("probe", ack.probe.as_deref()),
            ("reason", ack.reason.as_deref()),
            ("for", ack.span.as_deref()),
        ]);
    made(client, &path, json, screen)
}

/// Lets nothing be said for some time.
pub fn silence(
    client: &Client,
    silence: &SilenceArgs,
    json: bool,
    screen: &Screen,
) -> Result<Verdict, Error> {
    let Covered { host, group, labels, .. } = &silence.covered;
    let base = match (host, group) {
        (Some(host), _) => format!("/api/hosts/{}/silence", percent_encoded(host)),
        (None, Some(group)) => format!("/api/groups/{}/silence", percent_encoded(group)),
        (None, None) => "/api/silences".to_owned(),
    };
    let path = base
        + &query([
            ("labels", labels.as_deref()),
            ("probe", silence.covered.probe()),
            ("for", Some(&*silence.span)),
            ("reason", Some(&*silence.reason)),
        ]);
    made(client, &path, json, screen)
}

fn made(client: &Client, path: &str, json: bool, screen: &Screen) -> Result<Verdict, Error> {
    let text = client.post_for_answer(path)?;
    let shown = match json {
        true => format!("{}\n", printable_json(text.trim())),
        false => {
            let made: Vec<Suppression> = client.parse(path, &text)?;
            made.iter().map(|one| format!("{}\n", one.sentence(&screen.look))).collect()
        }
    };
    screen.print(&shown)?;
    Ok(Verdict::Fine)
}

/// Lifts acknowledgements and silences.
pub fn unsilence(
    client: &Client,
    unsilence: &UnsilenceArgs,
    json: bool,
    screen: &Screen,
) -> Result<Verdict, Error> {
    let Covered { host, group, labels, .. } = &unsilence.covered;
    let probe = unsilence.covered.probe();
    let of_probe = query([("probe", probe)]);
    let paths = match (unsilence.id, host, group, labels) {
        (Some(id), ..) => vec![format!("{PATH}/{id}/lift")],
        (_, Some(host), ..) => {
            vec![format!("/api/hosts/{}/unsuppress{of_probe}", percent_encoded(host))]
        }
        (_, _, Some(group), _) => {
            vec![format!("/api/groups/{}/unsuppress{of_probe}", percent_encoded(group))]
        }
        (.., labels) => {
            let labels = labels.clone().unwrap_or_default();
            let held: Held = client.get_json(PATH)?;
            let ids = with_labels(&held, &labels, probe.unwrap_or_default());
            if ids.is_empty() {
                return Err(Error::NotSilenced { labels });
            }
            ids.into_iter().map(|id| format!("{PATH}/{id}/lift")).collect()
        }
    };
    let mut lifted = Vec::new();
    for path in paths {
        let answer: Lifted = client.parse(&path, &client.post_for_answer(&path)?)?;
        lifted.extend(answer.lifted);
    }
    let shown = match json {
        true => format!("{}\n", serde_json::json!({ "Lifted": lifted })),
        false if lifted.is_empty() => "nothing was held back there\n".to_owned(),
        false => lifted.iter().map(|id| format!("{id} is lifted\n")).collect(),
    };
    screen.print(&shown)?;
    Ok(Verdict::Fine)
}

/// The silences of exactly these labels.
fn with_labels(held: &Held, labels: &str, probe: &str) -> Vec<u64> {
    let sorted = |text: &str| {
        let mut pairs: Vec<_> =
            text.split(',').filter(|pair| !pair.is_empty()).map(str::to_owned).collect();
        pairs.sort_unstable();
        pairs
    };
    let wanted = sorted(labels);
    let labelled = held.suppressions.iter().filter(|one| one.scope == "labels");
    let same = labelled.filter(|one| sorted(&one.target) == wanted && one.probe == probe);
    same.map(|one| one.id).collect()
}

/// Shows what holds messages back.
pub fn show(client: &Client, json: bool, screen: &Screen) -> Result<Verdict, Error> {
    let answer = client.get_text(PATH)?;
    let text = match json {
        true => format!("{}\n", printable_json(answer.trim())),
        false => client.parse::<Held>(PATH, &answer)?.text(&screen.look),
    };
    screen.print(&text)?;
    Ok(Verdict::Fine)
}

impl Held {
    fn text(&self, look: &Look) -> String {
        let mut text = String::new();
        if self.blind {
            text.push_str("this monitor is cut off itself: what changes is not judged\n");
        }
        if self.quiet.active {
            let until = self.quiet.until.map(|at| format!(" until {}", date(at, look)));
            let _ = writeln!(text, "quiet hours{}", until.unwrap_or_default());
        }
        text += &columns(self.suppressions.iter().map(|one| one.row(look)));
        text += &windows(&self.windows, look);
        for host in &self.flapping {
            let _ = writeln!(text, "flapping  {}", printable(host));
        }
        for Behind { host, behind } in &self.behind_something_down {
            let _ = writeln!(
                text,
                "behind    {}, which is down: {}",
                printable(behind),
                printable(host)
            );
        }
        if text.is_empty() { "nothing is held back\n".to_owned() } else { text }
    }
}

impl Suppression {
    fn place(&self) -> String {
        let target = match &*self.scope {
            "all" => "everything".to_owned(),
            "host" => self.target.clone(),
            scope => format!("{scope} {}", self.target),
        };
        let place = [&*target, &self.probe].map(printable).join(" ");
        place.trim_end().to_owned()
    }

    fn until(&self, look: &Look) -> String {
        match self.until {
            Some(at) => format!("until {}", date(at, look)),
            None => "until it is over".to_owned(),
        }
    }

    fn row(&self, look: &Look) -> [String; 7] {
        let kind = match self.kind.as_str() {
            "ack" => format!("acked at {}", level(self.status)),
            kind => printable(kind).into_owned(),
        };
        [
            self.id.to_string(),
            kind,
            self.place(),
            self.until(look),
            format!("held {}", self.held),
            format!("by {}", printable(&self.author)),
            printable(&self.reason).into_owned(),
        ]
    }

    fn sentence(&self, look: &Look) -> String {
        let is = if self.kind == "ack" { "is acknowledged" } else { "is silenced" };
        format!("{}: {} {is} {}", self.id, self.place(), self.until(look))
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    const LOOK: Look = Look { colour: false, zone: TimeZone::UTC };

    const HELD: &str = r#"{"Suppressions": [
        {"Id": 3, "Kind": "ack", "Scope": "host", "Target": "db1", "Probe": "disk", "Reason": "on it",
         "Author": "alice\u001b", "Status": 300, "Until": null, "Held": 2},
        {"Id": 4, "Kind": "silence", "Scope": "labels", "Target": "env=test,role=db", "Author": "bob",
         "Until": 60, "Held": 0}],
        "Flapping": ["web1/load"], "BehindSomethingDown": [{"Host": "leaf", "Behind": "core"}],
        "Windows": [], "Blind": true, "Quiet": {"Active": true, "Until": 120}}"#;

    #[test]
    fn what_is_held_back_is_listed_with_who_why_and_until_when() {
        let held: Held = serde_json::from_str(HELD).unwrap();
        let expected = "\
this monitor is cut off itself: what changes is not judged
quiet hours until 1970-01-01T00:02:00 (UTC)
3  acked at CRIT  db1 disk                 until it is over                 held 2  by alice\\u{1b}  on it
4  silence        labels env=test,role=db  until 1970-01-01T00:01:00 (UTC)  held 0  by bob
flapping  web1/load
behind    core, which is down: leaf
";
        assert_eq!(held.text(&LOOK), expected);
        assert_eq!(Held::default().text(&LOOK), "nothing is held back\n");
    }

    #[test]
    fn labels_name_a_silence_in_any_order() {
        let held: Held = serde_json::from_str(HELD).unwrap();
        assert_eq!(with_labels(&held, "role=db,env=test", ""), [4]);
        assert_eq!(with_labels(&held, "role=db,env=test", "disk"), [0; 0]);
        assert_eq!(with_labels(&held, "role=db", ""), [0; 0]);
    }

    #[test]
    fn what_is_made_is_said_in_a_sentence() {
        let held: Held = serde_json::from_str(HELD).unwrap();
        let said: Vec<_> = held.suppressions.iter().map(|one| one.sentence(&LOOK)).collect();
        let expected = [
            "3: db1 disk is acknowledged until it is over",
            "4: labels env=test,role=db is silenced until 1970-01-01T00:01:00 (UTC)",
        ];
        assert_eq!(said, expected);
        let pairs = [("a", Some("b c")), ("d", None), ("e", Some("f"))];
        assert_eq!(query(pairs), "?a=b%20c&e=f");
        assert_eq!(query([]), "");
    }
}
