//! `iostat`: what each disk does, per second.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, json};

use super::counters::{Reading, growth};
use super::pattern::{Pattern, Start, any};
use super::state::State;
use super::{Answer, Call, Failure, file, settings};

const DISKSTATS: &str = "/proc/diskstats";
/// Counters of a device that every kernel since Linux 2.6.25 has.
const COUNTERS: usize = 11;
/// The column of requests in progress, the only one that may fall.
const IN_PROGRESS: usize = 8;
/// Sectors of `/proc/diskstats` in a kB, whatever the disk's own sectors are.
const SECTORS_PER_KB: f64 = 2.0;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Settings {
    /// What the name of a device begins with; none is all.
    include: Option<Vec<Pattern<Start>>>,
    exclude: Option<Vec<Pattern<Start>>>,
}

impl Settings {
    fn wants(&self, device: &str) -> bool {
        self.include.as_ref().is_none_or(|include| any(include, device))
            && !self.exclude.as_ref().is_some_and(|exclude| any(exclude, device))
    }
}

pub(super) fn run(call: &Call) -> Result<Answer, Failure> {
    let settings: Settings = settings::load(call)?.unwrap_or_default();
    let diskstats =
        file::read_proc(DISKSTATS).map_err(|failure| Failure::NotApplicable(failure.sentence()))?;
    let now = Reading::now(counters(&diskstats, &settings));
    let state = State::open(call)?;
    let answer = judge(state.load().as_ref(), &now, is_partition);
    state.save(&now)?;
    Ok(answer)
}

fn is_partition(device: &str) -> bool {
    // In /sys, the `/` of a name such as `cciss/c0d0` is written as `!`.
    Path::new("/sys/class/block").join(device.replace('/', "!")).join("partition").exists()
}

/// Device → its counters, for the devices that are wanted and were ever read. A line that is too
/// short keeps its place with what it has.
fn counters(diskstats: &str, settings: &Settings) -> BTreeMap<String, Vec<u64>> {
    let device = |line: &str| {
        let mut words = line.split_whitespace().skip(2);
        let name = words.next()?;
        let counters: Result<Vec<u64>, _> = words.take(COUNTERS).map(str::parse).collect();
        let counters = counters.ok()?;
        (*counters.first()? > 0 && settings.wants(name)).then(|| (name.to_owned(), counters))
    };
    diskstats.lines().filter_map(device).collect()
}

fn judge(before: Option<&Reading>, now: &Reading, is_partition: impl Fn(&str) -> bool) -> Answer {
    let mut answer = Answer::new("");
    let since = before.and_then(|before| Some((before, now.seconds_since(before)?)));
    let Some((before, seconds)) = since else {
        answer.say("first run: rates come with the next one");
        return answer;
    };
    for (device, after) in &now.counters {
        if after.len() < COUNTERS {
            answer.note(device, json!({ "error": "too few counters: the kernel is too old" }));
            continue;
        }
        let known = before.counters.get(device);
        let growth = known.and_then(|known| growth(known, after, &[IN_PROGRESS]));
        let Some(growth) = growth.and_then(|growth| growth.try_into().ok()) else { continue };
        let kind = if is_partition(device) { "part" } else { "disk" };
        let mut detail = Map::new();
        for (metric, value, unit) in activity(growth, seconds) {
            answer.measure(&[("device", device), ("type", kind), ("metric", metric)], value);
            detail.insert(metric.to_owned(), format!("{value:.2} {unit}").trim().into());
        }
        answer.note(device, detail);
    }
    answer
}

