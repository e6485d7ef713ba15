//! `ifstat`: what goes through each network interface, per second.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::counters::{Reading, growth};
use super::pattern::{Pattern, Start};
use super::state::State;
use super::{Answer, Call, Failure, file, pattern, settings};

const NET_DEV: &str = "/proc/net/dev";
/// Columns of `/proc/net/dev`, first what comes in, then what goes out.
const IN: [&str; 8] =
    ["bytes", "packets", "errs", "drop", "fifo", "frame", "compressed", "multicast"];
const OUT: [&str; 8] =
    ["bytes", "packets", "errs", "drop", "fifo", "colls", "carrier", "compressed"];
/// The unit of the texts for people: 1 Mbps is 1024² bits per second.
const MEGA: f64 = 1024.0 * 1024.0;
/// Interfaces named in the message.
const BUSIEST: usize = 2;

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Settings {
    /// What the name of an interface begins with.
    #[serde(rename = "match", deserialize_with = "pattern::one_or_many")]
    matching: Vec<Pattern<Start>>,
    /// Columns that are sent; `null` is all of them.
    fields: Option<Vec<String>>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            // Ethernet by its old and its predictable names, wireless, mobile, and what binds several.
            matching: Pattern::fixed([
                r"eth\d",
                r"em\d",
                r"p\d+p\d",
                r"en[opsxPu]",
                "wl",
                "ww",
                r"ib[\dops]",
                "bond",
                "team",
            ]),
            fields: Some(["bytes", "packets", "errs", "drop"].map(str::to_owned).into()),
        }
    }
}

impl Settings {
    fn wants(&self, field: &str) -> bool {
        self.fields.as_ref().is_none_or(|fields| fields.iter().any(|wanted| wanted == field))
    }
}

pub(super) fn run(call: &Call) -> Result<Answer, Failure> {
    let settings: Settings = settings::load(call)?.unwrap_or_default();
    let now = Reading::now(counters(&file::read_proc(NET_DEV)?, &settings));
    let state = State::open(call)?;
    let answer = judge(state.load().as_ref(), &now, &settings);
    state.save(&now)?;
    Ok(answer)
}

/// Interface → its 16 counters, for the interfaces that are wanted.
fn counters(net_dev: &str, settings: &Settings) -> BTreeMap<String, Vec<u64>> {
    let interface = |line: &str| {
        // An alias such as `eth0:1` has a colon of its own; the last one ends the name.
        let (name, columns) = line.rsplit_once(':')?;
        let name = name.trim();
        let columns: Result<Vec<u64>, _> = columns.split_whitespace().map(str::parse).collect();
        let columns = columns.ok().filter(|columns| columns.len() == IN.len() + OUT.len())?;
        pattern::any(&settings.matching, name).then(|| (name.to_owned(), columns))
    };
    net_dev.lines().filter_map(interface).collect()
}

fn judge(before: Option<&Reading>, now: &Reading, settings: &Settings) -> Answer {
    let mut answer = Answer::new("");
    let since = before.and_then(|before| Some((before, now.seconds_since(before)?)));
    let Some((before, seconds)) = since else {
        answer.say("first run: rates come with the next one");
        return answer;
    };
    let mut busiest = Vec::new();
    for (name, after) in &now.counters {
        let known = before.counters.get(name);
        let Some(growth) = known.and_then(|known| growth(known, after, &[])) else { continue };
        let (received, sent) = growth.split_at(IN.len());
        let inwards =
            direction(&mut answer, (name, "in"), IN.iter().zip(received), seconds, settings);
        let outwards =
            direction(&mut answer, (name, "out"), OUT.iter().zip(sent), seconds, settings);
        answer.note(name, json!({ "in": inwards, "out": outwards }));
        let megabits = |bytes: u64| bytes as f64 * 8.0 / seconds / MEGA;
        busiest.push((megabits(received[0]), megabits(sent[0]), name));
    }
    busiest.sort_by(|a, b| (b.0 + b.1).total_cmp(&(a.0 + a.1)));
    let sentence = |(received, sent, name): &(f64, f64, &String)| {
        format!("{name} {received:.2} Mbps in, {sent:.2} Mbps out")
    };
    let sentences: Vec<_> = busiest.iter().take(BUSIEST).map(sentence).collect();
    answer.say(sentences.join("; "));
    answer
}

