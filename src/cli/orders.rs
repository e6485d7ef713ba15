//! `wigocli probe P run|disable|enable|interval` and `wigocli orders`: what an operator orders.

use std::fmt::Write as _;

use serde::Deserialize;

use super::{
    Error, Verdict,
    args::{OrdersAction, ProbeAction},
    client::{Client, percent_encoded},
    printable::{printable, printable_json},
    render::{Look, date},
    screen::Screen,
};

/// Where an agent has its orders.
const PATH: &str = "/api/orders";

/// An answer of any kind: of an order only what is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Answer {
    id: String,
    host_name: String,
    probe: String,
    action: String,
    author: String,
    created_at: i64,
    expires_at: i64,
    state: String,
    answer: String,
    status: i64,
    message: String,
    disable_records: Vec<Record>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Record {
    probe: String,
    interval: u32,
}

/// Orders something to be done to a probe of `host`, or of the agent's own.
pub fn give(
    client: &Client,
    host: Option<&str>,
    probe: &str,
    action: &ProbeAction,
    json: bool,
    screen: &Screen,
) -> Result<Verdict, Error> {
    let below = host.filter(|host| *host != "localhost");
    let base = match below {
        Some(host) => format!("/api/hosts/{}/probes", percent_encoded(host)),
        None => "/api/probes".to_owned(),
    };
    let base = format!("{base}/{}", percent_encoded(probe));
    let path = match action {
        ProbeAction::Run => format!("{base}/run"),
        ProbeAction::Disable { reason, back_after } => {
            let reason = reason.as_deref().map(|why| format!("reason={}", percent_encoded(why)));
            let time = back_after.as_deref().map(|time| format!("for={}", percent_encoded(time)));
            let query: Vec<String> = reason.into_iter().chain(time).collect();
            format!("{base}/disable?{}", query.join("&"))
        }
        ProbeAction::Interval { seconds } => format!("{base}/interval?seconds={seconds}"),
        ProbeAction::Enable => {
            let seconds = interval_before(client, below, probe)?;
            format!("{base}/interval?seconds={seconds}")
        }
    };
    let text = client.post_for_answer(&path)?;
    let answer: Answer = client.parse(&path, &text)?;
    let shown = match json {
        true => format!("{}\n", printable_json(text.trim())),
        false => format!("{}\n", outcome(&answer, probe, action, &screen.look)),
    };
    screen.print(&shown)?;
    Ok(match action {
        ProbeAction::Run if answer.state.is_empty() => Verdict::of(answer.status),
        _ => Verdict::Fine,
    })
}

/// How often a disabled probe ran.
fn interval_before(client: &Client, host: Option<&str>, probe: &str) -> Result<u32, Error> {
    let path = match host {
        Some(host) => format!("/api/hosts/{}/schedule", percent_encoded(host)),
        None => "/api/probes".to_owned(),
    };
    let schedule: Answer = client.get_json(&path)?;
    let record = schedule.disable_records.iter().find(|record| record.probe == probe);
    let not_disabled = || Error::NotDisabled { probe: probe.to_owned() };
    record.map(|record| record.interval).ok_or_else(not_disabled)
}

fn outcome(answer: &Answer, probe: &str, action: &ProbeAction, look: &Look) -> String {
    let probe = printable(probe);
    if !answer.state.is_empty() {
        let Answer { id, state, answer, expires_at, .. } = answer;
        return format!(
            "order {} is {}, until {} at most: {}",
            printable(id),
            printable(state),
            date(*expires_at, look),
            printable(answer)
        );
    }
    match action {
        ProbeAction::Run => format!("{probe} : {} {}", answer.status, printable(&answer.message)),
        ProbeAction::Disable { .. } => format!("{probe} is disabled"),
        ProbeAction::Enable => format!("{probe} is enabled"),
        ProbeAction::Interval { seconds } => format!("{probe} runs every {seconds} s"),
    }
}

/// Shows the orders, or ends one that waits.
pub fn run(
    client: &Client,
    action: Option<&OrdersAction>,
    json: bool,
    screen: &Screen,
) -> Result<Verdict, Error> {
    let path = match action {
        None => PATH.to_owned(),
        Some(OrdersAction::Cancel { id }) => format!("{PATH}/{}/cancel", percent_encoded(id)),
    };
    let text = match action {
        None => client.get_text(&path)?,
        Some(_) => client.post_for_answer(&path)?,
    };
    let shown = match (json, action) {
        (true, _) => format!("{}\n", printable_json(text.trim())),
        (false, None) => list(&client.parse::<Vec<Answer>>(&path, &text)?, &screen.look),
        (false, Some(OrdersAction::Cancel { id })) => format!("{} is cancelled\n", printable(id)),
    };
    screen.print(&shown)?;
    Ok(Verdict::Fine)
}

fn list(orders: &[Answer], look: &Look) -> String {
    if orders.is_empty() {
        return "no orders\n".to_owned();
    }
    let mut text = String::new();
    for order in orders {
        let Answer { id, host_name, probe, action, author, created_at, state, answer, .. } = order;
        let line = format!("{} {action} {probe} on {host_name} : {state}", date(*created_at, look));
        let _ = writeln!(text, "{}", printable(&line));
        let _ = writeln!(text, "\t{}", printable(&format!("{id} by {author}: {answer}")));
    }
    text
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn orders_and_outcomes_are_shown_as_plain_lines() {
        let look = Look { colour: false, zone: TimeZone::UTC };
        let order = r#"{"Id":"7","HostName":"le\u001baf","Probe":"load","Action":"run","Author":"alice",
            "CreatedAt":60,"ExpiresAt":120,"State":"waiting","Answer":"away\nnow"}"#;
        let order: Answer = serde_json::from_str(order).unwrap();
        let line = "1970-01-01T00:01:00 (UTC) run load on le\\u{1b}af : waiting";
        let more = "\t7 by alice: away\\u{a}now\n";
        assert_eq!(
            outcome(&order, "load", &ProbeAction::Run, &look),
            "order 7 is waiting, until 1970-01-01T00:02:00 (UTC) at most: away\\u{a}now"
        );
        assert_eq!(list(&[order], &look), format!("{line}\n{more}"));
        assert_eq!(list(&[], &look), "no orders\n");
        let result: Answer = serde_json::from_str(r#"{"Status":250,"Message":"full"}"#).unwrap();
        assert_eq!(outcome(&result, "disk", &ProbeAction::Run, &look), "disk : 250 full");
        let interval = ProbeAction::Interval { seconds: 5 };
        assert_eq!(outcome(&result, "disk", &interval, &look), "disk runs every 5 s");
    }
}
