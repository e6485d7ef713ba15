//! `wigocli audit`: who asked for which change, the newest last.

use serde::Deserialize;

use super::{
    Error, Verdict,
    args::AuditArgs,
    client::{Client, percent_encoded},
    printable::{printable, printable_json},
    render::{Look, date},
    screen::Screen,
    tabular::columns,
};

/// Where an agent has its audit log.
const PATH: &str = "/api/audit";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    items: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    at: f64,
    who: String,
    how: String,
    from: String,
    action: String,
    target: String,
    outcome: String,
}

/// Shows the newest rows.
pub fn show(
    client: &Client,
    query: &AuditArgs,
    json: bool,
    screen: &Screen,
) -> Result<Verdict, Error> {
    let path = path(query);
    let answer = client.get_text(&path)?;
    let page: Page = client.parse(&path, &answer)?;
    let text = match json {
        true => format!("{}\n", printable_json(answer.trim())),
        false => table(&page, &screen.look),
    };
    screen.print(&text)?;
    Ok(Verdict::Fine)
}

fn path(query: &AuditArgs) -> String {
    let mut path = format!("{PATH}?limit={}", query.limit);
    for (name, value) in [
        ("who", query.who.clone()),
        ("action", query.action.clone()),
        ("target", query.target.clone()),
        ("since", query.since.map(|since| since.to_string())),
    ] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", percent_encoded(&value)));
        }
    }
    path
}

fn table(page: &Page, look: &Look) -> String {
    let rows = page.items.iter().rev().map(|row| {
        let who = if row.who.is_empty() { "-" } else { &row.who };
        [
            date(row.at as i64, look),
            printable(who).into_owned(),
            printable(&row.how).into_owned(),
            printable(if row.from.is_empty() { "-" } else { &row.from }).into_owned(),
            printable(&row.action).into_owned(),
            printable(&row.target).into_owned(),
            printable(&row.outcome).into_owned(),
        ]
    });
    columns(rows)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn filters_go_into_the_question() {
        let query =
            AuditArgs { who: Some("a b".into()), since: Some(5), limit: 7, ..AuditArgs::default() };
        assert_eq!(path(&query), "/api/audit?limit=7&who=a%20b&since=5");
    }

    #[test]
    fn the_newest_comes_last_in_columns() {
        let page: Page = serde_json::from_str(
            r#"{"Items": [
                {"Id": 2, "At": 60.5, "Who": "eve\u001b", "How": "token", "From": "192.0.2.1",
                 "Action": "user.add", "Target": "adam", "Outcome": "done"},
                {"Id": 1, "At": 0, "Who": "", "How": "password", "From": "",
                 "Action": "login", "Target": "", "Outcome": "refused: no such user"}]}"#,
        )
        .unwrap();
        let text = table(&page, &Look { colour: false, zone: TimeZone::UTC });
        assert_eq!(
            text,
            "1970-01-01T00:00:00 (UTC)  -          password  -          login           \
             refused: no such user\n\
             1970-01-01T00:01:00 (UTC)  eve\\u{1b}  token     192.0.2.1  user.add  adam  done\n"
        );
    }
}