/// Metrics of one direction of an interface; returns its detail.
fn direction<'a>(
    answer: &mut Answer,
    (name, direction): (&str, &str),
    columns: impl Iterator<Item = (&'a &'a str, &'a u64)>,
    seconds: f64,
    settings: &Settings,
) -> Map<String, Value> {
    let mut detail = Map::new();
    for (field, count) in columns.filter(|(field, _)| settings.wants(field)) {
        let rate = *count as f64 / seconds;
        // Networks are measured in bits, and the original calls them bytes.
        let (rate, text) = match *field {
            "bytes" => (rate * 8.0, format!("{:.2} Mbps", rate * 8.0 / MEGA)),
            _ => (rate, format!("{rate:.2} /s")),
        };
        answer.measure(&[("iface", name), ("direction", direction), ("metric", field)], rate);
        detail.insert((*field).to_owned(), text.into());
    }
    detail
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Status;

    const NET_DEV: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    3193      29    0    0    0     0          0         0     3193      29    0    0    0     0       0          0
  eth0:1000 10 1 2 0 0 0 7 2000 20 0 0 0 0 0 9
enp1s0: 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5
broken: 1 2 3
  eth9: 1 2 x 4 5 6 7 8 9 10 11 12 13 14 15 16
";

    fn reading(at_seconds: f64, text: &str) -> Reading {
        let counters = counters(text, &Settings::default());
        Reading { boot: "b".into(), at_seconds, counters }
    }

    #[test]
    fn the_shipped_file_says_the_defaults() {
        settings::assert_shipped_is_default::<Settings>("ifstat");
    }

    #[test]
    fn interfaces_of_hardware_are_wanted() {
        let wanted = |name| pattern::any(&Settings::default().matching, name);
        for name in [
            "eth0", "em1", "p1p1", "ens3", "eno1", "enp1s0", "enx00", "wlan0", "wlp2s0", "bond0",
            "team0", "ib0",
        ] {
            assert!(wanted(name), "{name}");
        }
        for name in ["lo", "docker0", "veth12ab", "br-1", "tap0", "virbr0"] {
            assert!(!wanted(name), "{name}");
        }
    }

    #[test]
    fn lines_that_are_not_understood_are_left_out() {
        let counters = counters(NET_DEV, &Settings::default());
        assert_eq!(counters.keys().collect::<Vec<_>>(), ["enp1s0", "eth0"]);
        assert_eq!(counters["eth0"][..4], [1000, 10, 1, 2]);
        assert_eq!(counters["eth0"][15], 9);
    }

    #[test]
    fn bytes_are_sent_as_bits_per_second() {
        let later = NET_DEV.replace("eth0:1000 10 1 2", "eth0:1049576 30 1 2");
        let answer =
            judge(Some(&reading(100.0, NET_DEV)), &reading(108.0, &later), &Settings::default());
        let metrics = answer.metrics();
        // Two interfaces, two directions, four fields.
        assert_eq!(metrics.len(), 16);
        let eth0 = &metrics[8..];
        assert_eq!(eth0[0]["Tags"], json!({"iface": "eth0", "direction": "in", "metric": "bytes"}));
        assert_eq!(eth0[0]["Value"], 1_048_576);
        assert_eq!(eth0[1]["Value"], 2.5);
        assert_eq!(answer.detail("eth0").unwrap()["in"]["bytes"], "1.00 Mbps");
        assert_eq!(answer.detail("eth0").unwrap()["in"]["packets"], "2.50 /s");
        assert_eq!(
            answer.message(),
            "eth0 1.00 Mbps in, 0.00 Mbps out; enp1s0 0.00 Mbps in, 0.00 Mbps out"
        );
        assert_eq!(answer.status(), Status::OK);
    }

    #[test]
    fn without_an_earlier_reading_there_is_no_rate() {
        let now = reading(100.0, NET_DEV);
        for before in [None, Some(&now), Some(&reading(200.0, NET_DEV))] {
            let answer = judge(before, &now, &Settings::default());
            assert!(answer.metrics().is_empty());
            assert!(answer.message().starts_with("first run"));
        }
    }

    #[test]
    fn an_interface_whose_counter_went_back_waits_for_the_next_run() {
        let later = NET_DEV.replace("eth0:1000", "eth0:999");
        let answer =
            judge(Some(&reading(1.0, NET_DEV)), &reading(2.0, &later), &Settings::default());
        assert_eq!(answer.detail("eth0"), None);
        assert!(answer.detail("enp1s0").is_some());
    }

    #[test]
    fn fields_and_match_are_read_in_each_spelling() {
        let settings: Settings = serde_json::from_str(r#"{"fields": null}"#).unwrap();
        assert!(IN.iter().chain(&OUT).all(|field| settings.wants(field)));
        let settings: Settings = serde_json::from_str(r#"{"match": ["lo"]}"#).unwrap();
        assert!(settings.wants("drop") && !settings.wants("fifo"));
        let one: Settings = serde_json::from_str(r#"{"match": "lo|x"}"#).unwrap();
        assert_eq!(counters(NET_DEV, &one).keys().collect::<Vec<_>>(), ["lo"]);
        let wrong = serde_json::from_str::<Settings>("{\n\"match\": [\"x\",\n3]}").unwrap_err();
        assert!(wrong.to_string().contains("line 3"), "{wrong}");
        assert_eq!(counters(NET_DEV, &settings).keys().collect::<Vec<_>>(), ["lo"]);
    }
}
