//! `check_uptime`: a host that restarted unnoticed, or has not been restarted for years.

use serde::Deserialize;

use super::{Answer, Call, Failure, file, settings};
use crate::status::Status;

const UPTIME: &str = "/proc/uptime";

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Settings {
    /// Seconds.
    minimum: f64,
    maximum: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { minimum: 600.0, maximum: 3.0 * 365.0 * 86_400.0 }
    }
}

pub(super) fn run(call: &Call) -> Result<Answer, Failure> {
    let settings = settings::load(call)?.unwrap_or_default();
    judge(&file::read_proc(UPTIME)?, &settings)
}

fn judge(uptime: &str, settings: &Settings) -> Result<Answer, Failure> {
    let seconds = uptime.split_whitespace().next().and_then(|word| word.parse::<f64>().ok());
    let seconds = seconds.filter(|seconds| *seconds >= 0.0).ok_or_else(|| Failure::Content {
        path: UPTIME.into(),
        reason: "a number of seconds is expected".into(),
    })?;
    let words = in_words(seconds as u64);
    let mut answer = Answer::new(format!("up for {words}"));
    if seconds < settings.minimum {
        answer.raise(Status::CRIT);
        answer.say(format!("up for {words} only: the host restarted"));
    } else if seconds > settings.maximum {
        answer.raise(Status::WARN);
        answer.say(format!("up for {words}: a restart is due"));
    }
    answer.note("uptime", seconds as u64);
    answer.note("struptime", words);
    Ok(answer)
}

fn in_words(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60 % 60, seconds / 3600 % 24, seconds / 86_400);
    format!("{days} days, {hours} hours, {minutes} minutes, {} seconds", seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_says_the_defaults() {
        settings::assert_shipped_is_default::<Settings>("check_uptime");
    }

    #[test]
    fn too_short_is_worse_than_too_long() {
        let status = |text| judge(text, &Settings::default()).unwrap().status().number();
        assert_eq!(status("599.99 1.0\n"), 300);
        assert_eq!(status("600.00 1.0\n"), 100);
        assert_eq!(status("94608000.00 1.0\n"), 100);
        assert_eq!(status("94608000.01 1.0\n"), 200);
    }

    #[test]
    fn words_and_detail() {
        let answer = judge("93784.57 1.0", &Settings::default()).unwrap();
        assert_eq!(answer.message(), "up for 1 days, 2 hours, 3 minutes, 4 seconds");
        assert_eq!(answer.detail("uptime").unwrap(), 93784);
        assert_eq!(answer.detail("struptime").unwrap(), "1 days, 2 hours, 3 minutes, 4 seconds");
    }

    #[test]
    fn rubbish_is_refused() {
        for text in ["", "x", "-1", "NaN"] {
            assert!(judge(text, &Settings::default()).is_err(), "{text}");
        }
    }
}
