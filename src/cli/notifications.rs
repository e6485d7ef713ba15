//! `wigocli notifications` and `resend`: what was said over which channel, and what came of it.

use std::fmt::Write as _;

use serde::Deserialize;

use super::{
    Error, Verdict,
    args::NotificationsArgs,
    client::{Client, percent_encoded},
    incidents,
    printable::{printable, printable_json},
    render::{Look, date},
    screen::Screen,
    story::{Notification, level},
    tabular::columns,
};

/// Where an agent has its messages.
const PATH: &str = "/api/notifications";

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Page {
    notifications: Vec<Notification>,
    more: bool,
}

/// Shows the newest messages, the newest last.
pub fn show(
    client: &Client,
    query: &NotificationsArgs,
    json: bool,
    screen: &Screen,
) -> Result<Verdict, Error> {
    let incident = query.incident.as_deref().map(|id| incidents::found(client, id)).transpose()?;
    let path = path(query, incident.as_deref());
    let answer = client.get_text(&path)?;
    let text = match json {
        true => format!("{}\n", printable_json(answer.trim())),
        false => list(&client.parse(&path, &answer)?, &screen.look),
    };
    screen.print(&text)?;
    Ok(Verdict::Fine)
}

/// Has a message tried again.
pub fn resend(client: &Client, id: i64, json: bool, screen: &Screen) -> Result<Verdict, Error> {
    let path = format!("{PATH}/{id}/resend");
    let text = client.post_for_answer(&path)?;
    let shown = match json {
        true => format!("{}\n", printable_json(text.trim())),
        false => {
            let message: Notification = client.parse(&path, &text)?;
            let channel = printable(&message.channel);
            format!(
                "{id} is tried again over {channel}: `wigocli notifications` shows what comes of it\n"
            )
        }
    };
    screen.print(&shown)?;
    Ok(Verdict::Fine)
}

fn path(query: &NotificationsArgs, incident: Option<&str>) -> String {
    let state = match () {
        () if query.dead => Some("dead"),
        () if query.waiting => Some("waiting"),
        () if query.sent => Some("sent"),
        () if query.expired => Some("expired"),
        () => None,
    };
    let mut path = format!("{PATH}?limit={}", query.limit);
    let since = query.since.map(|since| since.to_string());
    for (name, value) in [
        ("state", state),
        ("host", query.host.as_deref()),
        ("probe", query.probe.as_deref()),
        ("channel", query.channel.as_deref()),
        ("incident", incident),
        ("since", since.as_deref()),
    ] {
        if let Some(value) = value {
            let _ = write!(path, "&{name}={}", percent_encoded(value));
        }
    }
    path
}

fn list(page: &Page, look: &Look) -> String {
    if page.notifications.is_empty() {
        return "no messages\n".to_owned();
    }
    let more = if page.more { "older ones are left out: ask with a higher --limit\n" } else { "" };
    let rows = page.notifications.iter().rev().map(|message| {
        [
            date(message.at, look),
            message.id.to_string(),
            printable(&message.channel).into_owned(),
            printable(&message.kind).into_owned(),
            level(message.status),
            printable(&message.title).into_owned(),
            message.outcome(look),
        ]
    });
    more.to_owned() + &columns(rows)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn the_newest_message_comes_last() {
        let page: Page = serde_json::from_str(
            r#"{"More": true, "Notifications": [
            {"Id": 2, "At": 60, "Channel": "mail", "Kind": "problem", "Status": 300, "Title": "db1\u001b",
             "State": "dead", "Attempts": 3, "Answer": "550 no"},
            {"Id": 1, "At": 0, "Channel": "slack", "Kind": "recovered", "Status": 100, "Title": "web1",
             "State": "sent", "Attempts": 1, "Delivered": 1, "Answer": "200"}]}"#,
        )
        .unwrap();
        let text = list(&page, &Look { colour: false, zone: TimeZone::UTC });
        let expected = "\
older ones are left out: ask with a higher --limit
1970-01-01T00:00:00 (UTC)  1  slack  recovered  OK    web1       delivered 1970-01-01T00:00:01 (UTC): 200
1970-01-01T00:01:00 (UTC)  2  mail   problem    CRIT  db1\\u{1b}  given up after 3 attempts: 550 no
";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_filters_go_into_the_question() {
        let query = NotificationsArgs {
            dead: true,
            channel: Some("a/b".into()),
            since: Some(7),
            limit: 3,
            ..NotificationsArgs::default()
        };
        let expected = "/api/notifications?limit=3&state=dead&channel=a%2Fb&incident=x&since=7";
        assert_eq!(path(&query, Some("x")), expected);
    }
}
