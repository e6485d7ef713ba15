//! `wigocli logs`: the agent's log, oldest entry first as a log is read.

use std::thread;

use serde_json::value::RawValue;

use super::{
    Error, Verdict,
    args::LogsArgs,
    client::{Client, percent_encoded},
    model::LogEntry,
    printable::printable_json,
    render,
    repeat::{Last, PAUSE},
    screen::{Reader, Screen, complaint},
};

/// Shows the newest entries. As JSON, the list that the agent gave, newest first.
pub fn show(
    client: &Client,
    query: &LogsArgs,
    json: bool,
    screen: &Screen,
) -> Result<Verdict, Error> {
    let path = path(query, None);
    let answer = client.get_text(&path)?;
    let mut entries: Vec<LogEntry> = client.parse(&path, &answer)?;
    entries.reverse();
    let text = match json {
        true => format!("{}\n", printable_json(answer.trim())),
        false => entries.iter().map(|entry| render::log_entry(entry, &screen.look)).collect(),
    };
    screen.print(&text)?;
    Ok(Verdict::Fine)
}

/// Shows the newest entries and then each new one, as JSON one a line. Failing at first is an error; later
/// it is said once, and the agent asked again.
pub fn follow(
    client: &Client,
    query: &LogsArgs,
    json: bool,
    screen: &Screen,
    last: &Last,
) -> Result<Verdict, Error> {
    let mut newest = 0;
    let mut entries = fetch(client, &path(query, None))?;
    entries.reverse();
    last.set(Verdict::Fine);
    let mut failing = false;
    loop {
        let known = newest;
        for (entry, raw) in &entries {
            let id = entry.id.ok_or(Error::NotNumbered)?;
            if id <= known {
                continue; // an agent that does not know `after` would repeat itself for ever
            }
            newest = newest.max(id);
            let line = match json {
                true => format!("{}\n", printable_json(raw.get())),
                false => render::log_entry(entry, &screen.look),
            };
            if screen.print(&line)? == Reader::Gone {
                return Ok(Verdict::Fine);
            }
        }
        if newest == known {
            thread::sleep(PAUSE);
        }
        entries = match fetch(client, &path(query, Some(newest))) {
            Ok(entries) => {
                failing = false;
                last.set(Verdict::Fine);
                entries
            }
            Err(error) => {
                if !failing {
                    screen.complain(&complaint(&error));
                }
                failing = true;
                last.set(Verdict::Unknown);
                Vec::new()
            }
        };
    }
}

/// The entries at `path`, each with the JSON that it was.
fn fetch(client: &Client, path: &str) -> Result<Vec<(LogEntry, Box<RawValue>)>, Error> {
    let raw: Vec<Box<RawValue>> = client.get_json(path)?;
    let parsed = raw.into_iter().map(|raw| Ok((client.parse(path, raw.get())?, raw)));
    parsed.collect()
}

/// What to ask the agent for `query`: the newest entries, or those that followed entry `after`.
fn path(query: &LogsArgs, after: Option<i64>) -> String {
    let mut path = format!("/api/logs?limit={}", query.limit);
    let texts = [("hostname", &query.host), ("probe", &query.probe), ("group", &query.group)];
    for (name, value) in texts {
        if let Some(value) = value {
            path += &format!("&{name}={}", percent_encoded(value));
        }
    }
    for (name, value) in [("since", query.since), ("after", after)] {
        if let Some(value) = value {
            path += &format!("&{name}={value}");
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_carries_every_filter() {
        let query = LogsArgs { limit: 100, ..LogsArgs::default() };
        assert_eq!(path(&query, None), "/api/logs?limit=100");
        let query = LogsArgs {
            host: Some("hub & co/é".into()),
            probe: Some("p".into()),
            group: Some("g".into()),
            since: Some(1741079700),
            limit: 5,
            follow: true,
        };
        assert_eq!(
            path(&query, Some(7)),
            "/api/logs?limit=5&hostname=hub%20%26%20co%2F%C3%A9&probe=p&group=g&since=1741079700&after=7"
        );
    }
}
