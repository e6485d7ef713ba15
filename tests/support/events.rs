//! A stream of server-sent events, read event by event.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

use serde_json::Value;

use super::{harness::Agent, http::connect};

/// An event as it came.
#[derive(Debug, Clone)]
pub struct Event {
    pub name: String,
    pub id: String,
    pub data: Value,
}

/// A stream that is read event by event.
pub struct Events {
    stream: BufReader<TcpStream>,
    /// Decoded, not taken apart yet.
    text: String,
}

impl Events {
    pub fn open(agent: &Agent, query: &str, headers: &[&str]) -> Events {
        let mut stream = connect(agent.address());
        let mut head = format!("GET /api/events{query} HTTP/1.1\r\nHost: localhost\r\n");
        head.push_str("Accept-Encoding: gzip, zstd\r\n");
        headers.iter().for_each(|header| head.push_str(&format!("{header}\r\n")));
        stream.write_all((head + "\r\n").as_bytes()).unwrap();
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        assert!(line.contains(" 200 "), "{line}");
        let mut head = String::new();
        while line.trim() != "" {
            line.clear();
            stream.read_line(&mut line).unwrap();
            head.push_str(&line.to_lowercase());
        }
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        assert!(!head.contains("content-encoding"), "{head}");
        Events { stream, text: String::new() }
    }

    /// The next event; nothing when the stream has ended.
    pub fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name));
                    line.map(|value| value.trim_start().to_owned())
                };
                let found = field("event:").map(|name| Event {
                    name,
                    id: field("id:").unwrap(),
                    data: serde_json::from_str(&field("data:").unwrap()).unwrap(),
                });
                self.text = rest.to_owned();
                if found.is_some() {
                    return found;
                }
                continue;
            }
            let mut line = String::new();
            self.stream.read_line(&mut line).ok()?;
            let size = usize::from_str_radix(line.trim(), 16).ok().filter(|size| *size > 0)?;
            let mut chunk = vec![0; size + 2];
            self.stream.read_exact(&mut chunk).ok()?;
            self.text.push_str(std::str::from_utf8(&chunk[..size]).unwrap());
        }
    }

    /// Reads until there is the wanted event; what came before it is given as well.
    pub fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> (Vec<Event>, Event) {
        let mut before = Vec::new();
        loop {
            let event = self.next().unwrap_or_else(|| panic!("the stream ended: {before:?}"));
            if wanted(&event) {
                return (before, event);
            }
            before.push(event);
        }
    }

    pub fn named(&mut self, name: &str) -> Event {
        self.until(|event| event.name == name).1
    }

    /// Reads until this list has changed.
    pub fn changed(&mut self, list: &str) {
        self.until(|event| event.name == "changed" && event.data["What"] == list);
    }
}
