//! `hardware_load_average`: how many tasks want to run, against how many can.

use serde::Deserialize;

use super::{Answer, Call, Failure, file, settings};
use crate::status::Status;

const LOADAVG: &str = "/proc/loadavg";

#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Settings {
    /// Load in percent of the cores.
    warn_percentage: f64,
    crit_percentage: f64,
    /// Minutes of the average that is judged.
    to_check: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { warn_percentage: 150.0, crit_percentage: 200.0, to_check: 1 }
    }
}

pub(super) fn run(call: &Call) -> Result<Answer, Failure> {
    let settings = settings::load(call)?.unwrap_or_default();
    judge(&file::read_proc(LOADAVG)?, cores()?, &settings)
}

/// Cores that are online. The list in `/sys` costs microseconds; `/proc/cpuinfo` asks every core for
/// its clock rate, which takes milliseconds on large machines.
fn cores() -> Result<usize, Failure> {
    let online = file::read_proc("/sys/devices/system/cpu/online").ok();
    match online.as_deref().and_then(cores_in_list) {
        Some(cores) => Ok(cores),
        None => Ok(cores_in_cpuinfo(&file::read_proc("/proc/cpuinfo")?)),
    }
}

/// The length of a list such as `0-3,8`.
fn cores_in_list(list: &str) -> Option<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
        Some(last.checked_sub(first)? as usize + 1)
    };
    list.trim().split(',').map(range).sum()
}

fn cores_in_cpuinfo(cpuinfo: &str) -> usize {
    cpuinfo.lines().filter(|line| line.starts_with("processor")).count().max(1)
}

fn judge(loadavg: &str, cores: usize, settings: &Settings) -> Result<Answer, Failure> {
    let not_understood =
        || Failure::Content { path: LOADAVG.into(), reason: "three numbers are expected".into() };
    let loads: Option<Vec<f64>> =
        loadavg.split_whitespace().take(3).map(|word| word.parse().ok()).collect();
    let [load1, load5, load15] = loads.as_deref().unwrap_or_default() else {
        return Err(not_understood());
    };

    let mut answer = Answer::new(format!("load average {load1:.2}, {load5:.2}, {load15:.2}"));
    for (name, load) in [("load1", load1), ("load5", load5), ("load15", load15)] {
        answer.measure(&[("load", name)], *load);
    }
    let judged = match settings.to_check {
        2 | 5 | 10 => load5,
        3 | 15 => load15,
        _ => load1,
    };
    let percentage = judged * 100.0 / cores as f64;
    if percentage > settings.crit_percentage {
        answer.raise(Status::CRIT);
    } else if percentage > settings.warn_percentage {
        answer.raise(Status::WARN);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(loadavg: &str, cores: usize, to_check: u64) -> u16 {
        let settings = Settings { to_check, ..Settings::default() };
        judge(loadavg, cores, &settings).unwrap().status().number()
    }

    #[test]
    fn the_shipped_file_says_the_defaults() {
        settings::assert_shipped_is_default::<Settings>("hardware_load_average");
    }

    #[test]
    fn load_is_judged_per_core() {
        assert_eq!(status("3.00 0.00 0.00 1/86 8022\n", 2, 1), 100);
        assert_eq!(status("3.01 0.00 0.00 1/86 8022\n", 2, 1), 200);
        assert_eq!(status("4.00 0.00 0.00 1/86 8022\n", 2, 1), 200);
        assert_eq!(status("4.01 0.00 0.00 1/86 8022\n", 2, 1), 300);
    }

    #[test]
    fn the_chosen_average_is_judged() {
        let loads = "0.10 2.00 9.00 1/86 8022";
        assert_eq!(status(loads, 1, 1), 100);
        assert_eq!([2, 5, 10].map(|n| status(loads, 1, n)), [200; 3]);
        assert_eq!([3, 15].map(|n| status(loads, 1, n)), [300; 2]);
        assert_eq!(status(loads, 1, 77), 100);
    }

    #[test]
    fn three_metrics_and_a_sentence() {
        let answer = judge("0.45 0.30 0.26 1/86 8022", 2, &Settings::default()).unwrap();
        assert_eq!(answer.message(), "load average 0.45, 0.30, 0.26");
        assert_eq!(answer.metrics()[2]["Tags"]["load"], "load15");
        assert_eq!(answer.metrics()[2]["Value"], 0.26);
    }

    #[test]
    fn rubbish_is_refused() {
        assert!(judge("", 1, &Settings::default()).is_err());
        assert!(judge("0.1 0.2", 1, &Settings::default()).is_err());
        assert!(judge("a b c", 1, &Settings::default()).is_err());
    }

    #[test]
    fn cores_are_counted_in_either_file() {
        assert_eq!(cores_in_list("0-3,8,10-11\n"), Some(7));
        assert_eq!(cores_in_list("0\n"), Some(1));
        assert_eq!(cores_in_list(""), None);
        assert_eq!(cores_in_list("3-0"), None);
        assert_eq!(cores_in_cpuinfo("processor\t: 0\nmodel name\t: x\nprocessor\t: 1\n"), 2);
        assert_eq!(cores_in_cpuinfo("nothing"), 1);
    }
}