/// Name, value and unit of everything that is said about a device.
fn activity(growth: [u64; COUNTERS], seconds: f64) -> [(&'static str, f64, &'static str); 11] {
    let [
        reads,
        reads_merged,
        sectors_read,
        read_ms,
        writes,
        writes_merged,
        sectors_written,
        write_ms,
        _in_progress,
        busy_ms,
        queue_ms,
    ] = growth.map(|count| count as f64);
    let requests = reads + writes;
    let per_request = |sum: f64| if requests > 0.0 { sum / requests } else { 0.0 };
    let kilobytes = |sectors: f64| sectors / SECTORS_PER_KB;
    let milliseconds = seconds * 1000.0;
    [
        ("read_req", reads / seconds, "/s"),
        ("read_merged_req", reads_merged / seconds, "/s"),
        ("read_kbytes", kilobytes(sectors_read) / seconds, "kB/s"),
        ("write_req", writes / seconds, "/s"),
        ("write_merged_req", writes_merged / seconds, "/s"),
        ("write_kbytes", kilobytes(sectors_written) / seconds, "kB/s"),
        ("avg_req_size", per_request(kilobytes(sectors_read + sectors_written)), "kB"),
        ("avg_queue_size", queue_ms / milliseconds, ""),
        ("avg_wait_time", per_request(read_ms + write_ms), "ms"),
        ("avg_service_time", per_request(busy_ms), "ms"),
        ("util_percent", (busy_ms * 100.0 / milliseconds).min(100.0), "%"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISKSTATS: &str = "\
   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
 254       0 vda 100 10 4000 50 200 20 8000 150 3 120 200 1 2 3 4 5 6
 254       1 vda1 1 0 8 1 0 0 0 0 0 1 1
   3       0 hda 5 5 5 5
   8       0 sdx 1 2 x
";
    // 10 s later: 10 reads of 80 sectors in 5 ms, 30 writes of 240 sectors in 15 ms.
    const LATER: &str = " 254 0 vda 110 10 4080 55 230 26 8240 165 1 1120 2200";

    fn reading(at_seconds: f64, text: &str) -> Reading {
        let counters = counters(text, &Settings::default());
        Reading { boot: "b".into(), at_seconds, counters }
    }

    #[test]
    fn the_shipped_file_says_the_defaults() {
        settings::assert_shipped_is_default::<Settings>("iostat");
    }

    #[test]
    fn devices_that_were_never_read_are_left_out() {
        let found = counters(DISKSTATS, &Settings::default());
        assert_eq!(found.keys().collect::<Vec<_>>(), ["hda", "vda", "vda1"]);
        let settings: Settings =
            serde_json::from_str(r#"{"include": ["vd"], "exclude": ["vda\\d"]}"#).unwrap();
        assert_eq!(counters(DISKSTATS, &settings).keys().collect::<Vec<_>>(), ["vda"]);
        let settings: Settings =
            serde_json::from_str(r#"{"include": null, "exclude": ["v"]}"#).unwrap();
        assert_eq!(counters(DISKSTATS, &settings).keys().collect::<Vec<_>>(), ["hda"]);
    }

    #[test]
    fn activity_is_per_second_and_per_request() {
        let answer = judge(Some(&reading(5.0, DISKSTATS)), &reading(15.0, LATER), |_| false);
        let metric = |name: &str| {
            let metric = answer.metrics().iter().find(|metric| metric["Tags"]["metric"] == name);
            metric.unwrap()["Value"].as_f64().unwrap()
        };
        assert_eq!(answer.metrics().len(), 11);
        assert_eq!(answer.metrics()[0]["Tags"]["device"], "vda");
        assert_eq!(answer.metrics()[0]["Tags"]["type"], "disk");
        assert_eq!((metric("read_req"), metric("write_req")), (1.0, 3.0));
        assert_eq!((metric("read_merged_req"), metric("write_merged_req")), (0.0, 0.6));
        assert_eq!((metric("read_kbytes"), metric("write_kbytes")), (4.0, 12.0));
        assert_eq!((metric("avg_req_size"), metric("avg_wait_time")), (4.0, 0.5));
        assert_eq!((metric("avg_service_time"), metric("util_percent")), (25.0, 10.0));
        assert_eq!(metric("avg_queue_size"), 0.2);
        assert_eq!(answer.detail("vda").unwrap()["read_kbytes"], "4.00 kB/s");
        assert_eq!(answer.message(), "");
    }

    #[test]
    fn an_idle_disk_has_zeros_and_a_busy_one_at_most_all_of_the_time() {
        let now = reading(15.0, DISKSTATS);
        let answer = judge(Some(&reading(5.0, DISKSTATS)), &now, |device| device == "vda1");
        assert!(answer.metrics().iter().all(|metric| metric["Value"] == 0));
        assert_eq!(answer.metrics()[11]["Tags"]["type"], "part");
        assert!(answer.detail("hda").unwrap()["error"].is_string());
        let answer = judge(Some(&reading(14.5, DISKSTATS)), &reading(15.0, LATER), |_| false);
        assert_eq!(answer.metrics()[10]["Value"], 100);
    }

    #[test]
    fn no_rate_from_a_first_run_or_a_counter_that_went_back() {
        let now = reading(15.0, DISKSTATS);
        assert!(judge(None, &now, |_| false).metrics().is_empty());
        assert!(judge(Some(&now), &now, |_| false).metrics().is_empty());
        let back = LATER.replace("vda 110", "vda 99");
        assert!(judge(Some(&now), &reading(25.0, &back), |_| false).metrics().is_empty());
    }
}
