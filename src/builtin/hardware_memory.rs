//! `hardware_memory`: how much memory is in use that cannot be had back.

use std::collections::HashMap;

use serde::Deserialize;

use super::{Answer, Call, Failure, file, settings};
use crate::status::Status;

const MEMINFO: &str = "/proc/meminfo";

#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Settings {
    /// Percent of the memory in use.
    warn_level: f64,
    crit_level: f64,
    /// Fields of `/proc/meminfo` that are sent as metrics.
    wanted_fields: Vec<String>,
}

impl Default for Settings {
    fn default() -> Settings {
        let wanted = ["SwapFree", "SwapTotal", "Cached", "MemTotal", "MemFree"];
        Settings {
            warn_level: 75.0,
            crit_level: 90.0,
            wanted_fields: wanted.map(str::to_owned).into(),
        }
    }
}

pub(super) fn run(call: &Call) -> Result<Answer, Failure> {
    let settings = settings::load(call)?.unwrap_or_default();
    judge(&file::read_proc(MEMINFO)?, &settings)
}

fn judge(meminfo: &str, settings: &Settings) -> Result<Answer, Failure> {
    let fields = fields(meminfo);
    let field = |name: &str| fields.get(name).copied();
    let no_total = Failure::Content { path: MEMINFO.into(), reason: "no MemTotal".into() };
    let total = field("MemTotal").filter(|total| *total > 0).ok_or(no_total)?;
    // The kernel's own estimate knows that shared memory cannot be dropped; before Linux 3.14 there
    // was none.
    let available = field("MemAvailable").unwrap_or_else(|| {
        let parts = ["MemFree", "Cached", "Buffers"];
        parts.into_iter().filter_map(field).fold(0, u64::saturating_add)
    });
    let free = available.min(total);
    let used = total - free;
    let percentage = used as f64 * 100.0 / total as f64;

    let mut answer = Answer::new(format!("{percentage:.2}% of memory used"));
    if percentage > settings.crit_level {
        answer.raise(Status::CRIT);
    } else if percentage > settings.warn_level {
        answer.raise(Status::WARN);
    }
    for name in &settings.wanted_fields {
        if let Some(kilobytes) = field(name) {
            answer.measure(&[("type", name)], kilobytes as f64);
        }
    }
    answer.measure(&[("type", "MemUsed")], used as f64);
    answer.measure(&[("type", "MemRealFree")], free as f64);
    answer.measure(&[("type", "MemUsedPct")], percentage);
    Ok(answer)
}

/// Name → kB, or a plain number for the few fields without a unit.
fn fields(meminfo: &str) -> HashMap<&str, u64> {
    let field = |line| {
        let (name, rest): (&str, &str) = str::split_once(line, ':')?;
        Some((name, rest.split_whitespace().next()?.parse().ok()?))
    };
    meminfo.lines().filter_map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    \
        300 kB\nBuffers:          50 kB\nCached:          550 kB\nSwapTotal:         0 kB\n\
        SwapFree:          0 kB\nHugePages_Total:       0\n";

    fn metric(answer: &Answer, kind: &str) -> f64 {
        let metric = answer.metrics().iter().find(|metric| metric["Tags"]["type"] == kind);
        metric.unwrap()["Value"].as_f64().unwrap()
    }

    #[test]
    fn the_shipped_file_says_the_defaults() {
        settings::assert_shipped_is_default::<Settings>("hardware_memory");
    }

    #[test]
    fn what_the_kernel_calls_available_is_free() {
        let answer = judge(DEBIAN, &Settings::default()).unwrap();
        assert_eq!(answer.status(), Status::OK);
        assert_eq!(answer.message(), "70.00% of memory used");
        assert_eq!(metric(&answer, "MemUsed"), 700.0);
        assert_eq!(metric(&answer, "MemRealFree"), 300.0);
        assert_eq!(metric(&answer, "MemUsedPct"), 70.0);
        assert_eq!(metric(&answer, "Cached"), 550.0);
        assert_eq!(answer.metrics().len(), 8);
    }

    #[test]
    fn an_old_kernel_counts_caches_as_free() {
        let old = DEBIAN.replace("MemAvailable", "MemElse");
        let answer = judge(&old, &Settings::default()).unwrap();
        assert_eq!(metric(&answer, "MemRealFree"), 700.0);
    }

    #[test]
    fn levels_are_exceeded_not_reached() {
        let status = |available: u64| {
            let text = format!("MemTotal: 1000 kB\nMemAvailable: {available} kB\n");
            judge(&text, &Settings::default()).unwrap().status().number()
        };
        assert_eq!([250, 249, 100, 99].map(status), [100, 200, 200, 300]);
        // A container can have more available than it has.
        assert_eq!(status(2000), 100);
    }

    #[test]
    fn rubbish_is_refused() {
        assert!(judge("", &Settings::default()).is_err());
        assert!(judge("MemTotal: 0 kB", &Settings::default()).is_err());
        assert!(judge("MemTotal: -5 kB\nMemFree", &Settings::default()).is_err());
    }
}
